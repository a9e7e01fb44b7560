"""The check of saving and loading, each judged by itself: what is loaded was saved rightly here.

So neither is blamed for the other's mistake, and no change of one can make up for one of the other.
"""

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from checks.asking import StudentError, ask
from checks.check import Part, check
from checks.comparison import Array, describe, distance
from checks.faults import NOT_NUMBERS, UNKNOWN, Fault
from checks.gradients import PARAMETERS
from checks.spies import Spy
from checks.verdicts import Exercise, Verdict

SAVING = Exercise("saving", "save_weights and load_weights")
SAVE, LOAD = Exercise("saving", "save_weights"), Exercise("saving", "load_weights")
PREFIXES = ("first", "second.v2")


class Parameters(Spy):
    """A network for saving and loading: the four parameters and their gradients, nothing else."""

    def __init__(
        self, seed: int, size: int = 4, dtype: type = np.float32, more: int = 0
    ) -> None:  # fmt: skip
        """Give all layers the same `size`, so that mixed-up files fit, or `more` from each on."""
        rng = np.random.default_rng(seed)
        n_hidden, n_outputs = size + more, size + 2 * more
        shapes = {
            "W1": (n_hidden, size), "b1": (n_hidden,), "W2": (n_outputs, n_hidden),
            "b2": (n_outputs,),
        }  # fmt: skip
        for name, shape in shapes.items():
            setattr(self, name, rng.normal(0, 1, shape).astype(dtype))
            setattr(self, f"{name}_grad", rng.normal(0, 1, shape).astype(dtype))
        self.dtype = np.dtype(dtype)


Networks = Mapping[str, Parameters]
EARLIER = Parameters(-1 % 2**32)  # is saved first, with the same prefix
NOT_REPLACED = Fault(
    "not replaced", "the files of an earlier saving are still there.",
    "Write all four files in each call, whether there are some already or not.",
)  # fmt: skip
TOGETHER = "Open each file by the function that `with write_together(…)` gives."
FILES_MISSING = Fault(
    "files missing", "the files have other names, lie elsewhere, or were not written.",
    'Write `f"{filename_prefix}_{name}.npy"` for each of W1, b1, W2 and b2.',
)  # fmt: skip
NO_MANIFEST = Fault(
    "no manifest",
    "there is no manifest of this name, which would tell that these four files belong together.",
    f"Begin by `with write_together(path)`, with the path of the manifest. {TOGETHER}",
)
STRANGE_MANIFEST = Fault(
    "manifest without the files", "the manifest doesn't list these four files as they are now.",
    "Write all four within one `with write_together(…)`, each into the file that it gives for it.",
)  # fmt: skip
EMPTY = Fault(
    "empty file", "the file is empty: what was to be written into it went elsewhere.",
    "Write into the file that `open_file(path)` gives: `np.save(file, …)`, and not to its path.",
)  # fmt: skip
ERROR_HIDDEN = Fault(
    "error hidden", "an error of writing is caught, so whoever called takes the weights for saved.",
    "Let the error leave the function: catch nothing here.",
)  # fmt: skip
HALF_SAVED = Fault(
    "half saved", "some files are in their place before all four could be written.", TOGETHER,
)  # fmt: skip
NOT_READABLE = Fault(
    "not readable", "the file is not that of one array, as np.load wants it.",
    "Write it by `np.save`.",
)  # fmt: skip
NOT_LOADED = Fault(
    "not assigned", "the network keeps its own numbers: those of the file are not given to it.",
    "Assign what was read to the network's attribute.",
)  # fmt: skip
ROUNDED_NUMBERS = Fault(
    "rounded", "digits were lost, as in a text file.", "Use np.save, which keeps every digit."
)
OTHER_TYPE = Fault(
    "type of numbers", "the numbers have another type than in the network.",
    "Leave the arrays as they are.",
)  # fmt: skip
GRADIENT_SAVED = Fault(
    "gradients saved", "the gradient was saved in place of the parameter.",
    "Save `W1`, not `W1_grad`.",
)  # fmt: skip
MIXED_UP = Fault(
    "mixed up", "the parameters are mixed up: these are the numbers of another one.",
    "See which name each parameter has on its way.",
)  # fmt: skip
TRANSPOSED = Fault("transposed", "the matrix is transposed.", "Leave the arrays as they are.")
PREFIX_IGNORED = Fault(
    "prefix ignored", "these are the numbers of another prefix.",
    "Build each file's name from the argument filename_prefix.",
)  # fmt: skip
READ_FIRST = "Read all four first, compare each with the network's own array, and only then assign."
TAKES_ANYTHING = Fault(
    "takes anything", "files that don't fit are not refused as the docstring promises.", READ_FIRST,
)  # fmt: skip
CONVERTED = Fault(
    "converted", "the numbers of the files were converted to the type of the network's own.",
    "Compare the dtype of what was read with the network's array, and raise the error.",
)  # fmt: skip
TAKEN_OVER = Fault(
    "takes anything", "what the files hold was given to the network without a look at its shape "
    "and type.", READ_FIRST,
)  # fmt: skip
OTHER_ERROR = Fault(
    "another error", "the files are refused, but by another error than the docstring promises, "
    "which those who call load_weights don't expect.",
    "See which error comes in that line, and raise the promised one in its place, as `_parameter` "
    "does, which reads one file.",
)  # fmt: skip
HALF_LOADED = Fault(
    "half loaded", "the network is changed before all files were found to fit.", READ_FIRST,
)  # fmt: skip
TWO_SAVINGS = Fault(
    "manifest not asked", "nothing sees that one of the files is of another saving.",
    "Call `require_together` with the manifest and the files before you assign.",
)  # fmt: skip


