"""A notebook as one HTML page that needs no network: MathML formulas, figures with alt texts."""

from pathlib import Path
from typing import Any

import nbformat
from jinja2 import DictLoader, pass_context
from latex2mathml.converter import convert
from nbconvert import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

STYLE = Path(__file__).with_name("page.css")
# nbconvert's own pages load MathJax and others from the network, and have no alt texts; the
# notebooks keep these in the metadata of each picture.
PAGE = """{% extends "basic/index.html.j2" %}
{% block header %}<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ resources.metadata.name | escape_html }}</title>
<style>{{ resources.page_style }}</style>
</head>
<body><main>{% endblock header %}
{% block footer %}</main></body>
</html>{% endblock footer %}
{% block data_png scoped %}
{% set alt = output | get_metadata("alt", "image/png") or "" %}
{{ super() | replace("<img ", '<img alt="' ~ alt | escape_html ~ '" ') }}
{% endblock data_png %}"""


class Renderer(IPythonRenderer):
    """Renders formulas as MathML."""

    def block_math(self, body: str) -> str:
        """Render a formula that stands by itself."""
        return convert(body, display="block")

    def inline_math(self, body: str) -> str:
        """Render a formula within a line."""
        return convert(body)


class Page(HTMLExporter):
    """Writes such pages."""

    @pass_context
    def markdown2html(self, context: Any, source: str) -> str:  # noqa: ANN401  # Jinja's
        """Render Markdown with formulas."""
        renderer = Renderer(escape=False, exclude_anchor_links=True)
        return str(MarkdownWithMath(renderer=renderer).render(source))


def to_html(notebook: nbformat.NotebookNode, title: str) -> str:
    """Return the notebook as one HTML page called `title`."""
    exporter = Page(
        extra_loaders=[DictLoader({"page.html.j2": PAGE})],
        template_file="page.html.j2",
        exclude_input_prompt=True,
        exclude_output_prompt=True,
    )
    style = STYLE.read_text(encoding="utf-8")
    resources = {"page_style": style, "metadata": {"name": title}}
    return str(exporter.from_notebook_node(notebook, resources)[0])
