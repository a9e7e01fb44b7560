"""One run of a notebook, as the witness sees it."""

import gzip
import re
from base64 import b64decode
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.notebooks.witness.events import Events

VALIDATION = 10_000  # of the images in the training file, the last ones
ROOT = Path(__file__).parents[3]


@dataclass
class Run:
    """The notebook's variables, what its cells put out, its committed alt texts, what happened."""

    names: dict[str, Any]
    outputs: list[list[dict[str, Any]]]
    alts: list[str]
    events: Events

    def __getattr__(self, name: str) -> Any:
        """A variable of the notebook."""
        try:
            return self.names[name]
        except KeyError:
            raise AttributeError(f"the notebook has no variable {name}") from None

    def printed(self) -> str:
        """Everything that the notebook printed."""
        return "".join(
            output["text"]
            for cell in self.outputs
            for output in cell
            if output["output_type"] == "stream"
        )

    def pictures(self) -> list[tuple[bytes, str]]:
        """Every picture that was displayed, as PNG, with its alt text."""
        return [
            (b64decode(output["data"]["image/png"]), output["metadata"]["image/png"]["alt"])
            for cell in self.outputs
            for output in cell
            if "image/png" in output.get("data", {})
        ]

    def verdict_of(self, name: str) -> float:
        """The value in the verdict on the result `name`."""
        found = re.findall(
            rf"^{re.escape(name)}: (\S+) (?:%|points), expected", self.printed(), re.M
        )
        assert len(found) == 1, f"{name} has {len(found)} verdicts"
        return float(found[0])


def originals(source: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The images and labels of both files of a data set, as bytes, read without the helpers."""
    if source == "stand-in":
        with np.load(ROOT / "data" / "stand-in.npz", allow_pickle=False) as cached:
            images, labels = cached["images"], cached["labels"]
        return images[:60_000], labels[:60_000], images[60_000:], labels[60_000:]
    folder = ROOT / "data" / "MNIST" / "raw"
    return tuple(  # type: ignore[return-value]
        _idx(folder / f"{part}-{kind}-ubyte")
        for part in ("train", "t10k")
        for kind in ("images-idx3", "labels-idx1")
    )


def _idx(path: Path) -> np.ndarray:
    content = (
        path.read_bytes() if path.exists() else gzip.decompress(Path(f"{path}.gz").read_bytes())
    )
    start = 4 + 4 * content[3]
    shape = np.frombuffer(content[4:start], ">i4")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def png_description(png: bytes) -> str:
    """The alt text inside a PNG file."""
    from io import BytesIO

    with Image.open(BytesIO(png)) as image:
        return str(image.text["Description"])
