"""A page to play with: draw a digit, and see both networks think.

`export_playground` writes trained networks into one HTML file that needs no server, no connection
and no installation. The page's source lies in `playground_page/`; its forward passes are those of
`networks.js`, which the tests compare with NumPy and PyTorch.
"""

import json
import os
import re
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from IPython.display import HTML, display
from numpy.typing import ArrayLike
from torch import Tensor, nn

from helpers.cnn import Net
from helpers.files import atomic_write
from helpers.mlp import MLP, PARAMETERS
from helpers.mnist import Digits, Split
from plotting.figures import checked

SOURCE = Path(__file__).with_name("page")
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

    Its sample digits are the first of each class among the test images. The networks may have more
    or fewer units and layers than those of the notebooks. All or nothing is written.
    Raises ValueError for a network that is not finite or that the page cannot compute, and for test
    images that lack a class; OSError if the file cannot be written.
    """
    networks = {
        "source": digits.source,
        "mlp": _describe_mlp(mlp),
        "cnn": None if cnn is None else _describe_cnn(cnn),
        "samples": _samples(digits.test),
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
    parts = {"networks.json": networks.replace("<", r"\u003c")}

    def part(marker: re.Match[str]) -> str:
        name = marker[1]
        return parts.get(name) or (SOURCE / name).read_text(encoding="utf-8").rstrip()

    page = (SOURCE / "page.html").read_text(encoding="utf-8")
    return re.sub(r"\{\{ ([\w.]+) \}\}", part, page)


def _pack(values: ArrayLike) -> Json:
    """Return an array as its shape and its values, little-endian float32 in base 64."""
    array = np.asarray(values, dtype="<f4")
    return {"shape": array.shape, "base64": b64encode(array.tobytes()).decode()}


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
