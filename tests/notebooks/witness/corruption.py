"""Faults drawn at random: a function of a notebook gets, or gives, something other than it should.

A fault changes one value in the arguments, or in the result, of one function. What it does is drawn
by a seed, so that no list of faults decides what the witness can see.
"""

import functools
import importlib
import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.text import Text

Path_ = tuple[Any, ...]


def leaves(value: Any, path: Path_ = ()) -> Iterator[tuple[Path_, Any]]:
    """Every array, number and text inside nested dicts, lists and tuples, with the way to it."""
    if isinstance(value, dict):
        items: Any = value.items()
    elif isinstance(value, (list, tuple)) and not _is_numeric(value):
        items = enumerate(value)
    elif isinstance(value, (np.ndarray, list, tuple, int, float, np.number, str)):
        yield path, value
        return
    else:
        return
    for key, part in items:
        yield from leaves(part, (*path, key))


def replaced(value: Any, path: Path_, new: Any) -> Any:
    """A copy of nested `value` with `new` at the end of the way."""
    if not path:
        return new
    key, *rest = path
    if isinstance(value, dict):
        return value | {key: replaced(value[key], tuple(rest), new)}
    parts = [replaced(v, tuple(rest), new) if k == key else v for k, v in enumerate(value)]
    if isinstance(value, list):
        return parts
    return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)


def _is_numeric(value: Any) -> bool:
    return len(value) > 0 and all(isinstance(v, (int, float, np.number)) for v in value)


def variants(value: Any, rng: np.random.Generator) -> list[Any]:
    """Other values of the same kind, each wrong in one way."""
    if isinstance(value, str):
        others = [value + " too", value[::-1]]
        if digits := re.findall(r"\d", value):
            digit = digits[rng.integers(len(digits))]
            others.append(value.replace(digit, str((int(digit) + 1) % 10)))
        return others
    array = np.asarray(value)
    if array.ndim == 0:
        return [type(value)(value + 1), type(value)(0)]
    other = array.copy()
    k = rng.integers(len(other))
    other[k] = other[k] + 1 if other[k].max() < 5 else other[k] - 1
    wrong = [np.roll(array, 1, axis=0), array[::-1], -array, array * 2, array * 0, other]
    if array.ndim == 2 and array.shape[0] == array.shape[1]:
        wrong.append(array.T)
    if array.ndim > 1:
        wrong.append(array[..., ::-1])
    return [v.tolist() if isinstance(value, (list, tuple)) else v for v in wrong]


def _same(a: Any, b: Any) -> bool:
    a, b = np.asarray(a), np.asarray(b)
    return a.shape == b.shape and bool((a == b).all())


def corrupted(value: Any, rng: np.random.Generator) -> tuple[Any, str]:
    """A copy of `value` with one leaf changed, or two leaves of one shape exchanged; and which."""
    if isinstance(value, Figure):
        return _corrupted_figure(value, rng)
    found = list(leaves(value))
    changes = []
    for path, leaf in found:
        changes += [(path, new) for new in variants(leaf, rng) if not _same(new, leaf)]
    pairs = [
        (p, q) for p, a in found for q, b in found
        if p < q and np.shape(a) == np.shape(b) and np.ndim(a) and not _same(a, b)
    ] if all(isinstance(k, int) for p, _ in found for k in p) else []  # fmt: skip
    if not changes:
        return value, ""
    if pairs and rng.random() < 0.3:
        p, q = pairs[rng.integers(len(pairs))]
        by_path = dict(found)
        value = replaced(replaced(value, p, by_path[q]), q, by_path[p])
        return value, f"{p} and {q} exchanged"
    path, new = changes[rng.integers(len(changes))]
    return replaced(value, path, new), f"{path}: {str(new)[:60]}"


def _corrupted_figure(figure: Figure, rng: np.random.Generator) -> tuple[Figure, str]:
    """Change a word, a number or a curve, clear axes, or leave nothing to see; and say which."""
    axes = figure.findobj(lambda artist: hasattr(artist, "cla"))
    axises = [axis for ax in axes if ax.axison for axis in (ax.xaxis, ax.yaxis)]
    labels = {label for axis in axises for label in axis.get_ticklabels()}
    texts = [t for t in figure.findobj(Text) if re.search("[a-z]", t.get_text())]
    ticks = [axis for axis in axises if any(t.get_text().isdigit() for t in axis.get_ticklabels())]
    found = {
        "words": [text for text in texts if text not in labels],
        "ticks": ticks,
        "curve": [line for ax in axes for line in ax.lines if len(line.get_ydata()) > 1],
        "clear": axes,
        "blank": [figure],
        "alt": [figure],
    }
    way = _one_of([way for way, artists in found.items() if artists], rng)
    artist, alt = _one_of(found[way], rng), figure.get_label()
    if way == "words":
        artist.set_text(_misspelt(artist.get_text(), rng))
    elif way == "ticks":
        artist.set_ticks(places := artist.get_ticklocs(), [f"{place + 1:g}" for place in places])
    elif way == "curve":
        way = _spoil_curve(artist, rng)
    else:
        (artist.cla if way == "clear" else artist.clear if way == "blank" else str)()
        figure.set_label(_misspelt(alt, rng) if way == "alt" else alt)
    return figure, way


def _spoil_curve(line: Any, rng: np.random.Generator) -> str:
    """Bend a curve, make it white, or move what is shown away from it; and say which."""
    values = np.asarray(line.get_ydata(), float)
    way = _one_of(["bent", "white", "outside"], rng)
    if way == "bent":
        line.set_ydata(values[::-1] + 0.25)
    elif way == "white":
        line.set(color="white", markerfacecolor="white", markeredgecolor="white", zorder=-9)
    else:
        line.axes.set_ylim(values.max() + 1, values.max() + 2)
    return way


def _one_of(values: list[Any], rng: np.random.Generator) -> Any:
    return values[rng.integers(len(values))]


def _misspelt(text: str, rng: np.random.Generator) -> str:
    """The text with one word turned round and lengthened, or with another digit."""
    if rng.random() < 0.5 and any(character.isdigit() for character in text):
        k = _one_of([k for k, character in enumerate(text) if character.isdigit()], rng)
        return text[:k] + str((int(text[k]) + 1) % 10) + text[k + 1 :]
    words = text.split(" ")
    k = int(rng.integers(len(words)))
    return " ".join([*words[:k], words[k][::-1] + "q", *words[k + 1 :]])


class Fault:
    """One wrong function, put in place by `install` and taken away by `remove`."""

    def __init__(self, module: str, name: str, names: dict[str, Any], seed: int) -> None:
        owner, _, self.name = name.rpartition(".")
        self.owner, self.names = importlib.import_module(module), names
        if owner:  # a method: a variable of its name is another thing
            self.owner, self.names = getattr(self.owner, owner), {}
        self.right: Callable[..., Any] = getattr(self.owner, self.name)
        self.rng, self.change = np.random.default_rng(seed), ""

    def install(self) -> None:
        @functools.wraps(self.right)
        def wrong(*arguments: Any, **settings: Any) -> Any:
            if self.rng.random() < 0.5:
                (arguments, settings), self.change = corrupted((arguments, settings), self.rng)
                return self.right(*arguments, **settings)
            result, self.change = corrupted(self.right(*arguments, **settings), self.rng)
            return result

        self._put(wrong)

    def remove(self) -> None:
        self._put(self.right)

    def _put(self, function: Callable[..., Any]) -> None:
        setattr(self.owner, self.name, function)
        if self.name in self.names:
            self.names[self.name] = function
