"""Right solutions that a program varies: how functions are called, what they return, and more.

    python -m tests.grading.hand_ins.varied 100 [--first 0] [--cnn]

marks that many in the sandbox, and prints each exercise that does not get all points, with what the
check said and what was varied. Whoever reads such code with care would call it right.
"""

import argparse
import ast
import random
import sys
from dataclasses import dataclass, field

from tqdm import tqdm

from grading.archives import HandIn
from grading.exam import read_exam
from grading.marking import mark
from grading.sandbox.surroundings import Surroundings
from tests.grading.hand_ins.demo_class import RIGHT_FORMS, files_of, form

METHODS = {"forward": "x", "loss": "y", "update_grad": "y", "update_params": "lr"}
ARRAYS = ("sigmoid", "softmax", "cross_entropy_derivative", "weight_gradient", "hidden_delta",
          "sigmoid_derivative", "one_hot_encode")  # fmt: skip
NUMBERS = ("cross_entropy", "accuracy", "test_network", "test_accuracy")
HISTORIES = ("train_network", "trainNN")
# What a right result may be, as functions of that result.
OF_ARRAY = (
    "np.asarray(v).tolist()", "tuple(v) if np.ndim(v) else v",
    "np.asfortranarray(v) if np.ndim(v) else v", "np.asarray(v, np.longdouble)",
    "np.broadcast_to(v, np.shape(v))", "np.asarray(v).view(Own)",
)  # fmt: skip
OF_NUMBER = ("float(v)", "np.float64(v)", "np.asarray(v)", "np.longdouble(v)", "np.array([v])[0]")
KEEPERS = ("list(x)", "tuple(x)", "collections.deque(x)", "np.array(x)", "np.array(x).tolist()")
OF_HISTORY = (
    "{fields}", "types.SimpleNamespace(**{fields})", "types.MappingProxyType({fields})",
    "collections.namedtuple('H', {fields})(**{fields})", "collections.OrderedDict({fields})",
)  # fmt: skip
STATES = {
    "in attributes": "",
    "in a dictionary of its own": """
class Kept:
    def __set_name__(self, owner, name):
        self.name = name
    def __get__(self, network, owner=None):
        return vars(network)["_state"][self.name]
    def __set__(self, network, value):
        vars(network).setdefault("_state", {})[self.name] = value
class MLP(MLP):
    W1, b1, W2, b2 = Kept(), Kept(), Kept(), Kept()
""",
    "in the module": """
KEPT = weakref.WeakKeyDictionary()
def kept(name):
    def read(network):
        return KEPT[network][name]
    def write(network, value):
        KEPT.setdefault(network, {})[name] = value
    return property(read, write)
class MLP(MLP):
    W1, b1, W2, b2 = map(kept, ("W1", "b1", "W2", "b2"))
    W1_grad, b1_grad, W2_grad, b2_grad = map(kept, ("dW1", "db1", "dW2", "db2"))
""",
    "in itself, a dictionary": """
class MLP(MLP, dict):
    __hash__ = object.__hash__
    def __setattr__(self, name, value):
        self[name] = value
    def __getattr__(self, name):
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None
""",
    "in a network within": """
class Outer:
    def __init__(self, *args, _inner=MLP, **kwargs):
        object.__setattr__(self, "_network", _inner(*args, **kwargs))
    def __getattr__(self, name):
        if name == "_network":
            raise AttributeError(name)
        return getattr(self._network, name)
    def __setattr__(self, name, value):
        setattr(self._network, name, value)
class MLP(Outer):
    pass
""",
    "with slots": """
class MLP(MLP):
    __slots__ = ("W1", "b1", "W2", "b2")
""",
    "made by a function": """
def MLP(*args, _class=MLP, **kwargs):
    return _class(*args, **kwargs)
""",
}
NO_CLASS = ("in a network within", "made by a function")
PRELUDE = "import collections, functools, types, weakref\nimport numpy as np\n\n\n" \
          "class Own(np.ndarray):\n    pass\n\n\n"  # fmt: skip
ASIDES = (
    "functions = {name: each for name, each in globals().items() if callable(each)}",
    "sigmoid = functools.wraps(sigmoid)(lambda *args, _f=sigmoid, **kwargs: _f(*args, **kwargs))",
    "softmax = functools.partial(softmax)",
    "assert abs(np.sum(softmax(np.zeros(4))) - 1) < 1e-6",
    "class Counted:\n    def __init__(self, f):\n        self.f, self.n = f, 0\n"
    "    def __call__(self, *args, **kwargs):\n        self.n += 1\n"
    "        return self.f(*args, **kwargs)\n"
    "cross_entropy = Counted(cross_entropy)",
    "accuracy = staticmethod(accuracy)",
    "if __name__ == '__main__':\n    raise SystemExit('run by hand')",
)


