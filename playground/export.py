"""A page to play with: draw a digit, and see both networks think.

`export_playground` writes trained networks into one HTML file that needs no server, no connection
and no installation. The page's source lies in `page/`: JavaScript modules, which become one script.
What they compute is compared with NumPy and PyTorch by the tests.
"""

from __future__ import annotations

import gzip
import json
import os
import re
from base64 import b64encode
from collections.abc import Iterator
from copy import copy
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import numpy as np
from IPython.display import HTML, display
from numpy.typing import NDArray

from helpers.mlp import MLP, PARAMETERS
from helpers.mnist import Digits, Split
from machine.files import atomic_write
from playground.content import Json, pack, usual_belief
from plotting.figures import checked

if TYPE_CHECKING:
    from helpers.cnn import Net

SOURCE = Path(__file__).with_name("page")
IMPORT = re.compile(r'^import \{[^}]*\} from "\./([\w.-]+)";\n', re.MULTILINE)
RECORD_CNN = Path(__file__).with_name("record_cnn.json")  # written by benchmarks/page_cnn.py
JUDGED = 2000  # new images that tell how sure the networks usually are
TRAINING_IMAGES, VALIDATION_IMAGES = 2500, 500  # that the page learns from, and is judged by


def export_playground(path: str | Path, digits: Digits, mlp: MLP, cnn: Net | None = None) -> None:
    """Write a page on which `mlp` and, if there is one, `cnn` read what is drawn.

    On MNIST a third network can take the place of `cnn`: that of the record's recipe. The page's
    sample digits are the first of each class among the test images; a network that is trained
    within the page learns from the first training images. The networks may have more or fewer
    units and layers than those of the notebooks. All or nothing is written.
    Raises ValueError for a network that is not finite or that the page cannot compute, and for test
    images that lack a class; OSError if the file cannot be written.
    """
    record = json.loads(RECORD_CNN.read_text(encoding="utf-8"))
    networks = {
        "source": digits.source,
        "classes": asdict(digits.classes),
        "mlp": _describe_mlp(mlp),
        "cnn": _describe_cnn(cnn),
        "record": record["layers"] if cnn and digits.source == "MNIST" else None,
        "sure": _usual_beliefs(mlp, cnn, digits.validation.first(JUDGED).images)
        | {"record": record["sure"]},
        "samples": _samples(digits.test),
        "images": {
            "train": _pack_images(digits.train.first(TRAINING_IMAGES)),
            "validation": _pack_images(digits.validation.first(VALIDATION_IMAGES)),
        },
    }
    page = assemble(json.dumps(networks))
    with atomic_write(Path(path)) as file:
        file.write(page.encode())


def show_playground(path: str | Path) -> None:
    """Show the exported page inside the notebook, with a link to it."""
    # Relative to the notebook, so that it works from a web server, a file and a moved folder.
    link = quote(Path(os.path.relpath(path)).as_posix())
    display(
        HTML(
            f'<p>If no page appears below, open <a href="{link}" target="_blank">{link}</a> in a '
            f'browser.</p>\n<iframe src="{link}" title="Draw a digit, and see both networks think" '
            'width="100%" height="820" style="border: 0"></iframe>'
        )
    )


def assemble(networks: str) -> str:
    """Return the page with its style, its scripts and the JSON text `networks` inside."""
    # In JSON "<" occurs in strings alone, where its code says the same and cannot end the script.
    parts = {"networks.json": networks.replace("<", r"\u003c"), "style.css": _source("style.css")}
    bundled: set[str] = set()

    def part(marker: re.Match[str]) -> str:
        name = marker[1]
        return parts[name] if name in parts else bundle(name, bundled)

    return re.sub(r"\{\{ ([\w.]+) \}\}", part, _source("page.html"))


def bundle(module: str, bundled: set[str] | None = None) -> str:
    """Return a module of the page and all that it imports as one script, without what is `bundled`.

    The names at the top of all modules must differ, as they share one scope. Those that the script
    holds are added to `bundled`.
    """
    return '"use strict";\n\n' + "\n\n".join(
        _in_order(module, set() if bundled is None else bundled)
    )


def _in_order(module: str, bundled: set[str]) -> Iterator[str]:
    """Give the sources of a module's imports, then its own, each module once."""
    if module in bundled:
        return
    bundled.add(module)
    source = _source(module)
    for name in IMPORT.findall(source):
        yield from _in_order(name, bundled)
    yield re.sub(r"^export ", "", IMPORT.sub("", source), flags=re.MULTILINE).strip()


def _source(name: str) -> str:
    return (SOURCE / name).read_text(encoding="utf-8").rstrip()


def _pack_images(split: Split) -> Json:
    """Return labelled images, 8 bits a pixel: their labels as digits, their bytes as gzip."""
    pixels = (split.images * 255).round().astype(np.uint8)
    packed = gzip.compress(pixels.tobytes(), mtime=0)
    return {"labels": "".join(map(str, split.labels)), "gzip": b64encode(packed).decode()}


def saved_cnn(path: str | Path) -> Net | None:
    """Return the network that notebook 2 saved at `path`; None before that, or without PyTorch."""
    if find_spec("torch") is None:
        return None
    from helpers.cnn import load_network_if_any  # here, as the MLP's page needs no PyTorch

    return load_network_if_any(path)


def _describe_cnn(cnn: Net | None) -> list[Json] | None:
    """Return the layers, in order, if there is a network."""
    if cnn is None:
        return None
    from playground.layers import describe_cnn

    return describe_cnn(cnn)


def _usual_beliefs(mlp: MLP, cnn: Net | None, images: NDArray[np.floating]) -> dict[str, float]:
    """Return how sure the networks usually are of new images (N, 784)."""
    beliefs = {"mlp": usual_belief(copy(mlp).forward(images))}  # it keeps its last pass
    if cnn is not None:
        from helpers.cnn import predict_probabilities

        beliefs["cnn"] = usual_belief(predict_probabilities(cnn, images))
    return beliefs


def export_weights(path: str | Path, mlp: MLP | None = None, cnn: Net | None = None) -> None:
    """Write the weights of one network or both for the page, which loads them when it is open.

    The file is JSON, so that nothing in it can be run. All or nothing is written.
    Raises ValueError if there is no network, or one that the page cannot compute; OSError if the
    file cannot be written.
    """
    if mlp is None and cnn is None:
        raise ValueError("mlp and cnn are both None; wanted at least one network.")
    networks = {
        "mlp": None if mlp is None else _describe_mlp(mlp),
        "cnn": _describe_cnn(cnn),
    }
    with atomic_write(Path(path)) as file:
        file.write(json.dumps(networks).encode())


def _describe_mlp(mlp: MLP) -> Json:
    """Return the four parameters."""
    units = len(mlp.W1)
    shapes = {"W1": ("units", 784), "b1": (units,), "W2": (10, units), "b2": (10,)}
    return {name: pack(checked(name, getattr(mlp, name), *shapes[name])) for name in PARAMETERS}


def _samples(test: Split) -> list[Json]:
    """Return the first image of each digit."""
    missing = set(range(10)).difference(test.labels.tolist())
    if missing:
        raise ValueError(
            f"The test images show no {min(missing)}; wanted each digit once at least."
        )
    return [pack(test.images[test.labels == digit][0]) for digit in range(10)]