@check(SAVING)
def check_saving(
    save_weights: Callable[[Any, Any], None],
    load_weights: Callable[[Any, Any], None],
    *,
    seed: int = 0,
) -> Iterator[Part]:
    """Save two networks, and load two that were saved rightly; every digit must find its place."""
    types = (np.float32, np.float64)  # of the first network and the second
    networks = {
        name: Parameters(seed + k, dtype=dtype)
        for k, (name, dtype) in enumerate(zip(PREFIXES, types, strict=True))
    }
    yield partial(_saved, save_weights, networks)
    yield partial(_loaded, load_weights, networks, seed)


# Saving.


def _saved(save_weights: Callable[..., None], networks: Networks) -> Iterator[Verdict]:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for name, network in networks.items():
            prefix = _prefix(folder, name)
            for each in (EARLIER, network, network):  # each in the place of the one before
                ask("save_weights(network, prefix)", save_weights, each, prefix)
        wrong = list(_files(folder, networks))
        yield from wrong or [SAVE.right("files")]
        if not wrong:
            yield _interrupted(save_weights, folder)
            yield from _impossible(save_weights, networks[PREFIXES[0]], folder)


def _files(folder: Path, networks: Networks) -> Iterator[Verdict]:
    """Yield the first thing that is wrong with the files of two networks."""
    found = {path.name for path in folder.iterdir()}
    wanted = {f"{prefix}_{name}.npy" for prefix in PREFIXES for name in PARAMETERS}
    if not wanted <= found:
        told = f"{', '.join(sorted(found)) or 'none'}, for the prefixes {' and '.join(PREFIXES)}."
        yield SAVE.wrong("files", told, f"{', '.join(sorted(wanted))}.", FILES_MISSING)
        return
    for prefix, network in networks.items():
        pair = network, _other(networks, prefix)
        held = (_held_in(folder / f"{prefix}_{name}.npy", pair, name) for name in PARAMETERS)
        if wrong := [verdict for verdict in held if not verdict.passed]:
            yield wrong[0]
            return
    yield from _manifest_of(folder, found)


def _held_in(file: Path, networks: tuple[Parameters, Parameters], name: str) -> Verdict:
    try:
        values, told = np.load(file), "several arrays in one archive."
    except (OSError, ValueError, EOFError) as error:
        values, told = None, f"{type(error).__name__}: {error}."
    if not isinstance(values, np.ndarray):
        fault = NOT_READABLE if file.stat().st_size else EMPTY
        return SAVE.wrong(file.name, told, f"{name}, by `np.save`.", fault)
    if values.dtype.kind not in "biuf":
        return SAVE.wrong(file.name, f"`{values}`.", f"the numbers of {name}.", NOT_NUMBERS)
    faults = {
        GRADIENT_SAVED: getattr(networks[0], f"{name}_grad"), NOT_REPLACED: getattr(EARLIER, name)
    }  # fmt: skip
    return _held(SAVE, file.name, values, networks, name, faults)


