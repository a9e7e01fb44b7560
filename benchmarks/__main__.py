"""Measure how fast the project is, beside what a user would pick instead.

python -m benchmarks                   everything: results.json, results.md, cost.png, README
python -m benchmarks --only mlp cnn    these sections; the others stay as they are on file
"""

import argparse
import json
import platform
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from benchmarks.measure import environment, keep_to_cores
from machine.threads import available_cores

ROUNDS = {"mlp": 9, "cnn": 5, "gpu": 5, "size": 5, "neighbour": 5, "waiting": 3}
N_CORES = 2  # what everything is measured on, also where there are more
LIBRARIES = ("numpy", "torch", "torchvision", "scikit-learn", "jax", "keras")
FOLDER = Path(__file__).parent


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=ROUNDS, default=list(ROUNDS))
    parser.add_argument("--repeats", type=int, help="rounds; each section has its own default")
    parser.add_argument("--images", type=int, default=50_000, help="fewer, for a quick trial")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the results go")
    arguments = parser.parse_args()
    keep_to_cores(N_CORES)
    # Imported here, since the processes that are timed import this module too.
    from benchmarks import sections

    for name in arguments.only:
        print(f"== {name}", flush=True)
        with environment({}):
            rounds = arguments.repeats or ROUNDS[name]
            publish(arguments.folder, name, sections.RUN[name](rounds, arguments.images))


def publish(folder: Path, name: str, measured: dict[str, Any]) -> None:
    """Put a section on file, and write report, figure and README anew."""
    from benchmarks import report
    from machine.files import atomic_write

    results = read(folder / "results.json") | {name: {"machine": machine()} | measured}
    text = json.dumps(results)
    # A clock can tell no more than five digits.
    results = json.loads(text, parse_float=lambda number: float(f"{float(number):.5g}"))
    texts = {
        folder / "results.json": json.dumps(results, indent=1) + "\n",
        folder / "results.md": report.to_markdown(results),
    }
    if folder == FOLDER:
        readme = FOLDER.parent / "README.md"
        texts[readme] = report.update_readme(readme.read_text(encoding="utf-8"), results)
    for path, text in texts.items():
        with atomic_write(path) as file:
            file.write(text.encode())
    if "size" in results:
        with atomic_write(folder / "cost.png") as file:
            report.draw_costs(results["size"], file)


def read(path: Path) -> dict[str, Any]:
    """Return the results on file by section, or none where there is no file.

    Raises ValueError if the file is damaged.
    """
    try:
        return {**json.loads(path.read_text(encoding="utf-8"))} if path.exists() else {}
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path} is damaged ({error}); delete it and measure again.") from error


def machine() -> dict[str, Any]:
    """Return where a section was measured: the cores in use and the versions of the libraries."""
    import numpy  # noqa: F401  # loads the BLAS
    import torch
    from threadpoolctl import threadpool_info

    facts = {"cores": available_cores(), "system": platform.system()}
    installed = {found.name: found.version for found in distributions()}
    facts |= {"python": platform.python_version()} | {
        name: installed[name] for name in LIBRARIES if name in installed
    }
    if torch.cuda.is_available():
        facts["GPU"] = torch.cuda.get_device_name()
    for library in threadpool_info():
        if library["user_api"] == "blas" and "numpy" in library["filepath"]:
            kernels = f"{library.get('architecture', 'unknown')} kernels"
            facts["BLAS of NumPy"] = (
                f"{library['internal_api']} {library['version']} with {kernels}"
            )
    return facts


if __name__ == "__main__":
    main()
