"""Build the static site from what the project holds, without a network.

python -m tools.site [FOLDER]        build/site/index.html, or another folder's

The notebooks are shown as they are committed; run `make notebooks` first to show a new run.
"""

import os
import re
import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
from sphinx.cmd.build import build_main

ROOT = Path(__file__).parent.parent
SITE = ROOT / "build" / "site"
TEXTS = ("INSTALL.md", "INSTRUCTOR.md")
FIRST = ("mlp", "training", "cnn")  # of the modules: those that students write
# GitHub tells its workflows where they run; elsewhere nothing is known of an address.
REPOSITORY = os.environ.get("GITHUB_REPOSITORY")
BLOB = f"https://github.com/{REPOSITORY}/blob/main"
LINK = re.compile(r"(?<!!)\[([^\]]*)\]\((?!https?:|#)([^)#]*)(#[^)]*)?\)")


def gather(source: Path) -> None:
    """Copy to the folder `source` all that the site is made of."""
    shutil.copytree(ROOT / "site", source, dirs_exist_ok=True)
    for folder in ("figures", "notebooks"):
        (source / folder).mkdir()
    shutil.copy(ROOT / "figures" / "figure_8_duel.png", source / "figures")
    for name in TEXTS:
        (source / name).write_text(_linked((ROOT / name).read_text(encoding="utf-8")), "utf-8")
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        (source / "notebooks" / path.name).write_text(_with_alt_texts(path), encoding="utf-8")
    (source / "api.md").write_text(_api(), encoding="utf-8")


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
    site = Path(sys.argv[1]) if len(sys.argv) > 1 else SITE
    shutil.rmtree(site, ignore_errors=True)
    with TemporaryDirectory() as source:
        gather(Path(source))
        # A warning is an error: a link that leads nowhere, a formula that cannot be read.
        if status := build_main(["-W", "--keep-going", "-q", source, str(site)]):
            sys.exit(status)
    (site / "figures").mkdir()
    shutil.copy(ROOT / "figures" / "playground.html", site / "figures")
    print(f"wrote {site}/index.html")
    print("Left out: notebook 1 in the browser. JupyterLite needs NumPy for Pyodide; try it first.")


if __name__ == "__main__":
    main()
