"""The networks inside the committed page, and its pen, for what is measured with drawings."""

import json
import re
from base64 import b64decode
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from helpers.cnn import Net, predict_probabilities
from helpers.mlp import MLP, PARAMETERS
from machine.files import atomic_write
from playground.handwriting import as_mnist

ROOT = Path(__file__).parent.parent
SIDE, PEN = 280, 22  # of the page's paper, and of its pen as it is at first
NAMES = {"mlp": "MLP", "cnn": "CNN", "record": "CNN of the record's recipe"}
Images = NDArray[np.float32]
Json = dict[str, Any]


def page_content() -> Json:
    """Return the JSON inside the committed page."""
    page = (ROOT / "figures" / "playground.html").read_text(encoding="utf-8")
    content: Json = json.loads(re.findall(r'(?s)id="networks">(.*?)</script>', page)[0])
    return content


def beliefs(content: Json, images: Images) -> dict[str, Images]:
    """Return what the networks of the page, by their names, believe of `images` (N, 784)."""
    mlp = MLP()
    for name in PARAMETERS:
        setattr(mlp, name, _array(content["mlp"][name]))
    cnns = {name: network_of(content[name]) for name in ("cnn", "record")}
    read = {name: predict_probabilities(cnn, images) for name, cnn in cnns.items() if cnn}
    return {"mlp": mlp.forward(images), **read}


def network_of(layers: list[Json] | None) -> Net | None:
    """Return the network whose layers a page describes, if there is one."""
    if layers is None:
        return None
    cnn = Net()
    for layer in layers:
        for name, values in getattr(cnn.layers, layer["name"]).named_parameters():
            values.data = torch.from_numpy(_array(layer[name]))
    return cnn.eval()


def _array(packed: Json) -> Images:
    return np.frombuffer(b64decode(packed["base64"]), "<f4").reshape(packed["shape"]).copy()


class Paper:
    """The page's paper, and its round pen."""

    def __init__(self, pen: float = PEN) -> None:
        self.image = Image.new("L", (SIDE, SIDE))
        self.draw = ImageDraw.Draw(self.image)
        self.pen = pen

    def stroke(self, points: NDArray[np.float64]) -> None:
        """Draw a line through `points` (N, 2) of x and y."""
        places = [(float(x), float(y)) for x, y in points]
        self.draw.line(places, fill=255, width=round(self.pen))
        for x, y in places:
            r = self.pen / 2
            self.draw.ellipse((x - r, y - r, x + r, y + r), fill=255)

    def seen(self) -> Images:
        """Return the drawing as the networks see it, (784,)."""
        return as_mnist(np.asarray(self.image) / 255).ravel()


def write_tables(name: str, title: str, *tables: list[str]) -> None:
    """Write and print benchmarks/`name`.md, which says by what command."""
    head = [f"# {title}", "", f"Written by `python -m benchmarks.{name}`."]
    text = "\n".join([*head, *(line for table in tables for line in ["", *table]), ""])
    with atomic_write(ROOT / "benchmarks" / f"{name}.md") as file:
        file.write(text.encode())
    print(text)
