"""Python's errors as a student needs them: their own line, the shapes by name, a next step."""

import ast
import contextlib
import difflib
import re
import sysconfig
import textwrap
import traceback
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

from checks.exercises import load_tasks
from checks.source import given_functions

# What the checks hand to a student's function stands in for these.
STAND_INS = {
    "SpyNetwork": "MLP",
    "SpyNet": "Net",
    "SpyOptimizer": "SGD",
    "SpyLoss": "CrossEntropyLoss",
}
SHAPES = "Print both shapes just before that line, and see which axis of each belongs together."


class TooLong(BaseException):
    """A call did not come to its end in time; no `except Exception` of the student's catches it."""


class Explanation(NamedTuple):
    """What an error means: facts from the student's line, the cause if certain, a next step."""

    facts: str = ""
    key: str = "raised"
    likely: str = ""
    step: str = "Run that line by itself, with the smallest example that you can think of."


class Place(NamedTuple):
    """A line of a traceback. `frame` is None if it arose in another process."""

    file: str
    line: int
    function: str
    code: str
    part: str = ""  # of the code: what was being computed
    frame: FrameType | None = None


def said(error: BaseException) -> str:
    """Return the error in one line, with nothing in it that the student doesn't know."""
    reason = str(error).strip().partition("\n")[0]
    reason = re.sub(r"^matmul: .*signature.*", "the shapes of the two sides don't fit", reason)
    reason = textwrap.shorten(reason, 200, placeholder=" …")
    return _renamed(f"{type(error).__name__}: {reason}".rstrip(": "))


def _renamed(text: str) -> str:
    return re.sub(r"\bSpy\w+", lambda match: STAND_INS.get(match[0], match[0]), text)


def places(error: BaseException) -> list[Place]:
    """Return all lines of the traceback, outermost first.

    A stand-in for student code in another process may set `error.frames` to those over there.
    """
    told: list[traceback.FrameSummary] | None = getattr(error, "frames", None)
    if told is not None:
        return [Place(f.filename, f.lineno or 0, f.name, (f.line or "").strip()) for f in told]
    summaries = traceback.extract_tb(error.__traceback__)
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return [_place(*pair) for pair in zip(summaries, frames, strict=True)]


def _place(summary: traceback.FrameSummary, frame: FrameType) -> Place:
    code, part = summary.line or "", ""
    lines = (summary.lineno, summary.end_lineno)
    if lines[0] == lines[1] and summary.colno is not None:
        whole = getattr(summary, "_original_line", code)
        part = whole.encode()[summary.colno : summary.end_colno].decode(errors="replace")
    name = frame.f_code.co_qualname
    return Place(summary.filename, summary.lineno or 0, name, code.strip(), part, frame)


_judged: list[tuple[str, ...]] = [()]  # the functions of the exercise that is being judged


@contextlib.contextmanager
def judging(writes: tuple[str, ...]) -> Iterator[None]:
    """Tell which functions an exercise is about: errors are shown in their lines."""
    _judged[0], before = writes, _judged[0]
    try:
        yield
    finally:
        _judged[0] = before


def student_places(error: BaseException) -> list[Place]:
    """Return the lines of `error` that are the student's own, or at least not a library's."""
    own = [place for place in places(error) if not _is_librarys(place.file)]
    return [place for place in own if not _is_given(place)] or own


