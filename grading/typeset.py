"""A text in Markdown as HTML, its formulas as MathML; whatever a stranger wrote in it stays text.

Links and pictures show where they lead, headings are bold, HTML is shown and not obeyed.
"""

import html
import re
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

from latex2mathml.converter import Converter
from markupsafe import escape
from mistune import HTMLRenderer, InlineParser, InlineState, Markdown
from mistune.plugins.math import math

MATHML = "http://www.w3.org/1998/Math/MathML"
LOOKS = {"display", "stretchy", "accent", "accentunder", "mathvariant", "linethickness", "fence"}
LONGEST = 1000  # characters of a formula
# Within a paragraph. As in Jupyter, a formula may go over several lines.
FORMULA = r"\$\$(?P<block>[^$]+)\$\$|\$(?!\s)(?P<inline>(?:[^$\\]|\\.)+?)\$(?!\d)"


class Renderer(HTMLRenderer):
    """Renders as the module says."""

    def link(self, text: str, url: str, title: str | None = None) -> str:
        """Render a link as its text and where it leads."""
        return f"{text} ({escape(url)})"

    def image(self, text: str, url: str, title: str | None = None) -> str:
        """Render a picture as what it is called."""
        return self.link(text, url[:100])

    def heading(self, text: str, level: int, **attrs: Any) -> str:
        """Render a heading as a bold paragraph: the page around it has headings of its own."""
        return f"<p><strong>{text}</strong></p>\n"

    def block_math(self, text: str) -> str:
        """Render a formula that stands by itself."""
        return mathml(text, "block")

    def inline_math(self, text: str) -> str:
        """Render a formula within a line."""
        return mathml(text, "inline")


def typeset(text: str) -> str:
    """Return a text in Markdown as HTML; as it stands, if it cannot be rendered."""
    try:
        return str(Markdown(Renderer(escape=True), plugins=[math, _formulas])(text))
    except Exception:  # whatever a stranger's text does to a parser
        return f"<pre>{escape(text)}</pre>"


def _formulas(md: Markdown) -> None:
    def parse(_: InlineParser, match: re.Match[str], state: InlineState) -> int:
        kind = "inline" if match["block"] is None else "block"
        state.append_token({"type": f"{kind}_math", "raw": match[kind]})
        return match.end()

    md.inline.register("inline_math", FORMULA, parse, before="codespan")


def mathml(formula: str, display: str) -> str:
    """Return a formula of LaTeX as MathML, or as it stands if it is none."""
    try:
        if len(formula) > LONGEST:
            raise ValueError(f"a formula has {len(formula)} characters")
        root = Converter(xmlns=MATHML, display=display).convert_to_element(formula)
        return "".join(_written(root))
    except Exception:
        return f"<code>{escape(formula)}</code>"


def _written(element: ElementTree.Element) -> Iterator[str]:
    """Yield the parts of MathML.

    The library's own text has what stood in `\\text{…}` unescaped, and attributes that act.
    """
    if not (element.tag.startswith("m") and element.tag.isalpha()):
        raise ValueError(f"{element.tag} is no element of MathML")
    looks = [f' {k}="{escape(v)}"' for k, v in element.attrib.items() if k in LOOKS]
    yield f"<{element.tag}{''.join(looks)}>"
    yield str(escape(html.unescape(element.text or "")))
    for child in element:
        yield from _written(child)
    yield f"</{element.tag}>"
