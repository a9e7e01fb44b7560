"""MNIST, the handwritten digits of Y. LeCun, C. Cortes and C. J. C. Burges (1998), in NumPy arrays.

`load_mnist()` takes the four files from the cache, else from a mirror. If no mirror is in reach it
loads the stand-in of `helpers.stand_in` and says so; it never mixes the two. `MNIST_MIRROR` in the
environment names a folder or URL to ask first, or is "stand-in" to ask none.

Other data sets come in the same four files. Each is a row of `DATA_SETS`, which `load_mnist(name)`
loads by its name; without a name, the environment variable DIGITS_DATA chooses.
"""

import hashlib
import os
import sys
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from io import BytesIO
from math import prod
from pathlib import Path
from shutil import rmtree
from textwrap import fill, indent
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from machine.files import atomic_write, read_file
from machine.mirrors import DataError, OutOfReachError, fetch

__all__ = ["DIGITS", "Classes", "DataError", "Digits", "Split", "check_idx", "load_mnist"]

DATA = Path(__file__).parent.parent / "data"
VALIDATION = 10_000  # the assignment validates on the last 10,000 images of the training file


class IdxFile(NamedTuple):
    """What one of the four unpacked files must be."""

    name: str
    shape: tuple[int, ...]
    md5: str


SHAPES = {
    "train-images-idx3-ubyte": (60_000, 28, 28),
    "train-labels-idx1-ubyte": (60_000,),
    "t10k-images-idx3-ubyte": (10_000, 28, 28),
    "t10k-labels-idx1-ubyte": (10_000,),
}


def _files(*md5s: str) -> tuple[IdxFile, ...]:
    """Return the four files with these checksums; their names and shapes are always the same."""
    return tuple(
        IdxFile(name, shape, md5) for (name, shape), md5 in zip(SHAPES.items(), md5s, strict=True)
    )


@dataclass(frozen=True)
class Classes:
    """What the labels 0 to 9 stand for: each has a name, and each is a `noun`."""

    noun: str
    names: tuple[str, ...]

    @property
    def are_long(self) -> bool:
        """Whether a figure needs more room for a name than for a digit."""
        return max(map(len, self.names)) > 1


class DataSet(NamedTuple):
    """What a data set is called, where it comes from and what its labels mean."""

    name: str
    folder: str  # in the cache, as torchvision calls it
    files: tuple[IdxFile, ...]
    mirrors: tuple[str, ...]
    classes: Classes
    has_stand_in: bool = False


DIGITS = Classes("digit", tuple("0123456789"))
CLOTHES = "T-shirt/top,Trouser,Pullover,Dress,Coat,Sandal,Shirt,Sneaker,Bag,Ankle boot"

DATA_SETS = (
    DataSet(
        "MNIST",
        folder="MNIST",
        files=_files(
            "6bbc9ace898e44ae57da46a324031adb",
            "a25bea736e30d166cdddb491f175f624",
            "2646ac647ad5339dbf082846283269ea",
            "27ae3e4e09519cfbb04c329615203637",
        ),
        # torchvision's own two; Google's copy stands between them, as the last is mostly closed.
        mirrors=(
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
            "http://yann.lecun.com/exdb/mnist/",
        ),
        classes=DIGITS,
        has_stand_in=True,
    ),
    DataSet(  # H. Xiao, K. Rasul and R. Vollgraf (2017): photos from an online shop
        "Fashion-MNIST",
        folder="FashionMNIST",
        files=_files(
            "f4a8712d7a061bf5bd6d2ca38dc4d50a",
            "9018921c3c673c538a1fc5bad174d6f9",
            "8181f5470baa50b63fa0f6fddb340f0a",
            "15d484375f8d13e6eb1aabb0c3f46965",
        ),
        # torchvision's, then Keras's copy.
        mirrors=(
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
        ),
        classes=Classes("article", tuple(CLOTHES.split(","))),
    ),
)


class Split(NamedTuple):
    """Images, float32 (N, 784) with values in [0, 1], and their labels, int64 (N,)."""

    images: NDArray[np.float32]
    labels: NDArray[np.int64]

    @property
    def pictures(self) -> NDArray[np.float32]:
        """The images as pictures, float32 (N, 28, 28): a view, not a copy."""
        return self.images.reshape(-1, 28, 28)

    def first(self, n: int) -> "Split":
        """The first `n` images and labels, as views."""
        return Split(self.images[:n], self.labels[:n])


