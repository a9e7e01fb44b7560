"""Measure how fast the project is, beside what a user would pick instead.

python -m benchmarks                   everything: results.json, results.md, figures, README
python -m benchmarks --only mlp cnn    these sections; the others stay as they are on file
"""

import argparse
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.measure import N_CORES, environment, keep_to_cores, say

# Each section's module, and how many rounds it takes. None is imported before it is needed, since
# the processes that are timed import this module too.
SECTIONS = {
    "mlp": ("benchmarks.mlp_epoch", 9),
    "cnn": ("benchmarks.cnn_epoch", 5),
    "gpu": ("benchmarks.gpu_epoch", 5),
    "size": ("benchmarks.cost", 5),
    "neighbour": ("benchmarks.neighbour", 5),
    "waiting": ("benchmarks.waiting", 3),
}
FOLDER = Path(__file__).parent


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=list(SECTIONS))
    parser.add_argument("--repeats", type=int, help="rounds; each section has its own default")
    parser.add_argument("--images", type=int, default=50_000, help="fewer, for a quick trial")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the results go")
    arguments = parser.parse_args()
    keep_to_cores(N_CORES)
    for name in arguments.only:
        module, repeats = SECTIONS[name]
        say(f"== {name}")
        with environment({}):
            measured = import_module(module).run(arguments.repeats or repeats, arguments.images)
            publish(arguments.folder, name, measured)


def publish(folder: Path, name: str, measured: dict[str, Any]) -> None:
    """Put a section on file, and write report, figures and README anew."""
    from benchmarks import figures, report, results
    from helpers.files import atomic_write

    everything = results.read(folder / "results.json")
    everything[name] = {"machine": results.machine()} | measured
    results.write(folder / "results.json", everything)
    figures.draw(everything, folder)
    with atomic_write(folder / "results.md") as file:
        file.write(report.to_markdown(everything).encode())
    if folder == FOLDER:
        readme = FOLDER.parent / "README.md"
        text = report.update_readme(readme.read_text(encoding="utf-8"), everything)
        with atomic_write(readme) as file:
            file.write(text.encode())


if __name__ == "__main__":
    main()
