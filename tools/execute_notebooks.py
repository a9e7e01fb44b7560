"""Execute notebooks with visible progress.

python -m tools.execute_notebooks NOTEBOOK ...            executed copies, ipynb and HTML, in build/
python -m tools.execute_notebooks --inplace NOTEBOOK ...  the notebooks themselves (maintainers)

Copies are executed all at once. In place it is one after the other, as times are committed too.
"""

import argparse
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from html import unescape
from multiprocessing import get_context
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from tqdm import tqdm

from machine.files import atomic_write
from tools.digest import code_digest
from tools.page import to_html

BUILD = Path("build")
CELL_SECONDS = 4 * 3600  # the longest training takes two minutes; a busy machine may need many more
WIDGET_STATE = "application/vnd.jupyter.widget-state+json"
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"


def execute(path: Path, line: int = 0) -> nbformat.NotebookNode:
    """Run all cells of the notebook at `path` in its own folder, and return it with its outputs.

    The progress bar is drawn so many lines below the cursor.
    """
    notebook = nbformat.read(path, as_version=4)
    n_cells = sum(cell.cell_type == "code" for cell in notebook.cells)
    with tqdm(total=n_cells, desc=path.stem, unit="cell", position=line) as progress:
        client = NotebookClient(
            notebook,
            timeout=CELL_SECONDS,
            record_timing=False,
            coalesce_streams=True,
            extra_arguments=["--IPKernelApp.log_level=ERROR"],
            resources={"metadata": {"path": str(path.parent)}},
            on_cell_executed=lambda **_: progress.update(),
        )
        client.execute()
    notebook.metadata["code_digest"] = code_digest(notebook)  # for the guard in tests/
    notebook.metadata["language_info"] = {"name": "python"}  # the rest differs between machines
    settle_widgets(notebook)
    return notebook


def settle_widgets(notebook: nbformat.NotebookNode) -> None:
    """Put text for live widgets: progress bars as they were in the end, questions as they stand.

    A page without a kernel can't draw them; it would show bars at 0 %.
    """
    saved = notebook.metadata.pop("widgets", {}).get(WIDGET_STATE, {"state": {}})
    models = {f"IPY_MODEL_{name}": model["state"] for name, model in saved["state"].items()}
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if WIDGET_VIEW in output.get("data", {}):
                bar = models[f"IPY_MODEL_{output.data.pop(WIDGET_VIEW)['model_id']}"]
                if bar["_model_name"] != "HBoxModel":  # tqdm's; a question has its own text
                    continue
                percent, blocks, count = (models[child] for child in bar["children"])
                drawn = "█" * int(10 * blocks["value"] / blocks["max"])
                output.data["text/plain"] = unescape(
                    f"{percent['value']}|{drawn:10s}|{count['value']}"
                ).replace("\u2007", " ")


def write(path: Path, text: str) -> None:
    """Write `text` to `path`, all or nothing, and say so."""
    with atomic_write(path) as file:
        file.write(text.encode())
    print(f"wrote {path}")


def produce(path: Path, line: int, *, inplace: bool) -> bool:
    """Write what comes out of the notebook at `path`; say so and return False if a cell fails."""
    try:
        notebook = execute(path, line)
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        print(f"{path} stopped at a cell that failed:\n{error}", file=sys.stderr)
        return False
    target = path if inplace else BUILD / path.name
    write(target, nbformat.writes(notebook) + "\n")
    if not inplace:
        write(target.with_suffix(".html"), to_html(notebook, path.stem))
    return True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("notebooks", nargs="+", type=Path)
    parser.add_argument("--inplace", action="store_true")
    arguments = parser.parse_args()
    paths, inplace = arguments.notebooks, arguments.inplace
    with ProcessPoolExecutor(1 if inplace else len(paths), get_context("spawn")) as pool:
        done = list(pool.map(partial(produce, inplace=inplace), paths, range(len(paths))))
    if not all(done):
        sys.exit(1)


if __name__ == "__main__":
    main()