def _manifest_of(folder: Path, found: set[str]) -> Iterator[Verdict]:
    name = f"{PREFIXES[0]}_manifest.json"
    if name not in found:
        yield SAVE.wrong("files", f"{', '.join(sorted(found))}.", f"{name}, too.", NO_MANIFEST)
        return
    content = (folder / name).read_bytes()
    with contextlib.suppress(ValueError):
        if json.loads(content) == {"sha256": _sums(folder / PREFIXES[0])}:
            return
    told = f"`{' '.join(content[:80].decode(errors='replace').split())}`."
    yield SAVE.wrong(name, told, "the SHA-256 of each file, by its name.", STRANGE_MANIFEST)


def _sums(prefix: Path) -> dict[str, str]:
    files = [Path(f"{prefix}_{name}.npy") for name in PARAMETERS]
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def _interrupted(save_weights: Callable[..., None], folder: Path) -> Verdict:
    """See that no file changes if one of the parameters cannot be saved."""
    before, network = _sums(folder / PREFIXES[0]), Parameters(0)
    for name in PARAMETERS:  # others than those in the files
        setattr(network, name, getattr(network, name) + 1)
    del network.W2  # type: ignore[attr-defined]
    with contextlib.suppress(StudentError):
        ask("save_weights(network, prefix)", save_weights, network, folder / PREFIXES[0])
    now = _sums(folder / PREFIXES[0])
    if changed := [name for name in before if now[name] != before[name]]:
        found = f"{', '.join(changed)} changed, though the network has no W2."
        return SAVE.wrong("an error while saving", found, "all files as before.", HALF_SAVED)
    return SAVE.right("an error while saving")


def _impossible(
    save_weights: Callable[..., None], network: Parameters, folder: Path
) -> Iterator[Verdict]:
    """See that an error of writing is told: a folder can't be made where a file stands."""
    prefix, found = folder / f"{PREFIXES[0]}_W1.npy" / "weights", "no exception."
    try:
        ask("save_weights(network, prefix)", save_weights, network, prefix)
    except StudentError as error:
        if isinstance(error.error, OSError):
            return
        found = f"{error}."
    yield SAVE.wrong("a folder that can't be written", found, "an OSError.", ERROR_HIDDEN)


# Loading.


def _save_rightly(network: Parameters, prefix: Path) -> None:
    for name in PARAMETERS:
        np.save(f"{prefix}_{name}.npy", getattr(network, name))
    Path(f"{prefix}_manifest.json").write_text(json.dumps({"sha256": _sums(prefix)}))


def _loaded(
    load_weights: Callable[..., None], networks: Networks, seed: int
) -> Iterator[Verdict | Part]:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        _save_rightly(EARLIER, folder / f"{PREFIXES[0]}_full")  # belongs to another prefix
        for name, network in networks.items():
            _save_rightly(network, folder / name)
        for name, network in networks.items():
            fresh = Parameters(seed + 2, dtype=network.dtype.type)
            pair = (network, _other(networks, name))
            ask("load_weights(network, prefix)", load_weights, fresh, _prefix(folder, name))
            held = [_held_by(fresh, each, pair, name, seed) for each in PARAMETERS]
            wrong = [verdict for verdict in held if not verdict.passed]
            yield from wrong or [LOAD.right(f"{name} network")]
            if not wrong:
                yield from _loaded_again(load_weights, fresh, _prefix(folder, name), seed)
    yield partial(_uneven, load_weights, seed)
    for part in REFUSED:
        yield partial(_refused, load_weights, part, seed)


UNEVEN = Fault(
    "other sizes", "a network whose layers differ in size cannot be loaded, though the files fit.",
    "Compare each parameter with the network's own of the same name.",
)  # fmt: skip


