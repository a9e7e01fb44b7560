"""The page's JavaScript in V8, the engine of Chromium, without a browser."""

import json

import pytest
from py_mini_racer import MiniRacer

from playground.export import bundle
from tests.playground.playground_reference import reference

# With all that they import.
MODULES = (
    "trainer",
    "explain",
    "chain",
    "place",
    "breaking",
    "photo",
    "weights",
)


class JavaScript:
    """The functions of the page without a browser, beside the committed networks."""

    def __init__(self) -> None:
        self.engine = MiniRacer()
        self.engine.eval("const performance = Date;")
        bundled: set[str] = set()
        for name in MODULES:
            self.engine.eval(bundle(f"{name}.js", bundled))
        for name in ("mlp", "cnn"):
            self.engine.eval(f"const {name} = {json.dumps(reference()[name])};")
        self.engine.eval("const lists = (_, v) => (ArrayBuffer.isView(v) ? Array.from(v) : v);")

    def __call__(self, expression: str, **given):
        """The value of an expression in which the names of `given` stand for those values."""
        values = ", ".join(json.dumps(value) for value in given.values())
        call = f"(({', '.join(given)}) => ({expression}))({values})"
        return json.loads(self.engine.eval(f"JSON.stringify({call}, lists)"))


@pytest.fixture(scope="session")
def javascript() -> JavaScript:
    return JavaScript()