@dataclass(frozen=True)
class Digits:
    """The three parts of a data set; `train, validation, test = load_mnist()` unpacks them."""

    train: Split
    validation: Split
    test: Split
    source: str  # the data set's name, or "stand-in"
    note: str = ""  # why it is the stand-in
    classes: Classes = DIGITS

    def __iter__(self) -> Iterator[Split]:
        return iter((self.train, self.validation, self.test))

    def describe(self) -> str:
        """Which data this is: a line or two for a data set, a framed warning for the stand-in."""
        parts = zip(("training", "validation", "test"), self, strict=True)
        sizes = ", ".join(f"{len(part.labels):,} {name}" for name, part in parts)
        if self.source == "stand-in":
            return _frame(STAND_IN_WARNING.format(sizes=sizes, note=self.note))
        line = f"Data: {self.source} - {sizes} images"
        if self.classes == DIGITS:
            return line
        noun, names = self.classes.noun, ", ".join(self.classes.names)
        return f"{line}\nWhere the text speaks of digits 0 to 9, read {noun}s: {names}."


STAND_IN_WARNING = """Data: NOT MNIST but the stand-in - {sizes} images, scikit-learn's 1,797 \
small handwritten digits, redrawn at 28x28 in many variations.
Why: {note}
All results below differ from those on MNIST.
What to do: connect to the internet and run this again, or set the environment variable \
MNIST_MIRROR to a folder or URL that holds the four .gz files of MNIST."""
NO_STAND_IN = """{name} can't be loaded, and nothing can take its place. {note}
Next step: connect to the internet and run this again, or set the environment variable \
MNIST_MIRROR to a folder or URL that holds the four .gz files of {name}."""


def _frame(text: str) -> str:
    """Wrap the text, line by line, in a frame that nobody can miss."""
    lines = [fill(line, 86, break_on_hyphens=False) for line in text.splitlines()]
    return "\n".join(["!" * 88, indent("\n".join(lines), "! "), "!" * 88])


def load_mnist(name: str | None = None, folder: Path | None = None) -> Digits:
    """Load 50,000 training, 10,000 validation and 10,000 test images.

    Args:
        name: of a data set in `DATA_SETS`, in upper or lower case; by default the one that the
            environment variable DIGITS_DATA names, else MNIST.
        folder: where the data is cached, as `torchvision.datasets.MNIST(root=folder)` lays it out;
            by default `data` in the repository.

    Raises:
        DataError: there is no data set of that name, the folder can't be written to, the mirrors
            within reach hold wrong files, or none is in reach and the data set has no stand-in.
    """
    wanted = _find_data_set(name)
    folder = DATA if folder is None else Path(folder)
    if os.environ.get("MNIST_MIRROR") == "stand-in":
        return _load_stand_in(wanted, folder, "MNIST_MIRROR=stand-in asks for it.")
    raw, damage = _raw(folder, wanted), ""
    try:
        return _read_files(raw, wanted)
    except DataError as error:
        if os.path.exists(raw):  # noqa: PTH110  # never fails, whatever the folder is called
            damage = f"The cached copy can't be used: {error}. "
    try:
        return _fetch(folder, wanted)
    except OutOfReachError as silence:
        return _load_stand_in(wanted, folder, f"{damage}{silence}")


def _find_data_set(name: str | None) -> DataSet:
    argument, asked = "name", name
    if name is None:
        argument, asked = "DIGITS_DATA", os.environ.get("DIGITS_DATA", "").strip() or "MNIST"
    for row in DATA_SETS:
        if row.name.lower() == str(asked).lower():
            return row
    known = " or ".join(row.name for row in DATA_SETS)
    raise DataError(f"{argument} is {asked!r}, which is no known data set. Wanted: {known}.")


def check_idx(content: bytes, file: IdxFile) -> None:
    """Raise a DataError that names the first thing wrong with the content of an IDX file.

    An IDX file is a magic number, the length of each dimension (all big-endian int32), then the
    values as bytes. The magic number's last byte is the number of dimensions.
    """
    dimensions = len(file.shape)
    start = 4 + 4 * dimensions
    header = np.frombuffer(content[:start].ljust(start, b"\0"), ">i4").tolist()
    is_labels = dimensions == 1
    top = int(np.frombuffer(content[start:], np.uint8).max(initial=0)) if is_labels else 0
    facts = [
        ("magic number", header[0], 0x800 + dimensions),
        ("image size", tuple(header[2:]), file.shape[1:]),
        ("count", header[1], file.shape[0]),
        ("length in bytes", len(content), start + prod(file.shape)),
        ("highest label", top, min(top, 9)),
        ("MD5", hashlib.md5(content, usedforsecurity=False).hexdigest(), file.md5),
    ]
    for what, found, wanted in facts:
        if found != wanted:
            raise DataError(f"{file.name} has {what} {found}, wanted {wanted}")