def _uneven(load_weights: Callable[..., None], seed: int) -> Iterator[Verdict]:
    """See that files are loaded into a network whose layers differ in size."""
    saved, fresh = Parameters(seed, more=1), Parameters(seed + 1, more=1)
    with tempfile.TemporaryDirectory() as scratch:
        _save_rightly(saved, Path(scratch, "uneven"))
        try:
            ask("load_weights(network, prefix)", load_weights, fresh, Path(scratch, "uneven"))
        except StudentError as error:
            yield LOAD.error(error, UNEVEN)
            return
    held = (_held(LOAD, n, getattr(fresh, n), (saved, saved), n, {}) for n in PARAMETERS)
    yield from (verdict for verdict in held if not verdict.passed)


READ_ONLY = Fault(
    "read-only", "the network gets arrays that can't be changed, so that it can't be trained any "
    "more.", "Read the file by np.load, or copy what was read.",
)  # fmt: skip


def _loaded_again(
    load_weights: Callable[..., None], fresh: Parameters, prefix: str | Path, seed: int
) -> Iterator[Verdict]:
    """See that what was loaded can be trained, and that new files under old names are read."""
    if not all(getattr(fresh, name).flags.writeable for name in PARAMETERS):
        yield LOAD.wrong("arrays", "read-only ones.", "some that a step can change.", READ_ONLY)
    new = Parameters(seed + 4, dtype=fresh.dtype.type)
    _save_rightly(new, Path(prefix))
    ask("load_weights(network, prefix)", load_weights, fresh, prefix)
    held = [
        _held(LOAD, f"{n}, saved anew", getattr(fresh, n), (new, new), n, {}) for n in PARAMETERS
    ]
    yield from (verdict for verdict in held if not verdict.passed)


def _prefix(folder: Path, name: str) -> str | Path:
    """Return a prefix, which may be a text or a path."""
    return str(folder / name) if name == PREFIXES[0] else folder / name


def _held_by(
    fresh: Parameters, name: str, pair: tuple[Parameters, Parameters], prefix: str, seed: int
) -> Verdict:
    values = LOAD.numbers(name, getattr(fresh, name))
    faults = {NOT_LOADED: getattr(Parameters(seed + 2, dtype=fresh.dtype.type), name)}
    return _held(LOAD, f"{name} of the {prefix} network", values, pair, name, faults)


def _another_size(prefix: Path, name: str, seed: int) -> None:
    _save_rightly(Parameters(seed, 3), prefix)


def _another_shape(prefix: Path, name: str, seed: int) -> None:
    """Save one parameter in a shape from which NumPy would fill the right one."""
    network = Parameters(seed)
    setattr(network, name, getattr(network, name)[:1])
    _save_rightly(network, prefix)


def _another_type(prefix: Path, name: str, seed: int) -> None:
    _save_rightly(Parameters(seed, dtype=np.float64), prefix)


def _damaged(prefix: Path, name: str, seed: int) -> None:
    Path(f"{prefix}_manifest.json").unlink()  # else it would tell
    file = Path(f"{prefix}_{name}.npy")
    file.write_bytes(file.read_bytes()[:-5])


def _empty(prefix: Path, name: str, seed: int) -> None:
    Path(f"{prefix}_{name}.npy").write_bytes(b"")


def _two_savings(prefix: Path, name: str, seed: int) -> None:
    np.save(f"{prefix}_{name}.npy", getattr(Parameters(seed + 1), name))


def _missing(prefix: Path, name: str, seed: int) -> None:
    Path(f"{prefix}_{name}.npy").unlink()


OBJECTS = "a file of objects"
OBJECTS_RUN = Fault(
    "objects run", "with `allow_pickle=True`, code that somebody has put into the file is run as "
    "it is read.", "Leave `allow_pickle` out: np.load refuses such files then.",
)  # fmt: skip


