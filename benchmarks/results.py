"""The results file: one entry a section, kept until the section is measured again."""

import json
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy  # noqa: F401  # loads the BLAS that is looked for below
from threadpoolctl import threadpool_info

from benchmarks.measure import available_cores
from helpers.files import atomic_write

Section = dict[str, Any]
Results = dict[str, Section]

FILE = Path(__file__).with_name("results.json")
LIBRARIES = ("numpy", "torch", "torchvision", "scikit-learn", "jax", "keras")


def read(path: Path) -> Results:
    """Return what is on file, or nothing where there is no file.

    Raises ValueError if the file is not what `write` makes.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise ValueError(f"{path} is damaged ({error}); delete it and measure again.") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds a {type(content).__name__}; delete it and measure again.")
    return content


def write(path: Path, results: Results) -> None:
    """Write all results, rounded to what a clock can tell, all or nothing."""
    with atomic_write(path) as file:
        file.write((json.dumps(rounded(results), indent=1) + "\n").encode())


def machine() -> dict[str, Any]:
    """Return where a section was measured: the cores in use and the versions of the libraries."""
    facts = {"cores": available_cores(), "system": platform.system()}
    return facts | {"python": platform.python_version()} | versions() | {"BLAS of NumPy": blas()}


def blas() -> str:
    """Return which library multiplies NumPy's matrices, and for which kind of processor."""
    for library in threadpool_info():
        if library["user_api"] == "blas" and "numpy" in library["filepath"]:
            kernels = library.get("architecture", "unknown")
            return f"{library['internal_api']} {library['version']} with {kernels} kernels"
    return "unknown"


def versions() -> dict[str, str]:
    """Return the version of each library that is installed."""
    found = {}
    for library in LIBRARIES:
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            continue
    return found


def rounded(value: Any) -> Any:  # noqa: ANN401  # whatever JSON holds
    """Return `value` with every float in it rounded to five significant digits."""
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    return [rounded(item) for item in value] if isinstance(value, list) else value