@dataclass
class Variation(ast.NodeTransformer):
    """What is varied in a module, drawn by chance; visiting a tree does it."""

    rng: random.Random
    parameters: dict[str, list[str]]
    wraps: dict[str, str] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        self.generic_visit(node)
        if node.name in self.wraps:
            for each in ast.walk(node):
                if isinstance(each, ast.Return) and each.value:
                    wrap = ast.parse(f"(lambda v: {self.wraps[node.name]})(0)").body[0].value
                    wrap.args, each.value = [each.value], wrap
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        name = getattr(node.func, "id", None) or getattr(node.func, "attr", "")
        is_method = isinstance(node.func, ast.Attribute)
        if name in self.parameters and is_method == (name in METHODS):
            self._by_keyword(node, self.parameters[name])
        maker = dict.fromkeys(ARRAYS, "np.asarray") | dict.fromkeys(NUMBERS, "float")
        if name in self.wraps and name in maker:  # whoever wrote it knows what it returns
            return ast.parse(f"{maker[name]}({ast.unparse(node)})").body[0].value
        return node

    def _by_keyword(self, node: ast.Call, names: list[str]) -> None:
        if any(isinstance(each, ast.Starred) for each in node.args) or self.rng.random() < 0.3:
            return
        first = self.rng.randint(0, len(node.args))
        pairs = zip(names[first:], node.args[first:], strict=False)
        node.keywords += [ast.keyword(name, value) for name, value in pairs]
        node.args = node.args[:first]
        self.rng.shuffle(node.keywords)


def varied(text: str, rng: random.Random) -> tuple[str, str]:
    """Return a right solution that is varied by chance, and what was varied."""
    tree = ast.parse(text)
    functions = [each for each in ast.walk(tree) if isinstance(each, ast.FunctionDef)]
    parameters = {
        each.name: [arg.arg for arg in each.args.args if arg.arg != "self"] for each in functions
    }
    renamed = {name for name, own in METHODS.items() if parameters.get(name) != [own]}
    parameters = {k: v for k, v in parameters.items() if k not in renamed}
    parameters |= {"criterion": ["input", "target"]}
    top = {each.name for each in tree.body if isinstance(each, ast.FunctionDef)}
    wraps = {name: _wrap(name, rng) for name in sorted(top) if rng.random() < 0.4}
    wraps = {name: wrap for name, wrap in wraps.items() if wrap}
    tree = ast.fix_missing_locations(Variation(rng, parameters, wraps).visit(tree))
    has_names = "MLP.names" in text  # so a function or another class can't take its place
    kinds = [each for each in STATES if not (has_names and each in NO_CLASS)]
    state = rng.choice(kinds) if "MLP" in text else "in attributes"
    aside = rng.choice(["", *ASIDES]) if "MLP" in text else ""
    told = f"state {state}; {wraps}; {aside!r}"
    return f"{PRELUDE}{ast.unparse(tree)}\n{STATES[state]}\n{aside}\n", told


def _wrap(name: str, rng: random.Random) -> str:
    if name in HISTORIES:
        keeper = rng.choice(KEEPERS)
        fields = f"{{k: {keeper} for k, x in vars(v).items()}}"
        return rng.choice(OF_HISTORY).replace("{fields}", fields)
    return rng.choice(OF_ARRAY if name in ARRAYS else OF_NUMBER if name in NUMBERS else [""])


def drawn(seed: int, cnn: bool = False) -> tuple[dict[str, bytes], str]:
    """Return the files of a right hand-in, and what was varied in it."""
    rng = random.Random(seed)
    name = rng.choice(RIGHT_FORMS)
    first, told = varied(form(name), rng)
    second, more = varied(form("cnn_plain"), rng) if cnn else ("", "")
    return files_of(first, second), f"{name}, {told}; {more}"


def lost(seed: int, surroundings: Surroundings, cnn: bool = False) -> list[str]:
    """Return a line for each exercise of a right hand-in that did not get all points."""
    exam = read_exam()
    files, told = drawn(seed, cnn)
    tasks = tuple(task for task in exam.tasks if cnn or task.module != "cnn")
    result = mark(HandIn("varied", files), type(exam)(tasks, exam.limits, ""), 7, surroundings)
    wrong = [each for each in result["exercises"] if each["points"] < each["maximum"]]
    return [f"{seed}: {told}\n  {each['name']}: {each['text']}" for each in wrong]


def main() -> int:
    """Mark as the command line says; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("n", type=int)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--cnn", action="store_true", help="with notebook 2")
    options = parser.parse_args()
    surroundings, n_wrong = Surroundings(), 0
    for seed in tqdm(range(options.first, options.first + options.n)):
        lines = lost(seed, surroundings, options.cnn)
        print(*lines, sep="\n", end="\n" * bool(lines), flush=True)
        n_wrong += bool(lines)
    surroundings.close()
    print(f"{options.n - n_wrong} of {options.n} right hand-ins got all points")
    return int(n_wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
