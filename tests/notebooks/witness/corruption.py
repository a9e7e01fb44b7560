"""Faults drawn at random: a function of a notebook gets, or gives, something other than it should.

A fault changes one value in the arguments, or in the result, of one function. What it does is drawn
by a seed, so that no list of faults decides what the witness can see.
"""

import copy
import functools
import importlib
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
        return [value + " too", value[::-1]]
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
    """Change a word of the alt text, bend a curve, clear axes, or leave nothing to see."""
    alt, axes = figure.get_label(), figure.findobj(lambda artist: hasattr(artist, "cla"))
    words = alt.split()
    k = int(rng.integers(len(words)))
    texts = [t for t in figure.findobj(Text) if t.get_text().strip() and t.get_visible()]
    lines = [line for ax in axes for line in ax.lines if len(line.get_ydata()) > 1]
    ways = ["word", "clear"] + ["curve"] * bool(lines) + ["blank"]
    way = ways[rng.integers(len(ways))]
    if way == "word":
        figure.set_label(" ".join([*words[:k], words[k][::-1] + "7", *words[k + 1 :]]))
    elif way == "clear":
        axes[rng.integers(len(axes))].cla()
    elif way == "curve":
        line = lines[rng.integers(len(lines))]
        line.set_ydata(np.asarray(line.get_ydata(), float)[::-1] + 0.25)
    else:
        figure.clear()
        figure.set_label(alt)
    return figure, f"{way} of {len(texts)} texts"


class Fault:
    """One wrong function, put in place by `install` and taken away by `remove`."""

    def __init__(self, module: str, name: str, names: dict[str, Any], seed: int) -> None:
        owner, _, self.name = name.rpartition(".")
        self.owner, self.names = importlib.import_module(module), names
        if owner:
            self.owner = getattr(self.owner, owner)
        self.right: Callable[..., Any] = getattr(self.owner, self.name)
        self.rng, self.change = np.random.default_rng(seed), ""

    def install(self) -> None:
        @functools.wraps(self.right)
        def wrong(*arguments: Any, **settings: Any) -> Any:
            if self.rng.random() < 0.5:
                (arguments, settings), self.change = corrupted((arguments, settings), self.rng)
                return self.right(*arguments, **settings)
            result, self.change = corrupted(copy.copy(self.right(*arguments, **settings)), self.rng)
            return result

        self._put(wrong)

    def remove(self) -> None:
        self._put(self.right)

    def _put(self, function: Callable[..., Any]) -> None:
        setattr(self.owner, self.name, function)
        if self.name in self.names:
            self.names[self.name] = function
