"""Build the static site from what the project holds, without a network.

python -m tools.site        build/site/index.html

The notebooks are shown as they are committed; run `make notebooks` first to show a new run.
"""

import os
import re
import shutil
import sys
from pathlib import Path

import nbformat
from sphinx.cmd.build import build_main

ROOT = Path(__file__).parent.parent
SOURCE, SITE = ROOT / "build" / "site-source", ROOT / "build" / "site"
TEXTS = ("INSTALL.md", "INSTRUCTOR.md")
FIRST = ("mlp", "training", "cnn")  # of the modules: those that students write
# GitHub tells its workflows where they run; elsewhere nothing is known of an address.
REPOSITORY = os.environ.get("GITHUB_REPOSITORY")
BLOB = f"https://github.com/{REPOSITORY}/blob/main"
LINK = re.compile(r"(?<!!)\[([^\]]*)\]\((?!https?:|#)([^)#]*)(#[^)]*)?\)")


def gather() -> None:
    """Copy to SOURCE all that the site is made of."""
    shutil.rmtree(SOURCE, ignore_errors=True)
    shutil.copytree(ROOT / "site", SOURCE)
    (SOURCE / "figures").mkdir()
    shutil.copy(ROOT / "figures" / "figure_8_duel.png", SOURCE / "figures")
    for name in TEXTS:
        (SOURCE / name).write_text(_linked((ROOT / name).read_text(encoding="utf-8")), "utf-8")
    (SOURCE / "notebooks").mkdir()
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        (SOURCE / "notebooks" / path.name).write_text(_with_alt_texts(path), encoding="utf-8")
    (SOURCE / "api.md").write_text(_api(), encoding="utf-8")


def _linked(text: str) -> str:
    """Let links to files that the site lacks lead to the repository, or nowhere without one."""

    def link(found: re.Match[str]) -> str:
        words, target, _ = found.groups()
        if target in TEXTS:
            return found[0]
        return f"[{words}]({BLOB}/{target})" if REPOSITORY else words

    return LINK.sub(link, text)


def _with_alt_texts(path: Path) -> str:
    """Return a notebook that tells MyST-NB the alt texts, which it keeps with its pictures."""
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            alt = output.get("metadata", {}).get("image/png", {}).get("alt")
            if alt:
                cell.metadata["mystnb"] = {"image": {"alt": alt}}
    return nbformat.writes(notebook)


def _api() -> str:
    """Return the page that describes all functions of helpers/."""
    names = {path.stem for path in (ROOT / "helpers").glob("[!_]*.py")}
    modules = [*FIRST, *sorted(names.difference(FIRST))]
    parts = [
        f"## {name}\n\n```{{eval-rst}}\n.. automodule:: helpers.{name}\n   :members:\n```"
        for name in modules
    ]
    return "\n\n".join(["# The functions of helpers/", *parts, ""])


def main() -> None:
    gather()
    shutil.rmtree(SITE, ignore_errors=True)
    if status := build_main(["-W", "--keep-going", "-q", str(SOURCE), str(SITE)]):
        sys.exit(status)
    (SITE / "figures").mkdir()
    shutil.copy(ROOT / "figures" / "playground.html", SITE / "figures")
    print(f"wrote {SITE}/index.html")


if __name__ == "__main__":
    main()
