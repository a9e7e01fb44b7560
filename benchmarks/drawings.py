"""How many drawings of digits both networks of the page read: 28 forms, 10 ways of drawing them.

python -m benchmarks.drawings [--count 600]    writes benchmarks/drawings.md

A form is a list of strokes, as people make them: the European 1, the slashed 0 and 7, the open and
the closed 4. The networks are those of figures/playground.html, and never learned from a drawing.
"""

import argparse
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import make_interp_spline

from benchmarks.page import NAMES, PEN, Images, Paper, beliefs, page_content, write_tables

Points = NDArray[np.float64]  # (N, 2): x to the right and y down, from 0 to 1 within the digit
Form = list[Points]


def straight(*corners: float) -> Points:
    """Return a stroke through x, y, x, y, …, straight from each to the next."""
    return np.reshape(corners, (-1, 2)).astype(float)


def curved(*corners: float) -> Points:
    """Return a stroke that bends smoothly through x, y, x, y, …"""
    points = straight(*corners)
    way = np.cumsum([0, *np.linalg.norm(np.diff(points, axis=0), axis=1)])
    degree = min(3, len(points) - 1)
    smooth: Points = make_interp_spline(way, points, degree)(np.linspace(0, way[-1], 40))
    return smooth


def oval(left: float, top: float, right: float, bottom: float, share: float = 1.0) -> Points:
    """Return an oval in this box, begun at the top, against the clock; of an open one a `share`."""
    angles = np.linspace(0, 2 * np.pi * share, 40)
    across = (left + right) / 2 - (right - left) / 2 * np.sin(angles)
    down = (top + bottom) / 2 - (bottom - top) / 2 * np.cos(angles)
    return np.stack([across, down], axis=1)


FORMS: dict[str, Form] = {
    "0 round": [oval(0.1, 0, 0.9, 1)],
    "0 narrow": [oval(0.25, 0, 0.75, 1)],
    "0 open": [oval(0.15, 0, 0.85, 1, share=0.92)],
    "0 slashed": [oval(0.15, 0, 0.85, 1), straight(0.8, 0.1, 0.2, 0.9)],
    "1 a line": [straight(0.5, 0, 0.5, 1)],
    "1 slanted": [straight(0.65, 0, 0.35, 1)],
    "1 European": [straight(0.2, 0.35, 0.6, 0, 0.6, 1)],
    "1 with a foot": [straight(0.3, 0.2, 0.5, 0, 0.5, 1), straight(0.2, 1, 0.8, 1)],
    "2 round": [curved(0.15, 0.25, 0.5, 0, 0.85, 0.3, 0.5, 0.7, 0.1, 1), straight(0.1, 1, 0.9, 1)],
    "2 with a loop": [
        curved(0.15, 0.2, 0.5, 0, 0.8, 0.25, 0.5, 0.7, 0.2, 0.95, 0.15, 0.8, 0.4, 0.85, 0.9, 1)
    ],
    "2 angular": [straight(0.15, 0.05, 0.8, 0.05, 0.15, 0.95, 0.85, 0.95)],
    "3 round": [
        curved(0.15, 0.15, 0.5, 0, 0.8, 0.22, 0.4, 0.47),
        curved(0.4, 0.47, 0.85, 0.73, 0.5, 1, 0.1, 0.85),
    ],
    "3 with a flat top": [
        straight(0.15, 0, 0.85, 0, 0.45, 0.4),
        curved(0.45, 0.4, 0.88, 0.7, 0.5, 1, 0.1, 0.88),
    ],
    "4 open": [straight(0.2, 0, 0.15, 0.55, 0.9, 0.55), straight(0.7, 0.1, 0.7, 1)],
    "4 closed": [straight(0.7, 1, 0.7, 0, 0.1, 0.65, 0.95, 0.65)],
    "4 slanted": [straight(0.45, 0, 0.1, 0.6, 0.9, 0.6), straight(0.65, 0.3, 0.55, 1)],
    "5 with a bar": [
        straight(0.25, 0, 0.2, 0.45),
        curved(0.2, 0.45, 0.55, 0.36, 0.85, 0.65, 0.55, 1, 0.12, 0.9),
        straight(0.25, 0, 0.85, 0),
    ],
    "5 in one stroke": [
        straight(0.85, 0, 0.3, 0.03, 0.22, 0.42),
        curved(0.22, 0.42, 0.6, 0.38, 0.82, 0.68, 0.5, 1, 0.1, 0.88),
    ],
    "6 round": [
        curved(0.75, 0, 0.3, 0.3, 0.15, 0.7, 0.5, 1, 0.83, 0.72, 0.5, 0.5, 0.18, 0.75),
    ],
    "6 with a straight stem": [straight(0.55, 0, 0.22, 0.65), oval(0.15, 0.5, 0.8, 1)],
    "7 plain": [straight(0.1, 0, 0.9, 0, 0.4, 1)],
    "7 slashed": [straight(0.1, 0, 0.9, 0, 0.4, 1), straight(0.3, 0.52, 0.9, 0.48)],
    "7 with a hook": [straight(0.12, 0.2, 0.12, 0, 0.88, 0), curved(0.88, 0, 0.55, 0.45, 0.45, 1)],
    "8 in one stroke": [
        curved(0.78, 0.15, 0.45, 0, 0.22, 0.22, 0.5, 0.48, 0.8, 0.75, 0.5, 1, 0.18, 0.78,
               0.5, 0.5, 0.75, 0.3, 0.72, 0.1),
    ],
    "8 of two rings": [oval(0.22, 0, 0.78, 0.47), oval(0.15, 0.47, 0.85, 1)],
    "9 with a straight stem": [oval(0.2, 0, 0.8, 0.5), straight(0.8, 0.2, 0.75, 1)],
    "9 with a round tail": [
        oval(0.2, 0, 0.8, 0.48), curved(0.8, 0.22, 0.82, 0.7, 0.55, 1, 0.2, 0.92),
    ],
    "9 slanted": [oval(0.2, 0, 0.8, 0.48), curved(0.8, 0.2, 0.7, 0.55, 0.45, 1)],
}  # fmt: skip


