"""Make the zip file that sets up Gradescope's autograder: python -m tools.autograder [--unsafe].

Source: Gradescope's "Autograder Specifications": `setup.sh` runs when the image is built, and
`run_autograder` for each submission in /autograder/submission.
"""

import argparse
import stat
import zipfile
from pathlib import Path

from machine.files import atomic_write

ROOT = Path(__file__).parent.parent
SHIPPED = (
    "pyproject.toml", "requirements.txt", "README.md", "LICENSE", "helpers/*", "machine/*",
    "checks/*", "plotting/*", "playground/*.py", "playground/page/*", "grading/**/*",
    "notebooks/*.ipynb",
)  # fmt: skip
SETUP = """\
#!/usr/bin/env bash
# Runs once, as root, when the image is built.
set -euo pipefail
cd "$(dirname "$0")/project"
apt-get update
apt-get install --yes bubblewrap libseccomp2 python3-venv
python3 -m venv .venv
.venv/bin/python -m pip install --constraint requirements.txt --editable '.[grading]'
"""
RUN = """\
#!/usr/bin/env bash
# Runs for each submission. What is to be looked at by hand (exit status 1) is told in the answer.
set -euo pipefail
here=${{AUTOGRADER:-/autograder}}
cd "$here/source/project"
marks=$(mktemp -d)
trap 'rm -rf "$marks"' EXIT
.venv/bin/python -m grading "$here/submission" --from folders --out "$marks" {options} || [ $? = 1 ]
.venv/bin/python -m grading.exports "$marks" --answer gradescope --to "$here/results/results.json"
"""


def write_autograder(target: Path, *, unsafe: bool = False, root: Path = ROOT) -> None:
    """Write the zip file `target`. With `unsafe`, students' code runs without a sandbox."""
    scripts = {"setup.sh": SETUP, "run_autograder": RUN.format(options="--unsafe" * unsafe)}
    paths = sorted({path for pattern in SHIPPED for path in root.glob(pattern)})
    target.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(target) as file, zipfile.ZipFile(file, "w") as archive:
        for name, text in scripts.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = (stat.S_IFREG | 0o755) << 16
            archive.writestr(entry, text)
        for path in paths:
            if path.is_file() and "__pycache__" not in path.parts:
                name = f"project/{path.relative_to(root).as_posix()}"
                archive.write(path, name, zipfile.ZIP_DEFLATED)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--unsafe", action="store_true", help="mark without a sandbox, where none can be had"
    )
    target = ROOT / "build" / "autograder.zip"
    write_autograder(target, unsafe=parser.parse_args().unsafe)
    print(f"wrote {target.relative_to(ROOT)}: upload it as Gradescope's autograder.")


if __name__ == "__main__":
    main()
