"""How Sphinx builds the site. Formulas are MathML, which browsers draw without any script."""

import sys
from pathlib import Path

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator

sys.path.insert(0, str(Path.cwd()))  # the project, whose functions are described

project = "Digits by hand"
extensions = ["myst_nb", "sphinx.ext.autodoc"]
myst_enable_extensions = ["amsmath", "attrs_inline", "dollarmath", "substitution"]
myst_heading_anchors = 3
nb_execution_mode = "off"  # the notebooks hold the results of a full run
html_theme = "furo"
html_title = project
html_math_renderer = "mathml"
templates_path = ["templates"]
html_static_path = ["style.css"]
html_css_files = ["style.css"]
html_copy_source = html_show_sphinx = False
pygments_style = "a11y-high-contrast-light"
pygments_dark_style = "a11y-high-contrast-dark"
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings tell types and shapes in plain words
autodoc_preserve_defaults = True
default_role = "code"


def inline_formula(writer: HTML5Translator, node: nodes.math) -> None:
    """Write a formula within a line."""
    writer.body.append(convert(node.astext()))
    raise nodes.SkipNode


def formula(writer: HTML5Translator, node: nodes.math_block) -> None:
    """Write a formula that stands by itself."""
    writer.body.append(
        f'<div class="formula" tabindex="0">{convert(node.astext(), display="block")}</div>'
    )
    raise nodes.SkipNode


def keep_lines(*described: object) -> None:
    """Let an indented block after a colon keep its lines, as formulas in a docstring want it."""
    lines = described[-1]
    assert isinstance(lines, list)
    for k in range(len(lines) - 2):
        if lines[k].endswith(":") and not lines[k + 1] and lines[k + 2].startswith(" "):
            lines[k] += ":"


def setup(app: Sphinx) -> None:
    """Let Sphinx know of the formulas, in cells and in docstrings."""
    app.connect("autodoc-process-docstring", keep_lines)
    app.add_html_math_renderer("mathml", (inline_formula, None), (formula, None))
