"""How often what is no digit is taken for one: letters, scribbles and shapes, drawn like digits.

python -m benchmarks.non_digits [--count 400]    writes benchmarks/non_digits.md

The networks are those of figures/playground.html, and so are the beliefs below which the page calls
its reading unsure.
"""

import argparse
import json
import re
from base64 import b64decode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib import get_data_path
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from benchmarks.bands import digits_of
from helpers.cnn import Net, predict_probabilities
from helpers.files import atomic_write
from helpers.mlp import MLP, PARAMETERS
from playground.handwriting import as_mnist

ROOT = Path(__file__).parent.parent
SIDE, PEN = 280, 22  # of the page's paper, and of its pen
LETTERS = "AEFHKMNPRTUVWXdfhkmnrtwx"  # those that look like a digit are left out
Images = NDArray[np.float32]


def letter(draw: ImageDraw.ImageDraw, rng: np.random.Generator) -> None:
    """Write one letter in one of the fonts that matplotlib brings."""
    fonts = sorted(Path(get_data_path(), "fonts", "ttf").glob("DejaVuS*.ttf"))
    font = ImageFont.truetype(fonts[rng.integers(len(fonts))], int(rng.integers(120, 220)))
    draw.text((40, 20), LETTERS[rng.integers(len(LETTERS))], fill=255, font=font)


def scribble(draw: ImageDraw.ImageDraw, rng: np.random.Generator) -> None:
    """Draw a line that turns at random and stays on the paper."""
    heading, turn, at = rng.uniform(0, 2 * np.pi), 0.0, rng.uniform(80, 200, 2)
    for _ in range(rng.integers(60, 200)):
        turn = 0.9 * turn + rng.normal(0, 0.12)
        heading += turn
        to = (at + 8 * np.array([np.cos(heading), np.sin(heading)])).clip(20, 260)
        _stroke(draw, [at, to])
        at = to


def shape(draw: ImageDraw.ImageDraw, rng: np.random.Generator) -> None:
    """Draw the outline of a polygon or star; a circle would be a 0."""
    corners = int(rng.integers(3, 6))
    skip = 2 if corners == 5 and rng.random() < 0.5 else 1
    angles = rng.uniform(0, 2 * np.pi) + 2 * np.pi * skip * np.arange(corners + 1) / corners
    points = 140 + rng.uniform(70, 110) * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    _stroke(draw, list(points))


KINDS: dict[str, Callable[[ImageDraw.ImageDraw, np.random.Generator], None]] = {
    "letters": letter,
    "scribbles": scribble,
    "shapes": shape,
}


def _stroke(draw: ImageDraw.ImageDraw, points: list[NDArray[np.float64]]) -> None:
    """Draw a line through points with the page's round pen."""
    places = [(float(x), float(y)) for x, y in points]
    draw.line(places, fill=255, width=PEN)
    for x, y in places:
        draw.ellipse((x - PEN / 2, y - PEN / 2, x + PEN / 2, y + PEN / 2), fill=255)


def drawings(kind: str, count: int) -> Images:
    """Return `count` drawings of a kind as the networks would see them, (count, 784)."""
    rng = np.random.default_rng(list(KINDS).index(kind))
    seen = []
    for _ in range(count):
        paper = Image.new("L", (SIDE, SIDE))
        KINDS[kind](ImageDraw.Draw(paper), rng)
        seen.append(as_mnist(np.asarray(paper) / 255).ravel())
    return np.stack(seen)


def page_content() -> dict[str, Any]:
    """Return the JSON inside the committed page."""
    page = (ROOT / "figures" / "playground.html").read_text(encoding="utf-8")
    content: dict[str, Any] = json.loads(re.findall(r'(?s)id="networks">(.*?)</script>', page)[0])
    return content


def _array(packed: dict[str, Any]) -> Images:
    return np.frombuffer(b64decode(packed["base64"]), "<f4").reshape(packed["shape"]).copy()


def networks(content: dict[str, Any]) -> tuple[MLP, Net]:
    """Return both networks of the page."""
    mlp, cnn = MLP(), Net()
    for name in PARAMETERS:
        setattr(mlp, name, _array(content["mlp"][name]))
    for layer in content["cnn"]:
        for name, values in getattr(cnn.layers, layer["name"]).named_parameters():
            values.data = torch.from_numpy(_array(layer[name]))
    return mlp, cnn.eval()


def row(name: str, images: Images, content: dict[str, Any]) -> str:
    """Return a row of the table: how sure both networks are of these images."""
    mlp, cnn = networks(content)
    beliefs = {"mlp": mlp.forward(images), "cnn": predict_probabilities(cnn, images)}
    above = [np.mean(p.max(axis=1) > 0.99) for p in beliefs.values()]
    sure = [p.max(axis=1) >= content["sure"][name] for name, p in beliefs.items()]
    agree = beliefs["mlp"].argmax(axis=1) == beliefs["cnn"].argmax(axis=1)
    shares = [*above, np.mean(sure[0] & sure[1] & agree)]
    return " | ".join([name, str(len(images)), *(f"{100 * share:.1f} %" for share in shares)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=400, help="drawings of each kind")
    count = parser.parse_args().count
    content, test = page_content(), digits_of("MNIST").test
    table = [
        "drawn | how many | MLP above 99 % | CNN above 99 % | both agree, neither is unsure",
        "---|---|---|---|---",
        *(row(kind, drawings(kind, count), content) for kind in KINDS),
        row("digits of the test set", test.images, content),
    ]
    text = "\n".join(
        [
            "# What is taken for a digit",
            "",
            "Written by `python -m benchmarks.non_digits`.",
            "",
            *table,
            "",
        ]
    )
    with atomic_write(ROOT / "benchmarks" / "non_digits.md") as file:
        file.write(text.encode())
    print(text)


if __name__ == "__main__":
    main()
