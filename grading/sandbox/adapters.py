"""How the checks' spies, which stay with the marker, are seen from a worker."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import prod
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

METHODS = ("forward", "loss", "update_grad", "reset_grad", "update_params")
MAX_ROWS = 1 << 14  # in what a spy is told: it notes each of them


class Adapter:
    """A spy of the first notebook: its arrays go to the worker, calls of its methods come back."""

    def __init__(self, spy: Any) -> None:
        self.spy = spy
        self.names = list(self._shown({}))

    def _shown(self, known: Mapping[str, Any]) -> dict[str, Any]:
        """Return what the worker may see of the spy and does not know yet.

        Names that begin with _ are between the spy and the marker.
        """
        new = {n: v for n, v in vars(self.spy).items() if n[0] != "_" and v is not known.get(n)}
        return {name: value for name, value in new.items() if _is_plain(value)}

    def introduction(self) -> dict[str, Any]:
        """Return what the worker has to know to make the stand-in."""
        methods = [name for name in METHODS if hasattr(self.spy, name)]
        return {"kind": "object", "state": self._shown({}), "methods": methods}

    def answer(self, method: str, args: tuple[Any, ...]) -> Any:
        """Return the result of a call and the attributes that it has changed."""
        if method not in METHODS:
            raise ValueError("no such method")
        before = dict(vars(self.spy))
        result = getattr(self.spy, method)(*args)
        return result, self._shown(before)

    def update(self, state: Mapping[str, Any]) -> None:
        """Take over what the student's code has assigned."""
        for name in self.names:
            if name in state and _is_plain(state[name]):
                setattr(self.spy, name, state[name])


class NetAdapter(Adapter):
    """The spy in place of the CNN."""

    def introduction(self) -> dict[str, Any]:
        """Return its kind."""
        return {"kind": "net", "training": self.spy.training}

    def answer(self, method: str, args: tuple[Any, ...]) -> Any:
        """Return the logits of images, in the modes that the student's code has set."""
        images, *modes = args
        self._set(*modes)
        return self.spy(images).detach()

    def update(self, state: Mapping[str, Any]) -> None:
        """Take over the weights, whether they can learn, and the modes."""
        self.spy.weight.data.copy_(state["weight"])
        self.spy.bias.data.copy_(state["bias"])
        self.spy.weight.requires_grad_(state["learns"] is True)
        self._set(state["training"], state["layer training"])

    def _set(self, training: Any, layers: Any) -> None:
        self.spy.training, self.spy.inner.training = training is True, layers is True


class Listener(Adapter):
    """The spy in place of the criterion or the optimizer: it is told, and nothing comes back."""

    def introduction(self) -> dict[str, Any]:
        """Return its kind."""
        return {"kind": "loss" if callable(self.spy) else "optimizer"}

    def answer(self, method: str, args: tuple[Any, ...]) -> None:
        """Note what the criterion was given, or the gradient and the settings of a step."""
        if callable(self.spy):
            self.spy(*args)
        else:
            self.spy.weight.grad, *settings, n_kept = args
            require_numbers([*settings, n_kept])
            if n_kept != len(self.spy.state):
                self.spy.state.clear()
            group = self.spy.param_groups[0]
            group |= zip((name for name in group if name != "params"), settings, strict=True)
            self.spy.step()

    def update(self, state: Mapping[str, Any]) -> None:
        """Take over nothing."""


class Told(NamedTuple):
    """A spy that the student's code hands to a function, and how its stand-in is now."""

    number: int
    state: Mapping[str, Any]


class StandIn:
    """A right function in place of a student's: it is called over there and computed here.

    So its results can be had there, for arguments of any choice, but never its source.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def answer(
        self, question: tuple[Sequence[Any], Sequence[Any], Mapping[str, Any]],
        adapters: Mapping[int, Adapter],
    ) -> tuple[Any, dict[str, Any]]:  # fmt: skip
        """Return the result of a call, and the attributes of its object that it has changed."""
        states, args, kwargs = question
        known = [dict(state) for state in states[:1]]
        require_few([*args, *kwargs.values(), *(v for state in known for v in state.values())])
        this = [SimpleNamespace(**state) for state in known]
        result = self.function(*this, *(_spied(value, adapters) for value in args), **kwargs)
        changed = [
            {name: value for name, value in vars(each).items() if value is not before.get(name)}
            for each, before in zip(this, known, strict=True)
        ]
        return result, (changed or [{}])[0]


def _spied(value: Any, adapters: Mapping[int, Adapter]) -> Any:
    if not isinstance(value, Told):
        return value
    adapters[value.number].update(value.state)
    return adapters[value.number].spy


ADAPTERS = {"SpyNet": NetAdapter, "SpyLoss": Listener, "SpyOptimizer": Listener}


def adapter_for(spy: Any) -> Adapter:
    """Return how this spy is seen from a worker."""
    kinds = (ADAPTERS.get(base.__name__) for base in type(spy).__mro__)
    return next(filter(None, kinds), Adapter)(spy)


def require_numbers(values: Iterable[Any]) -> None:
    """Raise ValueError if one of `values` is not a number."""
    for value in values:
        if not isinstance(value, (int, float)):
            raise ValueError(f"a {type(value).__name__} is no setting of an optimizer")


def require_few(args: Iterable[Any]) -> None:
    """Raise ValueError if an argument is larger than any batch of a training."""
    for value in args:
        is_whole = np.ndim(value) == 0 and np.asarray(value).dtype.kind in "iu"
        if is_whole and abs(int(value)) > MAX_ROWS:
            raise ValueError(f"{value} is none of the training's numbers")
        shape = np.shape(value) if hasattr(value, "shape") else ()
        if shape[:1] > (MAX_ROWS,) or prod(shape[1:]) > MAX_ROWS:
            raise ValueError(f"an array of the shape {shape} is none of the training's")


def _is_plain(value: Any) -> bool:
    return isinstance(value, (bool, int, float, np.ndarray, np.dtype))
