"""How often what is no digit is taken for one: letters, scribbles and shapes, drawn like digits.

python -m benchmarks.non_digits [--count 400]    writes benchmarks/non_digits.md

The networks are those of figures/playground.html, and so are the beliefs below which the page calls
its reading unsure.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from matplotlib import get_data_path
from PIL import ImageFont

from benchmarks.bands import digits_of
from benchmarks.page import Images, Json, Paper, beliefs, page_content, write_tables

LETTERS = "AEFHKMNPRTUVWXdfhkmnrtwx"  # those that look like a digit are left out


def letter(paper: Paper, rng: np.random.Generator) -> None:
    """Write one letter in one of the fonts that matplotlib brings."""
    fonts = sorted(Path(get_data_path(), "fonts", "ttf").glob("DejaVuS*.ttf"))
    font = ImageFont.truetype(fonts[rng.integers(len(fonts))], int(rng.integers(120, 220)))
    paper.draw.text((40, 20), LETTERS[rng.integers(len(LETTERS))], fill=255, font=font)


def scribble(paper: Paper, rng: np.random.Generator) -> None:
    """Draw a line that turns at random and stays on the paper."""
    heading, turn, at = rng.uniform(0, 2 * np.pi), 0.0, rng.uniform(80, 200, 2)
    for _ in range(rng.integers(60, 200)):
        turn = 0.9 * turn + rng.normal(0, 0.12)
        heading += turn
        to = (at + 8 * np.array([np.cos(heading), np.sin(heading)])).clip(20, 260)
        paper.stroke(np.stack([at, to]))
        at = to


def shape(paper: Paper, rng: np.random.Generator) -> None:
    """Draw the outline of a polygon or star; a circle would be a 0."""
    corners = int(rng.integers(3, 6))
    skip = 2 if corners == 5 and rng.random() < 0.5 else 1
    angles = rng.uniform(0, 2 * np.pi) + 2 * np.pi * skip * np.arange(corners + 1) / corners
    points = 140 + rng.uniform(70, 110) * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    paper.stroke(points)


KINDS: dict[str, Callable[[Paper, np.random.Generator], None]] = {
    "letters": letter,
    "scribbles": scribble,
    "shapes": shape,
}


def drawings(kind: str, count: int) -> Images:
    """Return `count` drawings of a kind as the networks would see them, (count, 784)."""
    rng = np.random.default_rng(list(KINDS).index(kind))
    seen = []
    for _ in range(count):
        paper = Paper()
        KINDS[kind](paper, rng)
        seen.append(paper.seen())
    return np.stack(seen)


def row(name: str, images: Images, content: Json) -> str:
    """Return a row of the table: how sure the networks are of these images."""
    believed = beliefs(content, images)
    above = [np.mean(believed[name].max(axis=1) > 0.99) for name in ("mlp", "cnn")]
    sure = {name: p.max(axis=1) >= content["sure"][name] for name, p in believed.items()}
    read = {name: p.argmax(axis=1) for name, p in believed.items()}
    taken = [
        np.mean(sure["mlp"] & sure[name] & (read["mlp"] == read[name]))
        for name in ("cnn", "record")
    ]
    shares = [f"{100 * share:.1f} %" for share in (*above, *taken)]
    return " | ".join([name, str(len(images)), *shares])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=400, help="drawings of each kind")
    count = parser.parse_args().count
    content, test = page_content(), digits_of("MNIST").test
    head = "drawn | how many | MLP above 99 % | CNN above 99 % | both agree, neither is unsure"
    table = [
        f"{head} | with the record's CNN in its place",
        "---|---|---|---|---|---",
        *(row(kind, drawings(kind, count), content) for kind in KINDS),
        row("digits of the test set", test.images, content),
    ]
    write_tables("non_digits", "What is taken for a digit", table)


if __name__ == "__main__":
    main()