@cache
def _is_librarys(file: str) -> bool:
    libraries = {sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")}
    ours = Path(file).parent == Path(__file__).parent
    compiled = file.endswith((".pyx", ".pxd"))
    return ours or compiled or any(file.startswith(library) for library in libraries)


def _is_given(place: Place) -> bool:
    """Whether a line is in a function that comes with the course, or is of another exercise."""
    outer = place.function.partition(".<locals>")[0]
    if outer in _judged[0] or outer in {name.rpartition(".")[2] for name in _judged[0]}:
        return False
    others = {name for task in load_tasks() for name in task.writes}
    return outer in others or (place.frame is not None and outer in given_functions(place.file))


def raised_by_library(error: BaseException) -> bool:
    """Whether a library raised `error`, in a frame of its own or in compiled code."""
    own = student_places(error)
    if not (all_places := places(error)) or not own:
        return bool(all_places)
    last = all_places[-1]
    return own[-1][:2] != last[:2] or bool(last.code and type(error).__name__ not in last.code)


def student_line(error: BaseException) -> str:
    """Say where in the student's own code `error` arose, "" if that isn't known."""
    found = student_places(error)
    if not found:
        return ""
    file, number, code = found[-1].file, found[-1].line, found[-1].code
    cell = "ipykernel" in file or file.startswith("<")
    place = "the cell" if cell else Path(file).name
    return f"line {number} of {place}" + (f": `{code}`" if code else "")


def explain(error: BaseException) -> Explanation:
    """Say what is known of an error: by its kind, its text, and the values in that line."""
    found = student_places(error)
    place = found[-1] if found else Place("", 0, "", "")
    for kind, rule in RULES:
        explanation: Explanation | None = rule(error, place) if isinstance(error, kind) else None
        if explanation:
            return Explanation(*map(_renamed, explanation))
    return Explanation()


def shapes_of(place: Place) -> str:
    """Say which shapes the arrays have that meet in what was being computed."""
    try:
        node: ast.AST = ast.parse(place.part.strip()).body[0]
    except (SyntaxError, IndexError):
        return ""
    node = node.value if isinstance(node, ast.Expr) else node
    shapes = [f"`{text}` has the shape {shape}" for text, shape in _shapes(node, place.frame)]
    return f"{', and '.join(shapes)}." if shapes else ""


def _shapes(node: ast.AST, frame: FrameType | None) -> Iterator[tuple[str, tuple[int, ...]]]:
    parts: list[ast.expr] = []
    if isinstance(node, ast.BinOp):
        parts = [node.left, node.right]
    elif isinstance(node, ast.AugAssign):
        parts = [ast.parse(ast.unparse(node.target), mode="eval").body, node.value]
    elif isinstance(node, ast.Compare):
        parts = [node.left, *node.comparators]
    elif isinstance(node, ast.Call):
        parts = [*node.args, *([node.func.value] if isinstance(node.func, ast.Attribute) else [])]
    elif isinstance(node, (ast.Subscript, ast.Attribute)):
        parts = [node.value, *([node.slice] if isinstance(node, ast.Subscript) else [])]
    for part in parts:
        value = value_of(part, frame)
        if hasattr(type(value), "shape") and isinstance(value.shape, tuple):  # no __getattr__
            yield ast.unparse(part), tuple(value.shape)


def value_of(node: ast.expr, frame: FrameType | None) -> Any:
    """Return the value of names, attributes and products of them in `frame`; None for all else."""
    harmless = (ast.Name, ast.Attribute, ast.Load, ast.BinOp, ast.operator, ast.Constant,
                ast.Subscript, ast.Slice, ast.Tuple)  # fmt: skip
    if frame is None or not all(isinstance(each, harmless) for each in ast.walk(node)):
        return None
    try:
        code = compile(ast.Expression(node), "<part>", "eval")
        return eval(code, frame.f_globals, frame.f_locals)
    except Exception:
        return None


# What Python's messages mean: kinds of errors, words of the message, key, cause, next step. {0} is
# what the brackets in the words stand for.
WRONG_VALUES = (ValueError, RuntimeError, TypeError)
SPELLING = "See how that name is spelled where it gets its value, and whether that comes first."
NONE_GIVEN = "See which function gave it, and whether it ends with `return`."
LENGTHS = "See which axis has the wrong length; one of them may be -1, which is worked out."
GIVEN = "Compare what is passed with the docstring of what is called."
CONVERT = "Convert what doesn't fit; a text with values in it is best written as an f-string."
MEANINGS: tuple[tuple[Any, str, str, str, str], ...] = (
    (SystemExit, "", "exit", "`exit` ends the whole program, the notebook's kernel too.",
     "Leave a function by `return`, or raise an error that says what is wrong."),
    (AttributeError, r"property '(\w+)' of .* has no setter", "property without setter",
     "`{}` can be read and not assigned to, as this check and later cells do.",
     "Keep it as a plain attribute, or give the property a setter."),
    ((RecursionError, TooLong), "", "endless",
     "it takes far longer than it should, as a loop or recursion without an end does.",
     "See what changes in each turn of the loop, and what would end it."),
    (UnboundLocalError, r"'(\w+)'", "used too early",
     "`{0}` is used in this function before it gets a value there.",
     "Give `{0}` its value first, outside of any `if` or loop that may be skipped."),
    (ZeroDivisionError, "", "divided by 0",
     "the number that is divided by is 0: what should be counted never came, as from a loop over "
     "an iterator that is used up already.", "Print how often the loop before it is run."),
    (OverflowError, "math range error", "overflow",
     "the result is larger than a float can be, as exp of more than 709 is.",
     "Write the formula so that exp never gets a large number, as the notebook does."),
    ((*WRONG_VALUES, NotImplementedError), r"floating point.*(?:got|Got):? (\w+)", "types",
     "values of the type {0} stand where numbers with a point are wanted.",
     "See what they were made of: `==` gives Bool, argmax whole numbers; `.float()` converts."),
    (FileNotFoundError, r"No such file or directory: (.*)", "no such file",
     "there is no file of the name {0} when this line looks for it.",
     "Compare the name with those of the files that were written, letter by letter."),
    (RuntimeError, r"(\w+)\(y\) came before forward", "forward missing",
     "`{0}` is called for images that did not go forward.",
     "Call `forward` with the images of the batch first."),
    (AttributeError, r"before Module\.__init__\(\) call", "super missing",
     "PyTorch's own part of the network is not made yet when a layer is assigned.",
     "Let `__init__` begin with `super().__init__()`, with all its parentheses."),
    (WRONG_VALUES, "need at least one array|expected a non-empty list", "nothing to join",
     "the list of what is to be joined is empty.", "Print how often the loop before it is run."),
    (ValueError, r"subscripts string contains too many subscripts for operand (\d)", "einsum",
     "operand {0} of einsum, counted from 0, has fewer axes than letters.", SHAPES),
    (NotImplementedError, r'missing the required "(\w+)" function', "method missing",
     "the class has no method `{0}`.", "Define it inside the class, with just that name."),
    (ValueError, "closed file", "file closed", "a file is closed that is still written to.",
     "Leave it open: whoever opened it closes it, so `with` is wanted once, around all files."),
    (WRONG_VALUES, "does not require grad", "no gradients recorded",
     "the loss does not depend on the weights any more: the forward pass ran under `no_grad`, or "
     "its result was detached or turned into plain numbers.",
     "Compute logits and loss of the training batch as tensors, without `no_grad`."),
    (WRONG_VALUES, "backward through the graph a second time", "backward twice",
     "`backward` is called twice for one loss.", "Compute a new loss for each `backward`."),
    (WRONG_VALUES, r"numpy\(\) on Tensor that requires grad", "gradients kept",
     "the tensor still carries what `backward` would need.",
     "Compute it within `with torch.inference_mode():`, or call `.detach()` first."),
    (WRONG_VALUES, "batch_size", "batch flattened", "the number of rows is not that of the labels.",
     "Keep the first axis in each reshape: one row for each image."),
    (WRONG_VALUES, "mat1 and mat2 shapes", "flatten size",
     "a fully connected layer expects another number of values than arrive.",
     "Follow the shapes through the layers, and compare with `in_features`."),
    (WRONG_VALUES, "ambiguous", "array as condition",
     "a whole array stands where True or False is wanted.",
     "Say what is meant: `.all()`, `.any()`, or a comparison for each element."),
    (WRONG_VALUES, "unpack", "unpacked",
     "the number of names on the left is not that of the values on the right.",
     "Print the value on the right: a shape has one number for each axis."),
    (WRONG_VALUES, "inhomogeneous", "ragged", "rows of different lengths can't make one array.",
     "Print the length of each row before they are put together."),
    (WRONG_VALUES, r"axis (-?\d+) is out of bounds for array of dimension (\d+)", "axis",
     "there is no axis {0} in this array, whose number of axes is {1}; the first one is axis 0.",
     "Count the axes of the shape, for one image and for a batch: the last one is always -1."),
    (IndexError, r"index (-?\d+) is out of bounds for (?:axis|dimension) (\d+) with size (\d+)",
     "out of bounds",
     "axis {1} has the length {2}, counted from 0, so {0} is not one of its places.",
     "See what these numbers count, and whether that lies along axis {1}."),
    (RuntimeError, r"Input type \((.+)\) and \w+ type \((.+)\) should be the same", "type",
     "the images have the type {0}, and the network's weights {1}.",
     "Convert the images, by `.float()`, or use what the given lines have prepared."),
    (RuntimeError, "stack expects each tensor to be equal size", "stacked",
     "`stack` lays parts side by side along a new axis, and they differ in size.",
     "Join them along the axis that they have: torch.cat."),
    (IndexError, "tuple index out of range", "axis missing",
     "this line counts on more axes than came: a shape has one number for each axis.",
     "Count the axes, for one image and for a batch; whole arrays can be computed with at once."),
    (IndexError, r"too many indices for (?:array|tensor)\D*(\d+)", "too many indices",
     "the brackets hold more indices than the array has axes. A tuple gives one for each axis; a "
     "list or an array of numbers picks rows.", "Print what stands in the brackets, and its type."),
    (WRONG_VALUES, r"Cannot cast ufunc .* from dtype\('(\w+)'\) to dtype\('(\w+)'\)",
     "type of numbers",
     "an array of the type {1} cannot take in numbers of the type {0}.",
     "Make the array that is changed in place with the right type: np.zeros makes floats."),
    (TypeError, "Cannot interpret '(.*)' as a data type", "shape without parentheses",
     "{0} stands where the type of the numbers is wanted: all lengths belong into the first "
     "argument.", "Set the whole shape in parentheses of its own: np.zeros((rows, columns))."),
    (TypeError, "0-d array|unsized object|0-d tensor", "no axis",
     "a single number, which has no axis, came to a line that counts on one.",
     "Compute with whole arrays, whatever their number of axes, and not row by row."),
    (ValueError, "negative dimensions", "negative length",
     "a length of the shape is negative.", "Print the shape that is asked for."),
    (TypeError, r"(\w+)\(\) takes (?:from |at most )?\d+.* positional arguments? (?:but|\()",
     "number of arguments", "`{0}` is called with another number of values than it takes; self, or "
     "the array before the point, is one of them. The lengths of a shape are one value, in "
     "parentheses.", GIVEN),
    (TypeError, r"type (\w+) doesn't define __(\w+)__", "types",
     "`{1}` can't be taken of a {0}.", CONVERT),
    (TypeError, r"ufunc '(\w+)' did not contain a loop with signature.*'<U", "types",
     "`{0}` meets a text where only numbers go.", "Print what stands on both sides."),
    (TypeError, r"expected np.ndarray \(got (\w+)\)", "wrong type",
     "a {0} came, and only NumPy's arrays are taken.", "torch.as_tensor takes both."),
    (ValueError, r"not what \S+ was written with", "files mixed up",
     "`require_together` got other files than the manifest lists: it wants the path of each, with "
     "the prefix, and the bytes that were read from there.",
     "Print what you hand to it, and compare it with the manifest."),
    (ValueError, "training mode is expected to be boolean", "mode",
     "`train` wants True or False, and something else came: what `eval()` returns is the network "
     "itself, not the mode in which it was.",
     "Note `network.training` before you call `eval()`, and hand that to `train` in the end."),
    (AssertionError, "Size mismatch between tensors", "shapes",
     "images and labels are not of the same number.", "Print the length of both."),
    (TypeError, r"'([\w.]+)'(?: object (?:is not (?:iterable|subscriptable)|does not support item)|"
     r" has no len)",
     "no array", "a value of the type {0} stands where an array or a list is wanted.",
     "Print what stands there, and see where it got its value."),
    (TypeError, r"(list|tuple) indices must be integers or slices, not ([\w.]+)", "index",
     "a {0} is indexed by a {1}: its entries have numbers, from 0 on, and no names.",
     "Print what stands before the bracket: which of its entries is wanted?"),
    ((TypeError, AttributeError), r"(?:must be|expected) (\w+), not ([\w.]+)", "wrong type",
     "a {1} stands where a {0} is wanted.", "Print what stands there: a call may be missing."),
    (TypeError, r"([\w.]+) is not a Module subclass", "no layer",
     "{0} stands where a layer is wanted.", "Make the layer there, with its parentheses."),
    (WRONG_VALUES, r"shape '?(\[.*\])'? is invalid for input of size (\d+)", "shapes",
     "{1} numbers can't be laid out in the shape {0}: its lengths have another product.", LENGTHS),
    (WRONG_VALUES, r"cannot reshape array of size (\d+) into shape (\(.*\))", "shapes",
     "{0} numbers can't be laid out in the shape {1}: its lengths have another product.", LENGTHS),
    (WRONG_VALUES, r"only (?:one dimension can be inferred|specify one unknown)", "shapes",
     "-1 stands for a length that is worked out from all others, so it may come only once.",
     "Write the other lengths as numbers."),
    (WRONG_VALUES, r"tensor a \((\d+)\) must match .* tensor b \((\d+)\) at .* dimension (\d+)",
     "shapes", "along axis {2}, one side has the length {0} and the other {1}.", SHAPES),
    (WRONG_VALUES, r"broadcast together with (?:remapped )?shapes (\(.*?\)) ?(\(.*?\))", "shapes",
     "the two sides have the shapes {0} and {1}, which don't fit each other.", SHAPES),
    (ValueError, r"zip\(\) argument \d is (longer|shorter)", "shapes",
     "what `zip` pairs is not of the same length.", "Print the length of each, just before."),
    (TypeError, r"'([\w.]+)' object cannot be interpreted as an integer", "wrong type",
     "a {0} stands where a whole number is wanted.", "Print what stands there, and its type."),
    (ValueError, "; (?:wanted|this network wants) ", "shapes",
     "a function of the course was given something else than it wants.",
     "Print what is passed to it, just before that line."),
    (TypeError, r"'([\w.]+)' object is not callable", "not a function",
     "what stands before the parenthesis is no function, but a value of the type {0}.",
     "Write the `*` of a product, and use square brackets for an index."),
    (RuntimeError, r"expected input.* to have (\d+) channels, but got (\d+)", "channels",
     "the layer expects {0} channels, and {1} came: not the result of the layer before it.",
     "Hand each layer what the one before returned: `x = layer(x)`."),
    ((AttributeError, TypeError), "NoneType", "None used",
     "a value in this line is None, as a function without `return` gives it.", NONE_GIVEN),
    (TypeError, "only (?:length-1|0-dimensional|integer scalar) arrays|can only be converted",
     "one number only", "this works on one number at a time, and an array came.",
     "Use NumPy's function of that name, which takes whole arrays."),
    (WRONG_VALUES, r"only one element tensors|Tensor with \d+ elements cannot be converted",
     "one number only", "a whole tensor stands where one number is wanted.",
     "Print its shape, and see in which line it should have become one number."),
    (TypeError, r'can only concatenate (\w+) \(not "([\w.]+)"\)', "types",
     "`+` meets a {0} and a {1}, which don't go together.", CONVERT),
    (TypeError, r"a (bytes-like object) is required, not '([\w.]+)'", "types",
     "a {1} stands where a {0} is wanted.", CONVERT),
    (TypeError, r"bitwise_xor|for \^", "operator", "`^` is no power in Python: it combines bits.",
     "Write `**` for a power."),
    (TypeError, r"unsupported operand type\(s\) for (\S+): '(\w+)' and '(\w+)'", "types",
     "`{0}` meets a {1} and a {2}, which don't go together.",
     CONVERT),
    (TypeError, r"bad operand type for (?:unary )?(\S+): '([\w.]+)'", "types",
     "`{0}` meets a {1}, with which it can't compute.", "Print what stands there."),
    (IndexError, "only integers, slices|must be of integer", "index",
     "what stands in the brackets is no index: that is a whole number, an array of whole numbers "
     "or of True and False, or a slice.", "Print what stands in the brackets, and its dtype."),
    (RuntimeError, "only for scalar outputs", "backward of many",
     "`backward` is called on many numbers; the loss of a batch is a single one.",
     "Call `backward` on what the criterion returns."),
    (TypeError, r"unexpected keyword argument '(\w+)'", "unknown argument",
     "what is called there has no argument `{0}`.", "Look its arguments up in the documentation."),
    (TypeError, r"missing \d+ required positional arguments?: (.*)", "argument missing",
     "a call leaves out {0}.", "Compare that call with the docstring of what is called."),
)  # fmt: skip


def _known(error: BaseException, place: Place) -> Explanation | None:
    for kinds, words, key, likely, step in MEANINGS:
        if isinstance(error, kinds) and (match := re.search(words, str(error))):
            facts = shapes_of(place) if isinstance(error, (*WRONG_VALUES, IndexError)) else ""
            groups = match.groups()
            return Explanation(facts, key, likely.format(*groups), step.format(*groups))
    return None


# Rules for what a message alone doesn't tell: each looks at an error and its place.


def _name_error(error: BaseException, place: Place) -> Explanation | None:
    name = str(getattr(error, "name", None) or str(error).partition("'")[2].partition("'")[0])
    values = place.frame.f_locals if place.frame else {}
    if hasattr(values.get("self"), name):
        likely = f"`self.` is missing before `{name}`: it belongs to the network."
        return Explanation("", "self missing", likely, f"Write `self.{name}`.")
    own = getattr(values.get("self"), "__dict__", ())
    known = [*values, *own, *(place.frame.f_globals if place.frame else ())]
    near = difflib.get_close_matches(name, known, 1)
    likely = f"nothing is called `{name}` here" + (f"; there is `{near[0]}`." if near else ".")
    return Explanation("", "unknown name", likely, SPELLING)


def _arguments(frame: FrameType) -> tuple[str, ...]:
    return frame.f_code.co_varnames[: frame.f_code.co_argcount]


def _attribute_error(error: BaseException, place: Place) -> Explanation | None:
    told = re.search(r"'([\w.]+)' object has no attribute '(\w+)'", str(error))
    name, thing = getattr(error, "name", None) or (told and told[2]), getattr(error, "obj", None)
    if not name:
        return None
    values = place.frame.f_locals if place.frame else {}
    if place.frame and thing is values.get("self") and name in _arguments(place.frame):
        likely = f"`{name}` is an argument of this function, and nothing of the network."
        return Explanation(
            "", "self too much", likely, f"Write `{name}` without `self.` before it."
        )
    if name in values and thing is values.get("self"):
        likely = f"`{name}` is a variable of this function alone: `self.` is missing before it."
        step = f"Write `self.{name}` where it gets its value: so the network keeps it."
        return Explanation("", "self missing", likely, step)
    if place.frame and f".{name}" not in place.code and thing is not values.get("self"):
        likely = f"a function that is called there got something without `{name}`"
        likely += f": a {type(thing).__name__}." if thing is not None else "."
        return Explanation("", "wrong type", likely, GIVEN)
    before = place.part.rpartition(f".{name}")[0]
    shown = (
        f"`{before}`"
        if before
        else f"a value of the type {told[1] if told else type(thing).__name__}"
    )
    near = difflib.get_close_matches(name, dir(thing), 1, 0.75) if thing is not None else []
    likely = f"{shown} has nothing called `{name}`" + (f"; it has `{near[0]}`." if near else ".")
    return Explanation("", "unknown attribute", likely, SPELLING)


def _own_error(error: BaseException, place: Place) -> Explanation | None:
    if not place.code.startswith(("raise ", "assert ")):
        return None
    likely = "this line ends the function by an error of its own, where nothing is wrong."
    step = "Print the two sides of the condition above that line, and see why it holds."
    return Explanation("", "own error", likely, step)


def _no_record(error: BaseException, place: Place) -> Explanation | None:
    frames = [each.frame for each in places(error) if each.frame]
    known = [value for frame in frames for value in frame.f_locals.values()]
    empty = any(type(value).__name__ == "History" and not len(value) for value in known)
    if not (empty and "list index" in str(error)):
        return None
    likely = "the epoch has ended and the history holds no entry: `history.record` was not called."
    step = "Record the loss and both accuracies at the end of each epoch."
    return Explanation("", "nothing recorded", likely, step)


MISFITS = re.compile(
    r"shape|dimension|broadcast|target|aligned|mismatch|size of tensor|cannot be multiplied|"
    r"axis \d|boolean index"
)


def _misfit(error: BaseException, place: Place) -> Explanation | None:
    facts = shapes_of(place)
    if not facts or not MISFITS.search(str(error)):
        return Explanation(facts) if facts else None
    likely = "the shapes that meet in this line don't fit each other."
    return Explanation(facts, "shapes" if facts.count("`") > 2 else "raised", likely, SHAPES)


RULES: tuple[tuple[type[BaseException], Any], ...] = (
    (Exception, _own_error),
    (BaseException, _known),
    (NameError, _name_error),
    (AttributeError, _attribute_error),
    (IndexError, _no_record),
    (Exception, _misfit),
)