class _LeavesAFolder:
    """An object whose reading makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.folder),)


def _objects(prefix: Path, name: str, seed: int) -> None:
    objects = np.array([_LeavesAFolder(prefix.with_name(OBJECTS))], dtype=object)
    np.save(f"{prefix}_{name}.npy", objects, allow_pickle=True)


# Files that don't fit: what is done to right ones, and the error that this has to raise.
REFUSED: dict[str, tuple[Callable[[Path, str, int], None], type[Exception]]] = {
    "another size": (_another_size, ValueError),
    "another shape": (_another_shape, ValueError),
    "another type": (_another_type, ValueError),
    "a damaged file": (_damaged, ValueError),
    "an empty file": (_empty, ValueError),
    "files of two savings": (_two_savings, ValueError),
    OBJECTS: (_objects, ValueError),
    "a missing file": (_missing, FileNotFoundError),
}


def _refused(load_weights: Callable[..., None], part: str, seed: int) -> Iterator[Verdict]:
    """See that files that don't fit are refused, whichever of them it is."""
    verdicts = [_refused_with(load_weights, part, name, seed) for name in ("b2", "W1", "b1", "W2")]
    wrong = next((verdict for verdict in verdicts if not verdict.passed), None)
    if wrong or part != OBJECTS:
        yield wrong or verdicts[0]


def _refused_with(load_weights: Callable[..., None], part: str, name: str, seed: int) -> Verdict:
    """See that the file of a parameter is refused, and that the network stays as it was."""
    spoil, kind = REFUSED[part]
    network, before = Parameters(seed + 3), Parameters(seed + 3)
    with tempfile.TemporaryDirectory() as scratch:
        prefix = Path(scratch, "first")
        _save_rightly(Parameters(seed), prefix)
        spoil(prefix, name, seed)
        found, raised, refused = "no exception.", False, False
        try:
            ask("load_weights(network, prefix)", load_weights, network, prefix)
        except StudentError as error:
            found, raised, refused = f"{error}.", True, isinstance(error.error, kind)
        taken = _taken_over(network, prefix)
        is_run = prefix.with_name(OBJECTS).exists()
    same = all(np.array_equal(getattr(network, n), getattr(before, n)) for n in PARAMETERS)
    if is_run:
        return LOAD.wrong(part, "what the file holds is run.", "a ValueError before.", OBJECTS_RUN)
    if refused and same:
        return LOAD.right(part)
    found += "" if same else " The network has changed."
    found += f" (It is {name} that doesn't fit.)" if name != "b2" else ""
    fault = TWO_SAVINGS if part == "files of two savings" else taken
    fault = HALF_LOADED if refused else OTHER_ERROR if same and raised else fault
    wanted = f"a {kind.__name__}, and the network as it was."
    return LOAD.wrong(part, found, wanted, fault)


def _taken_over(network: Parameters, prefix: Path) -> Fault:
    """Return how the network came to its numbers, if they are those of the files."""
    with contextlib.suppress(OSError, ValueError, EOFError):
        pairs = [(getattr(network, n), np.load(f"{prefix}_{n}.npy")) for n in PARAMETERS]
        if all(np.array_equal(now, values.astype(now.dtype)) for now, values in pairs):
            return CONVERTED if pairs[0][0].dtype != pairs[0][1].dtype else TAKEN_OVER
    return TAKES_ANYTHING


# Both.


def _other(networks: Networks, prefix: str) -> Parameters:
    return next(network for name, network in networks.items() if name != prefix)


def _held(
    exercise: Exercise, part: str, found: Array, networks: tuple[Parameters, Parameters],
    name: str, faults: Mapping[Fault, Array],
) -> Verdict:  # fmt: skip
    """Judge what was saved or loaded as `name`: of `networks` the right one, and another.

    `faults` tell what else the numbers may be.
    """
    saved, other = networks
    wanted = getattr(saved, name)
    told = describe(found), describe(wanted)
    if np.array_equal(found, wanted):
        if found.dtype == wanted.dtype:
            return exercise.right(part)
        return exercise.wrong(part, f"{found.dtype} numbers.", f"{wanted.dtype}.", OTHER_TYPE)
    known = {**faults, PREFIX_IGNORED: getattr(other, name), TRANSPOSED: wanted.T}
    causes = [cause for cause, values in known.items() if np.array_equal(found, values)]
    if any(np.array_equal(found, getattr(saved, each)) for each in PARAMETERS):
        causes.append(MIXED_UP)
    if distance(found, wanted) < 1e-2:
        causes.append(ROUNDED_NUMBERS if found.dtype == wanted.dtype else OTHER_TYPE)
    return exercise.wrong(part, *told, (*causes, UNKNOWN)[0])
