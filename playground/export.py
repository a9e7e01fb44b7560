"""A page to play with: draw a digit, and see both networks think.

`export_playground` writes trained networks into one HTML file that needs no server, no connection
and no installation. The page's source lies in `page/`: JavaScript modules, which become one script.
What they compute is compared with NumPy and PyTorch by the tests.
"""

import gzip
import json
import os
import re
from base64 import b64encode
from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from IPython.display import HTML, display
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from helpers.cnn import Net, predict_probabilities
from helpers.files import atomic_write
from helpers.mlp import MLP, PARAMETERS
from helpers.mnist import Digits, Split
from plotting.figures import checked

SOURCE = Path(__file__).with_name("page")
IMPORT = re.compile(r'^import \{[^}]*\} from "\./([\w.-]+)";\n', re.MULTILINE)
RECORD_CNN = Path(__file__).with_name("record_cnn.json")  # written by benchmarks/page_cnn.py
JUDGED = 2000  # new images that tell how sure the networks usually are
TRAINING_IMAGES, VALIDATION_IMAGES = 2500, 500  # that the page learns from, and is judged by
Json = dict[str, Any]

# The layers that networks.js has, as it has them. Nothing is drawn or stored on "meta".
KNOWN_LAYERS: dict[str, Callable[[Any], nn.Module]] = {
    "Conv2d": lambda layer: nn.Conv2d(
        layer.in_channels, layer.out_channels, layer.kernel_size, device="meta"
    ),
    "MaxPool2d": lambda layer: nn.MaxPool2d(layer.kernel_size),
    "ReLU": lambda layer: nn.ReLU(),
    "Flatten": lambda layer: nn.Flatten(),
    "Linear": lambda layer: nn.Linear(layer.in_features, layer.out_features, device="meta"),
}


def export_playground(path: str | Path, digits: Digits, mlp: MLP, cnn: Net | None = None) -> None:
    """Write a page on which `mlp` and, if there is one, `cnn` read what is drawn.

    On MNIST a third network can take the place of `cnn`: that of the record's recipe. The page's
    sample digits are the first of each class among the test images; a network that is trained
    within the page learns from the first training images. The networks may have more or fewer
    units and layers than those of the notebooks. All or nothing is written.
    Raises ValueError for a network that is not finite or that the page cannot compute, and for test
    images that lack a class; OSError if the file cannot be written.
    """
    new = digits.validation.first(JUDGED).images
    record = json.loads(RECORD_CNN.read_text(encoding="utf-8"))
    networks = {
        "source": digits.source,
        "classes": asdict(digits.classes),
        "mlp": _describe_mlp(mlp),
        "cnn": None if cnn is None else _describe_cnn(cnn),
        "record": record["layers"] if cnn and digits.source == "MNIST" else None,
        "sure": {
            "mlp": _usual_belief(copy(mlp).forward(new)),  # it keeps its last pass
            "cnn": cnn and _usual_belief(predict_probabilities(cnn, new)),
            "record": record["sure"],
        },
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


def _pack(values: ArrayLike) -> Json:
    """Return an array as its shape and its values, little-endian float32 in base 64."""
    array = np.asarray(values, dtype="<f4")
    return {"shape": array.shape, "base64": b64encode(array.tobytes()).decode()}


def _pack_images(split: Split) -> Json:
    """Return labelled images, 8 bits a pixel: their labels as digits, their bytes as gzip."""
    pixels = (split.images * 255).round().astype(np.uint8)
    packed = gzip.compress(pixels.tobytes(), mtime=0)
    return {"labels": "".join(map(str, split.labels)), "gzip": b64encode(packed).decode()}


def _usual_belief(probabilities: NDArray[np.floating]) -> float:
    """Return the belief in its answer that a network reaches for 95 of 100 images, (N, 10)."""
    return float(np.quantile(probabilities.max(axis=1), 0.05))


def export_record_cnn(cnn: Net, digits: Digits) -> None:
    """Write the network that pages on MNIST carry beside the notebook's, for all later pages.

    Raises ValueError for a network that the page cannot compute.
    """
    beliefs = predict_probabilities(cnn, digits.validation.first(JUDGED).images)
    content = {"layers": _describe_cnn(cnn), "sure": _usual_belief(beliefs)}
    with atomic_write(RECORD_CNN) as file:
        file.write(json.dumps(content).encode())


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
        "cnn": None if cnn is None else _describe_cnn(cnn),
    }
    with atomic_write(Path(path)) as file:
        file.write(json.dumps(networks).encode())


def _describe_mlp(mlp: MLP) -> Json:
    """Return the four parameters."""
    units = len(mlp.W1)
    shapes = {"W1": ("units", 784), "b1": (units,), "W2": (10, units), "b2": (10,)}
    return {name: _pack(checked(name, getattr(mlp, name), *shapes[name])) for name in PARAMETERS}


def _describe_cnn(cnn: Net) -> list[Json]:
    """Return the layers, in order."""
    layers = [_describe_layer(name, layer) for name, layer in cnn.layers.named_children()]
    if not layers or layers[-1]["weight"]["shape"][0] != 10:
        raise ValueError("layers: wanted a last layer with 10 outputs, one for each digit.")
    return layers


def _describe_layer(name: str, layer: nn.Module) -> Json:
    """Return what a layer is called and is, with its parameters."""
    kind = type(layer).__name__
    # A layer's repr tells all settings that are not PyTorch's defaults, such as padding.
    if kind not in KNOWN_LAYERS or repr(KNOWN_LAYERS[kind](layer)) != repr(layer):
        raise ValueError(
            f"{name} is {layer}; the page knows {', '.join(KNOWN_LAYERS)} with PyTorch's defaults."
        )
    described: Json = {"name": name, "kind": kind}
    if isinstance(layer, nn.MaxPool2d):
        described["size"] = layer.kernel_size
    for parameter, values in layer.named_parameters():
        array = _as_array(values)
        described[parameter] = _pack(checked(f"{name}.{parameter}", array, *array.shape))
    return described


def _as_array(values: Tensor) -> np.ndarray:
    array: np.ndarray = values.detach().cpu().numpy()
    return array


def _samples(test: Split) -> list[Json]:
    """Return the first image of each digit."""
    missing = set(range(10)).difference(test.labels.tolist())
    if missing:
        raise ValueError(
            f"The test images show no {min(missing)}; wanted each digit once at least."
        )
    return [_pack(test.images[test.labels == digit][0]) for digit in range(10)]
