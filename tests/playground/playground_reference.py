"""The committed page of the playground, and the networks inside it, for the tests to compare.

python -m tests.playground.playground_reference    make the committed page anew, with its networks
"""

import json
import re
from base64 import b64decode
from functools import cache
from typing import Any

import numpy as np

from benchmarks.page import network_of
from helpers.cnn import Net
from helpers.mlp import MLP, PARAMETERS
from helpers.mnist import load_mnist
from helpers.notebook import ROOT
from playground.export import export_playground

PAGE = ROOT / "figures" / "playground.html"


def networks_text(page: str) -> str:
    """The JSON text that a page holds."""
    found = re.search(r'(?s)<script type="application/json" id="networks">(.*?)</script>', page)
    assert found
    return found[1]


def unpack(value: Any) -> Any:
    """What the page makes of its JSON: every base64 inside becomes values."""
    if isinstance(value, dict) and "base64" in value:
        values = np.frombuffer(b64decode(value["base64"]), "<f4")
        return {"shape": value["shape"], "values": values.tolist()}
    if isinstance(value, dict):
        return {name: unpack(part) for name, part in value.items()}
    return [unpack(part) for part in value] if isinstance(value, list) else value


@cache
def reference() -> dict[str, Any]:
    """What the committed page holds."""
    content: dict[str, Any] = unpack(json.loads(networks_text(PAGE.read_text(encoding="utf-8"))))
    return content


def array(packed: dict[str, Any]) -> np.ndarray:
    return np.array(packed["values"], np.float32).reshape(packed["shape"])


def reference_mlp() -> MLP:
    mlp = MLP()
    for name in PARAMETERS:
        setattr(mlp, name, array(reference()["mlp"][name]))
    return mlp


def reference_cnn(name: str = "cnn") -> Net:
    cnn = network_of(json.loads(networks_text(PAGE.read_text(encoding="utf-8")))[name])
    assert cnn
    return cnn


if __name__ == "__main__":
    export_playground(PAGE, load_mnist(), reference_mlp(), reference_cnn())