def _raw(folder: Path, wanted: DataSet) -> Path:
    return folder / wanted.folder / "raw"


def _read_files(raw: Path, wanted: DataSet) -> Digits:
    arrays = [_read_idx(raw / file.name, file) for file in wanted.files]
    return replace(_digits(wanted.name, *arrays), classes=wanted.classes)


def _read_idx(path: Path, file: IdxFile) -> NDArray[np.uint8]:
    try:
        content = read_file(path)
    except OSError as error:
        raise DataError(f"{file.name} can't be read ({error.strerror})") from error
    check_idx(content, file)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * len(file.shape)).reshape(file.shape)


def _is_good(raw: Path, file: IdxFile) -> bool:
    with suppress(DataError):
        _read_idx(raw / file.name, file)
        return True
    return False


def _digits(source: str, *arrays: NDArray[np.uint8], note: str = "") -> Digits:
    """Make Digits of the training file's images and labels, then the test file's."""
    images, labels, test_images, test_labels = arrays
    both, test = _split(images, labels), _split(test_images, test_labels)
    validation = Split(both.images[-VALIDATION:], both.labels[-VALIDATION:])
    return Digits(both.first(len(labels) - VALIDATION), validation, test, source, note)


def _split(images: NDArray[np.uint8], labels: NDArray[np.uint8]) -> Split:
    pixels = images.reshape(-1, 784).astype(np.float32)
    pixels /= 255
    return Split(pixels, labels.astype(np.int64))


def _fetch(folder: Path, wanted: DataSet) -> Digits:
    """Fetch what the cache lacks of the four files, check it, and only then write it."""
    with _storing_in(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for leftover in folder.glob(".unfinished-*"):  # of earlier versions, when interrupted
            rmtree(leftover, ignore_errors=True)
    raw = _raw(folder, wanted)
    missing = [file for file in wanted.files if not _is_good(raw, file)]
    checks = {file.name: partial(check_idx, file=file) for file in missing}
    contents = fetch(wanted.name, wanted.mirrors, checks, raw)
    with _storing_in(folder):
        for name, content in contents.items():
            with atomic_write(raw / name) as file:
                file.write(content)
    return _read_files(raw, wanted)


def _load_stand_in(wanted: DataSet, folder: Path, note: str) -> Digits:
    if not wanted.has_stand_in:
        raise DataError(NO_STAND_IN.format(name=wanted.name, note=note))
    try:  # brings in SciPy and scikit-learn, which are not needed for MNIST
        from helpers.stand_in import VERSION, make_stand_in
    except ImportError as error:
        note = f"{note} The stand-in needs scikit-learn: pip install scikit-learn."
        raise DataError(NO_STAND_IN.format(name=wanted.name, note=note)) from error

    path = folder / "stand-in.npz"
    try:
        with np.load(BytesIO(read_file(path)), allow_pickle=False) as cached:
            images, labels, version = cached["images"], cached["labels"], int(cached["version"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        version = -1
    if version != VERSION:
        images, labels = make_stand_in()
        with _storing_in(folder), atomic_write(path) as file:
            np.savez(file, images=images, labels=labels, version=VERSION)
    end = len(labels) - VALIDATION  # its test part is as large as its validation part
    parts = images[:end], labels[:end], images[end:], labels[end:]
    return _digits("stand-in", *parts, note=note)


@contextmanager
def _storing_in(folder: Path) -> Iterator[None]:
    """Explain why something could not be written."""
    try:
        yield
    except IsADirectoryError as error:
        raise DataError(
            f"A folder stands at {error.filename}, where a file should go.\n"
            "Next step: move that folder away, then run this again."
        ) from error
    except OSError as error:
        raise DataError(
            f"The data can't be stored in {folder}: {error.strerror or error}.\n"
            "Wanted: a folder that can be written to, with 150 MB free.\n"
            "Next step: make room, check its permissions or name another: load_mnist(folder=...)."
        ) from error


if __name__ == "__main__":
    try:
        print(load_mnist().describe())
    except DataError as error:
        sys.exit(str(error))