@dataclass(frozen=True)
class Style:
    """How a form is laid on the paper: its height in pixels, and its share of stretch in x."""

    height: float = 180
    pen: float = PEN
    wide: float = 0.75
    tilt: float = 0.0  # degrees, clockwise
    middle: tuple[float, float] = (140, 140)
    shaky: float = 0.012  # how far each point is off, as a share of the height


STYLES = {
    "normal": Style(),
    "thin": Style(pen=8),
    "thick": Style(pen=40),
    "tiny": Style(height=60),
    "tilted to the left": Style(tilt=-20),
    "tilted to the right": Style(tilt=20),
    "in a corner": Style(height=110, middle=(75, 205)),
    "wide": Style(wide=1.0),
    "narrow": Style(wide=0.5),
    "shaky": Style(shaky=0.03),
}


def drawing(form: Form, style: Style, rng: np.random.Generator) -> Images:
    """Return a form as drawn by one hand, as the networks would see it, (784,)."""
    paper = Paper(style.pen)
    turn = np.radians(style.tilt + rng.uniform(-5, 5))
    turned = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    size = style.height * np.array([style.wide, 1]) * rng.uniform(0.9, 1.1, 2)
    for stroke in form:
        off = _wobble(len(stroke), rng) * style.shaky * style.height
        paper.stroke(((stroke - 0.5) * size + off) @ turned + style.middle)
    return paper.seen()


def _wobble(count: int, rng: np.random.Generator) -> Points:
    """Return how far each of `count` points is off: neighbours on a curve go astray together."""
    knots = rng.standard_normal((max(2, count // 5), 2))
    at = np.linspace(0, len(knots) - 1, count)
    return np.stack([np.interp(at, np.arange(len(knots)), knots[:, k]) for k in (0, 1)], axis=1)


def drawings(count: int) -> tuple[list[str], list[str], Images]:
    """Return the forms, the styles and the images (count, 784): forms take turns in each style."""
    forms = [list(FORMS)[n % len(FORMS)] for n in range(count)]
    styles = [list(STYLES)[n * len(STYLES) // count] for n in range(count)]
    drawn = [
        drawing(FORMS[form], STYLES[style], np.random.default_rng(n))
        for n, (form, style) in enumerate(zip(forms, styles, strict=True))
    ]
    return forms, styles, np.stack(drawn)


def table(what: str, groups: list[str], right: dict[str, NDArray[np.bool_]]) -> list[str]:
    """Return the lines of a table: of each group, and of all, how many were read right."""
    heads = [what, "how many", *(NAMES[name] for name in right)]
    lines = [" | ".join(heads), "|".join(["---"] * len(heads))]
    for group in [*dict.fromkeys(groups), "all"]:
        chosen = np.array([group in (name, "all") for name in groups])
        counts = [f"{found[chosen].sum()}" for found in right.values()]
        lines.append(" | ".join([group, str(chosen.sum()), *counts]))
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=600)
    forms, styles, images = drawings(parser.parse_args().count)
    digits = np.array([int(form[0]) for form in forms])
    believed = beliefs(page_content(), images)
    right = {name: p.argmax(axis=1) == digits for name, p in believed.items()}
    shares = [f"{NAMES[name]} {100 * found.mean():.1f} %" for name, found in right.items()]
    summary = [f"Of {len(digits)} drawings are read right: {', '.join(shares)}."]
    tables = table("how", styles, right), table("form", forms, right)
    write_tables("drawings", "Drawings that the page reads", summary, *tables)


if __name__ == "__main__":
    main()
