"""Mistakes that students make, each put into a right solution, and the cause that it should get.

Run `python -m tests.checks.mutants` for the shares that are caught and named rightly, with `-v` for all
messages.
"""

# ruff: noqa: E501  # a table of lines of code, right and wrong

import contextlib
import io
import linecache
import sys
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from checks.exercises import load_tasks
from checks.verdicts import Report

TASKS = {task.name: task for task in load_tasks()}
FORMS = Path(__file__).with_name("student")

SECOND_NOTEBOOK = ("convolve", "net", "trainNN", "evaluation")


def student_module(source: str, name: str) -> ModuleType:
    """Return a module of this source text, whose lines tracebacks can show."""
    filename = f"{name.replace(' ', '_')}.py"
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    module = ModuleType("student")
    exec(compile(source, filename, "exec"), module.__dict__)
    return module


def run_check(exercise: str, module: ModuleType, **options: Any) -> Report:
    """Call the check that belongs to `exercise`, silently."""
    task = TASKS[exercise]
    with contextlib.redirect_stdout(io.StringIO()):
        return task.check(*(getattr(module, name) for name in task.takes), **options)


@dataclass(frozen=True)
class Mutant:
    """A mistake in `exercise`: lines of a form that are replaced, or code that comes after it."""

    exercise: str
    name: str
    cause: str
    edits: tuple[tuple[str, str], ...] = ()
    code: str = ""
    form: str = ""

    def source(self) -> str:
        """Return the source text; every edited line must be there exactly once."""
        form = self.form or ("cnn_plain" if self.exercise in SECOND_NOTEBOOK else "plain")
        text = (FORMS / f"{form}.py").read_text(encoding="utf-8")
        for old, new in self.edits:
            assert text.count(old) == 1, f"{self.name}: {old!r} is there {text.count(old)} times"
            text = text.replace(old, new)
        return f"{text}\n\n{self.code}\n"

    def report(self, **options: Any) -> Report:
        """Return what the check says of it."""
        return run_check(self.exercise, student_module(self.source(), self.name), **options)


def functions(exercise: str, *entries: tuple[str, str, str]) -> list[Mutant]:
    """Make mutants of whole functions: name, cause, code."""
    return [Mutant(exercise, name, cause, code=code) for name, cause, code in entries]


def edits(exercise: str, *entries: tuple[str, str, str, str], form: str = "") -> list[Mutant]:
    """Make mutants of one edit: name, cause, the right text, the wrong text."""
    return [
        Mutant(exercise, name, cause, ((old, new),), form=form) for name, cause, old, new in entries
    ]


SIGMOID = functions(
    "sigmoid",
    ("return forgotten", "nothing returned", "def sigmoid(a):\n    s = 1 / (1 + np.exp(-a))"),
    ("in place", "input changed",
     "def sigmoid(a):\n    a *= -1\n    return 1 / (1 + np.exp(a))"),
    ("misspelled", "unknown name", "def sigmoid(a):\n    return 1 / (1 + np.exp(-A))"),
    ("math.exp", "one number only", "import math\n\ndef sigmoid(a):\n    return 1 / (1 + math.exp(-a))"),
)  # fmt: skip

SOFTMAX = functions(
    "softmax",
    ("in place", "input changed",
     "def softmax(a):\n    a -= a.max(axis=-1, keepdims=True)\n    e = np.exp(a)\n"
     "    return e / e.sum(axis=-1, keepdims=True)"),
)  # fmt: skip


W1_LINE = "self.W1 = rng.normal(0, 0.1, (n_hidden, n_inputs)).astype(dtype)"
W2_LINE = "self.W2 = rng.normal(0, 0.1, (n_outputs, n_hidden)).astype(dtype)"


def both_weights(draw: str) -> tuple[tuple[str, str], ...]:
    """Return the edits that draw both weights by `draw`, in which SHAPE is the shape."""
    shapes = {"1": "(n_hidden, n_inputs)", "2": "(n_outputs, n_hidden)"}
    return tuple(
        (line, f"self.W{n} = {draw.replace('SHAPE', shape)}")
        for (n, shape), line in zip(shapes.items(), (W1_LINE, W2_LINE), strict=True)
    )


INITIALIZATION = [
    *edits(
        "initialization",
        ("shared seed", "shared seed", W2_LINE,
         "rng = np.random.default_rng(seed)\n        " + W2_LINE),
        ("W1 zero", "zero weights", W1_LINE, "self.W1 = np.zeros((n_hidden, n_inputs))"),
        ("random biases", "biases not zero", "self.b1 = np.zeros(n_hidden, dtype=dtype)",
         "self.b1 = rng.normal(0, 0.1, n_hidden)"),
        ("biases one", "biases not zero", "self.b2 = np.zeros(n_outputs, dtype=dtype)",
         "self.b2 = np.ones(n_outputs)"),
        ("W1 transposed", "shape", W1_LINE, "self.W1 = rng.normal(0, 0.1, (n_inputs, n_hidden))"),
        ("column of biases", "shape", "self.b1 = np.zeros(n_hidden, dtype=dtype)",
         "self.b1 = np.zeros((n_hidden, 1))"),
        ("seed fixed", "seed ignored", "        rng = np.random.default_rng(seed)",
         "        rng = np.random.default_rng(0)"),
        ("seed not used", "unseeded", "        rng = np.random.default_rng(seed)",
         "        rng = np.random.default_rng()"),
        ("equal units", "equal units", W1_LINE, "self.W1 = np.tile(rng.normal(0, 0.1, n_inputs), (n_hidden, 1))"),
    ),
    Mutant("initialization", "small letters", "attribute missing", code=(
        "class MLP:\n    def __init__(self, n_in, n_hidden, n_out, *, seed=0, dtype=float):\n"
        "        rng = np.random.default_rng(seed)\n"
        "        self.w1, self.b1 = rng.normal(0, 0.1, (n_hidden, n_in)), np.zeros(n_hidden)\n"
        "        self.w2, self.b2 = rng.normal(0, 0.1, (n_out, n_hidden)), np.zeros(n_out)\n")),
    Mutant("initialization", "variance", "variance for standard deviation",
           both_weights("rng.normal(0, np.sqrt(0.1), SHAPE)")),
    Mutant("initialization", "squared", "square of the standard deviation",
           both_weights("rng.normal(0, 0.1**2, SHAPE)")),
    Mutant("initialization", "standard normal", "not scaled", both_weights("rng.normal(size=SHAPE)")),
    Mutant("initialization", "zeros", "zero weights", both_weights("np.zeros(SHAPE)")),
    Mutant("initialization", "uniform", "not Gaussian", both_weights("rng.uniform(-0.1, 0.1, SHAPE)")),
    *edits("initialization",
        ("a view of zeros", "read-only", "        self.W1_grad = np.zeros_like(self.W1)\n",
         "        self.W1_grad = np.broadcast_to(np.zeros(1, self.W1.dtype), self.W1.shape)\n"),
        ("rows evened out", "evened out", W1_LINE, f"{W1_LINE}\n        self.W1 /= 10 * self.W1.std(axis=1, keepdims=True)")),
    Mutant("initialization", "clipped", "cut off", both_weights("rng.normal(0, 0.1, SHAPE).clip(-0.2, 0.2)")),
    Mutant("initialization", "random", "not Gaussian", both_weights("0.1 * rng.random(SHAPE)")),
    Mutant("initialization", "Xavier", "scaled by layer size",
           both_weights("rng.normal(0, 1 / np.sqrt(SHAPE[1]), SHAPE)")),
    Mutant("initialization", "mean 0.1", "mean not 0", both_weights("rng.normal(0.1, 0.1, SHAPE)")),
    Mutant("initialization", "absolute values", "one sign", both_weights("abs(rng.normal(0, 0.1, SHAPE))")),
]  # fmt: skip

A1_LINE, A2_LINE = "self.a1 = x @ self.W1.T + self.b1", "self.a2 = self.z1 @ self.W2.T + self.b2"
FORWARD = edits(
    "forward",
    ("nothing returned", "nothing returned", "        return self.y_hat\n", ""),
    ("misspelled", "unknown attribute", "    def forward(self, x):", "    def foward(self, x):"),
    ("x in place", "input changed", "        self.x = x\n", "        x -= x.mean()\n        self.x = x\n"),
    ("stale x", "kept wrongly", "        self.x = x\n",
     "        if getattr(self, 'x', x[:0]).shape != x.shape:\n            self.x = x\n"),
    ("cut to 32 bits", "float32", "self.y_hat = softmax(self.a2)",
     "self.y_hat = softmax(self.a2).astype(np.float32)"),
    ("array of one size", "kept between calls", "self.y_hat = softmax(self.a2)",
     "if not hasattr(self, 'kept'):\n            self.kept = np.empty_like(self.a2)\n"
     "        self.kept[...] = softmax(self.a2)\n        self.y_hat = self.kept + 0"),
    ("the same x again", "stale", "        self.x = x\n",
     "        if np.array_equal(getattr(self, 'x', None), x):\n            return self.y_hat\n        self.x = x\n"),
    ("kept by place in memory", "kept between calls", "        self.x = x\n",
     "        key = id(x), self.W1.sum(), self.W2.sum()\n"
     "        if getattr(self, 'key', None) == key:\n            return self.y_hat\n"
     "        self.key, self.x = key, x\n"),
    ("result used again", "kept between calls", "self.y_hat = softmax(self.a2)",
     "new = softmax(self.a2)\n        if np.shape(getattr(self, 'kept', None)) != new.shape:\n"
     "            self.kept = new\n        self.kept[...] = new\n        self.y_hat = self.kept"),
    ("chunks", "kept wrongly", "self.y_hat = softmax(self.a2)",
     "self.y_hat = softmax(self.a2)\n        if len(x) > 10_000:\n            self.a2 = self.a2[-200:]"),
    ("grey values", "too much", "        self.x = x\n",
     "        x = x / 255 if x.max() > 1 else x\n        self.x = x\n"),
)  # fmt: skip

DELTA2 = "delta2 = y_hat - y"
DELTA1 = "delta1 = (delta2 @ self.W2) * z1 * (1 - z1)"
G = {
    "W2": "self.W2_grad += delta2.T @ z1",
    "b2": "self.b2_grad += delta2.sum(axis=0)",
    "W1": "self.W1_grad += delta1.T @ x",
    "b1": "self.b1_grad += delta1.sum(axis=0)",
}


def all_four(change: Callable[[str], str]) -> tuple[tuple[str, str], ...]:
    """Return the edits that change all four lines that add to the gradients."""
    return tuple((line, change(line)) for line in G.values())


ONE_BY_ONE = "for pixels, h, p, target in zip(self.images, self.hidden, self.p, np.atleast_2d(y), strict=True):"
UPDATE_GRAD = [
    Mutant("update_grad", "= for +=", "assigned", all_four(lambda line: line.replace("+=", "="))),
    Mutant("update_grad", "all by lr", "scaled", all_four(lambda line: line.replace("+= ", "+= 0.001 * "))),
    Mutant("update_grad", "another name", "unknown attribute", (
        (G["b2"], "self.db2 += delta2.sum(axis=0)"),
        ("self.b2_grad = np.zeros_like(self.b2)", "self.db2 = np.zeros_like(self.b2)"))),
    Mutant("update_grad", "biases forgotten", "missing", ((G["b1"], ""), (G["b2"], ""))),
    *edits(
        "update_grad",
        ("twice", "doubled", DELTA2, "delta2 = 2 * (y_hat - y)"),
        ("slope doubled", "doubled", DELTA1, "delta1 = 2 * (delta2 @ self.W2) * z1 * (1 - z1)"),
        ("W2_grad used", "W2_grad for W2", DELTA1 + "\n        " + G["W2"],
         G["W2"] + "\n        delta1 = (delta2 @ self.W2_grad) * z1 * (1 - z1)"),
        ("W1 assigned", "assigned", G["W1"], "self.W1_grad = delta1.T @ x"),
        ("b2 forgotten", "missing", G["b2"], ""),
        ("y_hat in place", "changed in place", DELTA2, "delta2 = y_hat\n        delta2 -= y"),
        ("x in place", "changed in place", G["W1"], G["W1"] + "\n        x *= 0.5"),
        ("y in place", "changed in place", DELTA2, "y -= y_hat\n        delta2 = -y"),
        ("float32 gradients", "float32", "self.W1_grad = np.zeros_like(self.W1)",
         "self.W1_grad = np.zeros(self.W1.shape, dtype=np.float32)"),
        ("resets itself", "assigned", "x, z1 = np.atleast_2d(self.x), np.atleast_2d(self.z1)",
         "self.reset_grad()\n        x, z1 = np.atleast_2d(self.x), np.atleast_2d(self.z1)"),
        ("single image only", "single images only", G["W2"],
         "self.W2_grad += np.reshape(delta2, (-1, 1)) * self.z1"),
    ),
    *edits(
        "update_grad",
        ("sum of weights", "delta", "np.sum(self.W2[:, j] * error)", "np.sum(self.W2[:, j]) * error.max()"),
        form="loops",
    ),
    *edits(
        "update_grad",
        form="einsum",
    ),
]  # fmt: skip

UPDATE_PARAMS = [
    *edits(
        "update_params",
        ("multiplied by 0", "times 0", "        self.W1_grad = np.zeros_like(self.W1)\n",
         "        self.W1_grad = 0 * getattr(self, 'W1_grad', np.zeros_like(self.W1))\n"),
        ("W1 not reset", "not reset", "        self.W1_grad = np.zeros_like(self.W1)\n",
         "        if not hasattr(self, 'W1_grad'):\n            self.W1_grad = np.zeros_like(self.W1)\n"),
        ("parameter reset", "parameters reset", "self.b1_grad = np.zeros_like(self.b1)",
         "self.b1_grad = np.zeros_like(self.b1)\n        self.b1 = np.zeros_like(self.b1)"),
        ("gradients scaled", "gradients changed", "        self.W1 -= lr * self.W1_grad\n",
         "        self.W1_grad *= lr\n        self.W1 -= self.W1_grad\n"),
        ("own zeros", "shared array", "self.b1_grad = np.zeros_like(self.b1)\n        self.W2_grad",
         "self.b1_grad = self.W1_grad[:, 0]\n        self.W2_grad"),
        ("old shape kept", "old shape", "        self.W1_grad = np.zeros_like(self.W1)\n",
         "        self.W1_grad = np.zeros_like(getattr(self, 'W1_grad', self.W1))\n"),
        ("step left out", "one at rest", "        self.W1 -= lr * self.W1_grad\n",
         "        if not self.W1_grad.any():\n            return\n        self.W1 -= lr * self.W1_grad\n"),
        ("zeros kept", "kept zeros", "        self.W1_grad = np.zeros_like(self.W1)\n",
         "        self.zeros = getattr(self, 'zeros', np.zeros_like(self.W1))\n        self.W1_grad = self.zeros\n"),
    ),
]  # fmt: skip

ONE_HOT = functions(
    "one_hot_encode",
    ("return forgotten", "nothing returned",
     "def one_hot_encode(labels, n_classes=10):\n    np.eye(n_classes)[labels]"),
)  # fmt: skip


def one_line(exercise: str, arguments: str, *entries: tuple[str, str, str]) -> list[Mutant]:
    """Make mutants of functions that return an expression: name, cause, expression."""
    code = f"def {exercise}({arguments}):\n    return "
    return functions(exercise, *((name, cause, code + what) for name, cause, what in entries))


STEPS = [
    *one_line("cross_entropy_derivative", "y_hat, y",
              ("other way round", "scaled", "y - y_hat"),
              ("mean", "scaled", "(y_hat - y) / len(y)"),
              ("doubled", "scaled", "2 * (y_hat - y)")),
    *one_line("weight_gradient", "delta, inputs",
              ("transposed", "order of the product", "inputs.T @ delta"),
              ("mean", "scaled", "delta.T @ inputs / len(delta)"),
              ("negative", "scaled", "-delta.T @ inputs")),
    *one_line("sigmoid_derivative", "z", ("negative", "scaled", "-z * (1 - z)")),
    *one_line("hidden_delta", "delta2, W2, z1",
              ("mean", "scaled", "(delta2 @ W2) * z1 * (1 - z1) / len(z1)")),
]  # fmt: skip

ACCURACY = functions(
    "accuracy",
    ("printed", "nothing returned", "def accuracy(predicted, true):\n    print(100 * np.mean(predicted == true))"),
)  # fmt: skip

BATCH = "batch = order[start : start + batch_size]"
ORDER = "        order = rng.permutation(len(images))\n"
STARTS = "for start in range(0, len(images), batch_size):"
TRAIN_NETWORK = [
    *edits(
        "train_network",
        ("not shuffled", "not shuffled", "order = rng.permutation(len(images))", "order = np.arange(len(images))"),
        ("shuffled once", "shuffled once", "    for epoch in range(n_epochs):\n" + ORDER,
         ORDER[4:] + "    for epoch in range(n_epochs):\n"),
        ("same seed each epoch", "shuffled once", "order = rng.permutation", "order = np.random.default_rng(seed).permutation"),
        ("global generator", "unseeded", "order = rng.permutation", "order = np.random.default_rng().permutation"),
        ("labels left behind", "labels don't follow", "network.update_grad(targets[batch])",
         "network.update_grad(targets[start : start + batch_size])"),
        ("images shuffled alone", "labels don't follow", ORDER,
         "        order = np.arange(len(images))\n        images = images[rng.permutation(len(images))]\n"),
        ("last batch dropped", "last batch dropped", STARTS,
         "for start in range(0, len(images) - batch_size + 1, batch_size):"),
        ("whole batches", "last batch dropped", STARTS,
         "for start in np.arange(len(images) // batch_size) * batch_size:"),
        ("validation too", "trained on validation", "    images, labels = train\n",
         "    images = np.concatenate([train[0], validation[0]])\n"
         "    labels = np.concatenate([train[1], validation[1]])\n"),
        ("on validation", "trained on validation", "    images, labels = train\n", "    images, labels = validation\n"),
        ("not reset", "not reset", "            network.reset_grad()\n", ""),
        ("reset each epoch", "not reset", "            network.reset_grad()\n            network.forward(images[batch])",
         "            if start == 0:\n                network.reset_grad()\n            network.forward(images[batch])"),
        ("reset too late", "reset too late", "            network.update_params(learning_rate)\n",
         "            network.reset_grad()\n            network.update_params(learning_rate)\n"),
        ("updated twice", "updated twice", "            network.update_params(learning_rate)\n",
         "            network.update_params(learning_rate)\n            network.update_params(learning_rate)\n"),
        ("never updated", "never updated", "            network.update_params(learning_rate)\n", ""),
        ("step written out", "step written out", "            network.update_params(learning_rate)\n",
         "            for name in ('W1', 'b1', 'W2', 'b2'):\n"
         "                step = learning_rate * getattr(network, name + '_grad')\n"
         "                setattr(network, name, getattr(network, name) - step)\n"),
        ("no gradient", "no gradient", "            network.update_grad(targets[batch])\n", ""),
        ("fixed lr", "lr ignored", "network.update_params(learning_rate)", "network.update_params(0.001)"),
        ("lr by batch", "lr ignored", "network.update_params(learning_rate)", "network.update_params(learning_rate / len(batch))"),
        ("fixed batch size", "fixed number", BATCH + "\n", "batch = order[start : start + 20]\n"),
        ("slice too short", "number", BATCH, "batch = order[start : start + batch_size - 1]"),
        ("all images at once", "property", BATCH, "batch = order"),
        ("fixed epochs", "epochs ignored", "for epoch in range(n_epochs):", "for epoch in range(100):"),
        ("one epoch too few", "epochs ignored", "for epoch in range(n_epochs):", "for epoch in range(1, n_epochs):"),
        ("drawn at random", "drawn with replacement", "order = rng.permutation(len(images))",
         "order = rng.integers(len(images), size=len(images))"),
        ("break", "first batch only", "            network.update_params(learning_rate)\n",
         "            network.update_params(learning_rate)\n            break\n"),
        ("labels for targets", "labels not one-hot", "network.update_grad(targets[batch])", "network.update_grad(labels[batch])"),
        ("evaluated in between", "another forward", "            network.update_grad(targets[batch])\n",
         "            test_network(network, *validation)\n            network.update_grad(targets[batch])\n"),
        ("fraction", "fraction", "        validation_accuracy = test_network(network, *validation)\n",
         "        validation_accuracy = test_network(network, *validation) / 100\n"),
        ("evaluated on training set", "evaluated on training set",
         "        validation_accuracy = test_network(network, *validation)\n",
         "        validation_accuracy = test_network(network, *train)\n"),
        ("recorded once", "not each epoch", "        history.record(total / len(images), train_accuracy, validation_accuracy)\n        print(epoch, history.last())\n",
         "    history.record(total / len(images), train_accuracy, validation_accuracy)\n"),
        ("history not returned", "nothing returned", "    return history\n", ""),
        ("own network", "network not used", "    images, labels = train\n", "    images, labels = train\n    network = MLP()\n"),
    ),
    Mutant("train_network", "one image at a time not reset", "not reset",
           (("            network.reset_grad()\n", ""),), form="loops"),
]  # fmt: skip

TEST_NETWORK = edits(
    "test_network",
    ("fraction", "fraction", "return accuracy(y_hat.argmax(axis=1), labels)", "return np.mean(y_hat.argmax(axis=1) == labels)"),
    ("least probable", "least probable digit", "y_hat.argmax(axis=1)", "y_hat.argmin(axis=1)"),
    ("wrong axis", "axis", "return accuracy(y_hat.argmax(axis=1), labels)",
     "predicted = y_hat.argmax(axis=0)\n    return 100 * sum(predicted[i] == labels[i] for i in range(len(labels))) / len(labels)"),
    ("trains", "trains", "    y_hat = network.forward(images)\n",
     "    y_hat = network.forward(images)\n    network.update_grad(one_hot_encode(labels))\n    network.update_params(0.001)\n"),
    ("percent twice", "percent twice", "return accuracy(y_hat.argmax(axis=1), labels)", "return 100 * accuracy(y_hat.argmax(axis=1), labels)"),
    ("errors", "error rate", "return accuracy(y_hat.argmax(axis=1), labels)", "return 100 - accuracy(y_hat.argmax(axis=1), labels)"),
)  # fmt: skip

SAVE = 'np.save(open_file(Path(f"{filename_prefix}_{name}.npy")), getattr(network, name))'
LOAD = "setattr(network, name, loaded[name])"
READ = 'path = Path(f"{filename_prefix}_{name}.npy")'
SAVING = [
    *edits(
        "saving",
        ("not assigned", "not assigned", LOAD, "loaded[name]"),
        ("gradients", "gradients saved", SAVE, SAVE.replace("name))", 'name + "_grad"))')),
        ("two files only", "files missing", 'for name in ["W1", "b1", "W2", "b2"]:\n            np.save', 'for name in ["W1", "W2"]:\n            np.save'),
        ("always W1", "mixed up", LOAD, 'setattr(network, name, loaded[name[0] + "1"])'),
        ("extension twice", "files missing", SAVE, SAVE.replace(".npy", ".npy.gz")),
        ("rounded", "rounded", SAVE, SAVE.replace("name))", "name).round(3))")),
        ("half precision", "type of numbers", SAVE, SAVE.replace("name))", "name).astype(np.float16))")),
        ("prefix ignored", "files missing", SAVE, SAVE.replace("{filename_prefix}", "mlp")),
        ("prefix ignored in load", "no such file", READ, READ.replace('.npy")', '.npy".replace("second", "first"))')),
        ("file closed", "file closed", SAVE, SAVE.replace("np.save(open_file", "with open_file").replace(", getattr", " as file:\n                np.save(file, getattr")),
        ("past the manifest", "manifest without the files", SAVE, 'np.save(f"{filename_prefix}_{name}.npy", getattr(network, name))'),
        ("double precision", "type of numbers", SAVE, SAVE.replace("name))", "name).astype(float))")),
        ("manifest not asked", "manifest not asked", '    require_together(Path(f"{filename_prefix}_manifest.json"), files)\n', ""),
    ),
]  # fmt: skip

NET = [
    *edits(
        "net",
        ("inputs counted later", "lazy layer", "nn.Linear(16 * 4 * 4, 120)", "nn.LazyLinear(120)"),
        ("flatten size of LeNet", "flatten size", "nn.Linear(16 * 4 * 4, 120)", "nn.Linear(16 * 5 * 5, 120)"),
        ("one pool forgotten in size", "flatten size", "nn.Linear(16 * 4 * 4, 120)", "nn.Linear(16 * 8 * 8, 120)"),
        ("view over images", "images mixed", "x = F.max_pool2d(F.relu(self.layers.conv2(x)), 2)\n        x = torch.flatten(x, 1)",
         "x = F.relu(self.layers.conv2(x))\n        x = x.view(-1, 256)"),
        ("whole batch flat", "batch flattened", "x = torch.flatten(x, 1)", "x = torch.flatten(x)"),
        ("pool forgotten", "shrinks differently", "x = F.max_pool2d(F.relu(self.layers.conv2(x)), 2)", "x = F.relu(self.layers.conv2(x))"),
        ("layer forgotten", "layer sizes", "self.layers.fc2 = nn.Linear(120, 84)", "self.layers.fc2 = nn.Linear(120, 84, bias=False)"),
        ("padding", "shrinks differently", "nn.Conv2d(1, 6, 5)", "nn.Conv2d(1, 6, 5, padding=2)"),
        ("kernel 3", "layer sizes", "nn.Conv2d(6, 16, 5)", "nn.Conv2d(6, 16, 3)"),
        ("pool of 3x3", "other layers", "self.layers.pool1 = nn.MaxPool2d(2)", "self.layers.pool1 = nn.MaxPool2d(3, 2, 1)"),
        ("super not called", "super missing", "        super().__init__()\n", ""),
        ("no method forward", "method missing", "    def forward(self, x):\n        x = F.max", "    def foward(self, x):\n        x = F.max"),
        ("not returned", "nothing returned", "        x = self.layers.fc3(x)\n        return x\n", "        x = self.layers.fc3(x)\n"),
    ),
]  # fmt: skip

VALIDATE = "validation_accuracy = test_accuracy(network, validation[0], validation[1])"
TORCH_BATCH = "batch = order[start : start + batch_size]"
TRAIN_NN = [
    Mutant("trainNN", "step, zero_grad, backward", "step before backward", (
        ("            optimizer.zero_grad()\n", ""),
        ("            loss.backward()\n            optimizer.step()\n",
         "            optimizer.step()\n            optimizer.zero_grad()\n            loss.backward()\n"))),
    *edits("trainNN",
    ("zero_grad forgotten", "no zero_grad", "            optimizer.zero_grad()\n", ""),
    ("zero_grad each epoch", "no zero_grad", "            optimizer.zero_grad()\n",
     "            if start == 0:\n                optimizer.zero_grad()\n"),
    ("zero_grad too late", "no backward", "            loss.backward()\n",
     "            loss.backward()\n            optimizer.zero_grad()\n"),
    ("backward forgotten", "no backward", "            loss.backward()\n", ""),
    ("step forgotten", "never updated", "            optimizer.step()\n", ""),
    ("step before backward", "no backward", "            loss.backward()\n            optimizer.step()\n",
     "            optimizer.step()\n            loss.backward()\n"),
    ("softmax first", "softmax before loss", "loss = criterion(logits, labels[batch])",
     "loss = criterion(torch.softmax(logits, dim=1), labels[batch])"),
    ("train forgotten", "train forgotten", "        network.train()\n", ""),
    ("train only once", "train forgotten", "    for _ in range(epochs):\n        network.train()\n",
     "    network.train()\n    for _ in range(epochs):\n"),
    ("not shuffled", "not shuffled", "order = torch.randperm(len(images), generator=generator)", "order = torch.arange(len(images))"),
    ("images shuffled alone", "labels don't follow", "loss = criterion(logits, labels[batch])",
     "loss = criterion(logits, labels[start : start + batch_size])"),
    ("last batch dropped", "last batch dropped", "for start in range(0, len(images), batch_size):",
     "for start in range(0, len(images) - batch_size, batch_size):"),
    ("epochs fixed", "epochs ignored", "for _ in range(epochs):", "for _ in range(5):"),
    ("on validation", "trained on validation", "    images = torch.as_tensor(train[0]).reshape(-1, 1, 28, 28)\n    labels = torch.as_tensor(train[1])\n",
     "    images = torch.as_tensor(validation[0]).reshape(-1, 1, 28, 28)\n    labels = torch.as_tensor(validation[1])\n"),
    ("evaluated on training set", "evaluated on training set", VALIDATE,
     "validation_accuracy = test_accuracy(network, train[0], train[1])"),
    ("fraction", "fraction", "train_accuracy = 100 * correct / len(images)", "train_accuracy = correct / len(images)"),
    ("full_data ignored", "full_data ignored", "    if not full_data:\n        train = train[0][:2000], train[1][:2000]\n", ""),
    ("always mini", "full_data ignored", "    if not full_data:\n", "    if True:\n"),
    ("full_data inverted", "full_data ignored", "    if not full_data:\n", "    if full_data:\n"),
    ("history not returned", "nothing returned", "    return history\n", ""),
    ("judged after the step", "after each step", "correct += (logits.argmax(1)", "correct += (network(images[batch]).argmax(1)"),
    ("another criterion", "criterion not used", "loss = criterion(logits", "loss = nn.functional.cross_entropy(logits"),
    ("arguments swapped", "arguments swapped", "loss = criterion(logits, labels[batch])", "loss = criterion(labels[batch], logits)"),
    ("one-hot targets", "one-hot targets", "loss = criterion(logits, labels[batch])",
     "loss = criterion(logits, F.one_hot(labels[batch], 10).float())"),
    ("sum over pieces", "property", "            logits = network(images[batch])\n            loss = criterion(logits, labels[batch])\n"
     "            loss.backward()\n",
     "            parts = batch.split(len(batch) // 2)\n            pieces = [network(images[part]) for part in parts]\n"
     "            losses = [criterion(piece, labels[part]) for piece, part in zip(pieces, parts)]\n"
     "            for loss in losses:\n                loss.backward()\n"
     "            logits, loss = torch.cat(pieces), sum(losses) / len(losses)\n"),
    ),
]  # fmt: skip

EVALUATION = edits(
    "evaluation",
    ("eval forgotten", "eval forgotten", "    network.eval()\n", ""),
    ("fraction", "fraction", "return 100 * correct / len(images)", "return correct / len(images)"),
    ("last batch only", "images left out", "for start in range(0, len(images), 500):", "for start in range(0, 500, 500):"),
    ("least probable", "least probable digit", "predicted = logits.argmax(dim=1)", "predicted = logits.argmin(dim=1)"),
    ("count", "count", "return 100 * correct / len(images)", "return correct"),
    ("errors", "error rate", "correct += (predicted == ", "correct += (predicted != "),
    ("return forgotten", "nothing returned", "return 100 * correct / len(images)", "print(100 * correct / len(images))"),
    ("last batch counted", "= for +=", "correct += (predicted ==", "correct = (predicted =="),
)  # fmt: skip

STEP_LINES = "            network.update_params(learning_rate)\n"
FORWARD_LINE = "            network.forward(images[batch])\n"
RECORD = "total / len(images), train_accuracy, validation_accuracy"
LABELS_COUNTED = (
    "    if labels.shape != (len(images),):\n"
    '        raise ValueError("one label an image, please")\n'
)
TORCH_STEP = "            optimizer.step()\n"
TORCH_STOP = '            stop_if_diverged(total_loss, optimizer.param_groups[0]["lr"])\n'
# Mistakes that other people's solutions had, which were passed, named wrongly or not at all.
SEEN = [
    Mutant("forward", "local names only", "not kept", (
        ("self.z1 = sigmoid(self.a1)", "z1 = sigmoid(self.a1)"),
        ("self.a2 = self.z1 @", "self.a2 = z1 @"))),
    *edits("forward",
        ("gradients cleared", "gradients changed", "        self.a1 = x @ self.W1.T + self.b1\n",
         "        self.reset_grad()\n        self.a1 = x @ self.W1.T + self.b1\n"),
        ("batch of one squeezed", "too much", "self.y_hat = softmax(self.a2)", "self.y_hat = softmax(self.a2).squeeze()")),
    *edits("train_network",
        ("divergence unnoticed", "divergence unnoticed", "            stop_if_diverged(total, learning_rate)\n", ""),
        ("loss not recorded", "property", "            total += network.loss(targets[batch])\n", ""),
        ("total loss", "total loss", RECORD, RECORD.replace(" / len(images)", "")),
        ("loss of last batch", "= for +=", "total += network.loss(targets[batch])", "total = network.loss(targets[batch])"),
        ("shuffled in place", "input changed", "    images, labels = train\n", "    images, labels = train\n    images[:] = images[::-1]\n    labels[:] = labels[::-1]\n"),
        ("step after the loop", "one step an epoch", STEP_LINES, STEP_LINES[4:]),
        ("forward of all images", "another forward", FORWARD_LINE, "            network.forward(images)\n"),
        ("update_grad of all targets", "another forward", "network.update_grad(targets[batch])", "network.update_grad(targets)"),
        ("no forward at all", "forward missing", FORWARD_LINE, ""),
        ("stops early", "stops early", "        print(epoch, history.last())\n",
         "        if epoch > 2 and history.validation_accuracy[-1] < history.validation_accuracy[-2]:\n            break\n"),
        ("loss and accuracy exchanged", "arguments exchanged", RECORD, "train_accuracy, total / len(images), 0"),
        ("a dictionary returned", "another result", "    return history\n", "    return dict(history=history)\n"),
        ("slices overlap", "ends of a slice", BATCH, "batch = order[start : start + batch_size + 1]"),
        ("another seed", "unseeded", "order = rng.permutation", "order = np.random.default_rng(epoch).permutation"),
        ("pictures turned", "too much", FORWARD_LINE,
         "            network.forward(images[batch].reshape(-1, 28, 28).transpose(0, 2, 1).reshape(-1, 784))\n"),
        ("no generator", "no generator", "order = rng.permutation", "order = np.random.default_rng([seed, epoch]).permutation"),
        ("Ctrl-C caught", "Ctrl-C caught", FORWARD_LINE,
         "            try:\n                network.forward(images[batch])\n            except:\n                print('?')\n"),
        ("pictures inverted", "too much", FORWARD_LINE, "            network.forward(1 - images[batch])\n"),
        ("noise", "too much", FORWARD_LINE, "            network.forward(images[batch] + rng.normal(0, 0.1, (len(batch), 784)))\n"),
        ("decay", "too much", STEP_LINES, STEP_LINES + "            network.W1 -= 1e-4 * network.W1\n"),
        ("only NaN", "divergence unnoticed", "            stop_if_diverged(total, learning_rate)\n",
         "            if np.isnan(total):\n                stop_if_diverged(total, learning_rate)\n"),
        ("another error", "another error", "            stop_if_diverged(total, learning_rate)\n",
         "            if not np.isfinite(total):\n                raise RuntimeError\n"),
        ("first thirty images", "property", "test_network(network, *train)", "test_network(network, images[:30], labels[:30])"),
        ("order in 16 bits", "many images", "order = rng.permutation(len(images))", "order = rng.permutation(len(images)).astype(np.int16)"),
        ("rate halved late", "lr ignored", STEP_LINES, "            network.update_params(learning_rate / (1 + (epoch > 50)))\n"),
        ("first thousand images", "property", "test_network(network, *train)", "test_network(network, images[:1000], labels[:1000])"),
        ("momentum", "lr ignored", STEP_LINES, "            network.update_params(learning_rate * (1 + 0.9 * (start > 0)))\n"),
        ("hardly shuffled", "hardly shuffled", "order = rng.permutation(len(images))",
         "order = np.roll(np.arange(len(images)), rng.integers(1, len(images)))")),
    *functions("train_network",
        ("train_epoch: order twice", "order ignored",
         "def train_epoch(network, images, targets, order, learning_rate, batch_size):\n"
         "    images, targets = images[order], targets[order]\n"
         "    for start in range(0, len(order), batch_size):\n"
         "        batch = order[start : start + batch_size]\n        network.reset_grad()\n"
         "        network.forward(images[batch])\n        network.update_grad(targets[batch])\n"
         "        network.update_params(learning_rate)\n    return 0")),
    *edits("test_network",
        ("labels overwritten", "input changed", "return accuracy(y_hat.argmax(axis=1), labels)",
         "right = accuracy(y_hat.argmax(axis=1), labels)\n    labels[:] = 0\n    return right"),
        ("sure ones only", "property", "return accuracy(y_hat.argmax(axis=1), labels)",
         "return 100 * np.mean(y_hat[np.arange(len(labels)), labels] > 0.5)"),
        ("mean of batches", "mean of batches", "    return accuracy(y_hat.argmax(axis=1), labels)",
         "    right = y_hat.argmax(axis=1) == labels\n    return 100 * np.mean([right[i : i + 64].mean() for i in range(0, len(right), 64)])"),
        ("what went forward before", "not asked", "    y_hat = network.forward(images)\n", "    y_hat = np.eye(10)[labels]\n"),
        ("first five thousand", "images left out", "    y_hat = network.forward(images)\n",
         "    images, labels = images[:5000], labels[:5000]\n    y_hat = network.forward(images)\n"),
        ("first hundred", "images left out", "    y_hat = network.forward(images)\n",
         "    images, labels = images[:100], labels[:100]\n    y_hat = network.forward(images)\n")),
    *functions("accuracy",
        ("distance", "unknown", "def accuracy(predicted, true):\n    return 100 - 100 * np.mean(np.abs(predicted - true))"),
        ("is", "comparison", "def accuracy(predicted, true):\n    return 100 * np.mean([p is t for p, t in zip(predicted, true)])"),
        ("return in the loop", "indentation", "def accuracy(predicted, true):\n    n = 0\n    for p, t in zip(predicted, true):\n        n += p == t\n        return 100 * n / len(true)")),
    *functions("one_hot_encode",
        ("truth values", "truth values", "def one_hot_encode(labels, n_classes=10):\n    return np.asarray(labels)[:, None] == np.arange(n_classes)"),
        ("classes that occur", "expression", "def one_hot_encode(labels, n_classes=10):\n    return np.eye(labels.max() + 1)[labels]"),
        ("rows shared", "whole columns", "def one_hot_encode(labels, n_classes=10):\n    rows = [[0] * n_classes] * len(labels)\n    for row, label in zip(rows, labels):\n        row[label] = 1\n    return np.array(rows)")),
    *functions("sigmoid",
        ("computed in 32 bits", "too much", "def sigmoid(a):\n    a = np.asarray(a, np.float32)\n    return (0.5 * (1 + np.tanh(0.5 * a))).astype(float)"),
        ("kept by shape", "kept between calls", "def sigmoid(a, kept={}):\n    return kept.setdefault(a.shape, 0.5 * (1 + np.tanh(0.5 * a)))"),
        ("float32", "float32", "def sigmoid(a):\n    return (0.5 * (1 + np.tanh(0.5 * a))).astype(np.float32)"),
        ("tanh not halved", "division missing", "def sigmoid(a):\n    return 0.5 * (1 + np.tanh(a))"),
        ("exp of a sum", "parentheses", "def sigmoid(a):\n    return 1 / np.exp(-a + 1)")),
    *functions("one_hot_encode",
        ("kept by sum", "kept between calls", "def one_hot_encode(labels, n_classes=10, kept={}):\n    key = len(labels), labels.sum(), n_classes\n    return kept.setdefault(key, np.eye(n_classes)[labels])")),
    *functions("softmax",
        ("kept by its bytes", "kept between calls", "right = softmax\n\n\ndef softmax(a, kept={}):\n    return kept.setdefault(a.tobytes(), right(a))"),
        ("shifted only above 700", "32 bits", "def softmax(a):\n    top = a.max(axis=-1, keepdims=True)\n    e = np.exp(a - top if abs(top).max() > 700 else a)\n    return e / e.sum(axis=-1, keepdims=True)"),
        ("the axis of ten", "condition", "def softmax(a):\n    axis = 0 if len(a) == 10 else -1\n    e = np.exp(a - a.max(axis=axis, keepdims=True))\n    return e / e.sum(axis=axis, keepdims=True)"),
        ("clipped", "too much", "def softmax(a):\n    e = np.exp(a - a.max(axis=-1, keepdims=True))\n    return np.clip(e / e.sum(axis=-1, keepdims=True), 1e-7, 1)")),
    *functions("sigmoid_derivative",
        ("in places of memory", "layout", "def sigmoid_derivative(z):\n    values = np.ravel(z, order='K')\n    return (values * (1 - values)).reshape(np.shape(z))"),
        ("one array for all", "kept between calls", "def sigmoid_derivative(z, out={}):\n    kept = out.setdefault(np.shape(z), np.empty(np.shape(z)))\n    kept[...] = z * (1 - z)\n    return kept")),
    *functions("weight_gradient",
        ("matrix", "matrix", "def weight_gradient(delta, inputs):\n    return np.asmatrix(delta).T @ inputs"),
        ("wide for all", "condition", "def weight_gradient(delta, inputs):\n    grad = delta.T @ inputs\n    return grad if len(grad) < len(grad.T) else grad.T"),
        ("reshape for a transpose", "reshaped", "def weight_gradient(delta, inputs):\n    rows = np.atleast_2d(delta)\n    return rows.reshape(rows.shape[1], len(rows)) @ np.atleast_2d(inputs)")),
    *functions("softmax",
        ("largest of the batch", "shift of whole batch", "def softmax(a):\n    e = np.exp(a - a.max())\n    return e / e.sum(axis=-1, keepdims=True)"),
        ("of the sigmoid", "too much", "def softmax(a):\n    e = np.exp(sigmoid(a) - sigmoid(a).max(axis=-1, keepdims=True))\n    return e / e.sum(axis=-1, keepdims=True)")),
    *functions("cross_entropy",
        ("not shifted", "log 0", "def cross_entropy(a, y):\n    return -np.sum(y * (a - np.log(np.sum(np.exp(a), axis=-1, keepdims=True))))"),
        ("keeps an axis", "shape", "def cross_entropy(a, y):\n    p = softmax(a)\n    return -np.sum(y * np.log(p), axis=-1, keepdims=True)")),
    *edits("update_grad",
        ("b1 for b2", "name", G["b2"], "self.b1_grad += delta2.sum(axis=0)"),
        ("slope z1 * 1 - z1", "missing", DELTA1, "delta1 = (delta2 @ self.W2) * (z1 * 1 - z1)"),
        ("slope of ReLU", "delta", DELTA1, "delta1 = (delta2 @ self.W2) * (z1 > 0.5)"),
        ("slope kept as z1", "changed in place", DELTA1, "self.z1 = z1 * (1 - z1)\n        delta1 = (delta2 @ self.W2) * self.z1"),
        ("reset in update_grad", "assigned", "        delta2 = y_hat - y\n", "        self.reset_grad()\n        delta2 = y_hat - y\n")),
    *edits("update_params",
        ("double precision", "type of the gradient", "self.b1_grad = np.zeros_like(self.b1)", "self.b1_grad = np.zeros(self.b1.shape)"),
        ("rate of 64 bits", "type of the parameter", "self.W1 -= lr * self.W1_grad", "self.W1 = self.W1 - np.float64(lr) * self.W1_grad"),
        ("divided by batch", "lr ignored", "self.W1 -= lr * self.W1_grad", "self.W1 -= lr * self.W1_grad / len(self.x)"),
        ("parameter for zeros", "the parameter", "self.b1_grad = np.zeros_like(self.b1)", "self.b1_grad = self.b1.copy()"),
        ("gradient missing", "property", "self.W1 -= lr * self.W1_grad", "self.W1 -= lr"),
        ("gradient None", "None in the network", "self.W1_grad = np.zeros_like(self.W1)", "self.W1_grad = None"),
        ("only the step left", "= for +=", "self.W1 -= lr * self.W1_grad", "self.W1 = lr * self.W1_grad")),
    *edits("saving",
        ("not replaced", "not replaced", SAVE, 'path = Path(f"{filename_prefix}_{name}.npy")\n            values = np.load(path) if path.exists() else getattr(network, name)\n            np.save(open_file(path), values)'),
        ("read-only", "read-only", LOAD, "loaded[name].flags.writeable = False\n        setattr(network, name, loaded[name])"),
        ("names for numbers", "not numbers", SAVE, SAVE.replace("getattr(network, name)", "name")),
        ("prefix and text", "types", SAVE, SAVE.replace('f"{filename_prefix}_', 'filename_prefix + f"_')),
        ("arguments exchanged", "order of arguments", SAVE, 'np.save(getattr(network, name), open_file(Path(f"{filename_prefix}_{name}.npy")))'),
        ("past the file", "empty file", SAVE, 'path = Path(f"{filename_prefix}_{name}.npy")\n            open_file(path)\n            np.save(path, getattr(network, name))'),
        ("last file compared", "manifest not asked", "        files[path] = read_file(path)\n", "        files = {path: read_file(path)}\n"),
        ("converted", "converted", "        wanted = getattr(network, name)\n", "        wanted = getattr(network, name)\n        loaded[name] = loaded[name].astype(wanted.dtype)\n"),
        ("errors hidden", "takes anything", "            raise ValueError(\"The", "            print(\"The")),
    *edits("initialization",
        ("biases overlap", "shared array", "self.b2 = np.zeros(n_outputs, dtype=dtype)", "whole = np.zeros(n_hidden + n_outputs, dtype)\n        self.b1, self.b2 = whole[:n_hidden], whole[n_hidden - 1 : -1]"),
        ("no generator", "no generator", W1_LINE, "rng = np.random.RandomState(seed)\n        " + W1_LINE),
        ("float32 always", "dtype ignored", W1_LINE, W1_LINE.replace("astype(dtype)", "astype(np.float32)")),
        ("one number a row", "equal units", W1_LINE, "self.W1 = np.ones(n_inputs) * rng.normal(0, 0.1, (n_hidden, 1))"),
        ("half the units equal", "equal units", W1_LINE,
         W1_LINE + "\n        self.W1[: n_hidden // 2] = self.W1[n_hidden // 2 : n_hidden // 2 * 2]"),
        ("sizes fixed", "sizes fixed", W1_LINE, "self.W1 = rng.normal(0, 0.1, (64, 784)).astype(dtype)")),
    *edits("convolve",
        ("list", "list returned", "    return maps\n", "    return maps.tolist()\n"),
        ("type of the picture", "cut to whole numbers", "maps = np.zeros((len(weights), rows, columns))",
         "maps = np.zeros((len(weights), rows, columns), picture.dtype)")),
    *edits("net",
        ("dropout", "random in training", "x = torch.flatten(x, 1)", "x = F.dropout(torch.flatten(x, 1), 0.5, self.training)"),
        ("plain list", "layers not found", "    def forward(self, x):\n        x = F.max_pool2d(F.relu(self.layers.conv1(x)), 2)\n",
         "        self._modules.clear()\n\n    def forward(self, x):\n        x = F.max_pool2d(F.relu(self.layers.conv1(x)), 2)\n"),
        ("no gradients", "gradients off", "x = torch.flatten(x, 1)", "x = torch.flatten(x, 1).detach()"),
        ("mode changed", "mode changed", "x = torch.flatten(x, 1)", "self.eval()\n        x = torch.flatten(x, 1)"),
        ("view", "layout", "x = torch.flatten(x, 1)", "x = x.view(len(x), -1)"),
        ("last layer left out", "way through the layers", "        x = self.layers.fc3(x)\n", ""),
        ("one ReLU for all", "shared layer", "self.layers.relu2 = nn.ReLU()", "self.layers.relu2 = self.layers.relu1"),
        ("one layer more", "layer too many", "        self.layers.fc3 = nn.Linear(84, 10)\n",
         "        self.layers.fc3 = nn.Linear(84, 10)\n        self.output = nn.Linear(84, 10)\n"),
        ("cut off at 6", "unknown", "x = F.relu(self.layers.fc1(x))", "x = F.relu6(self.layers.fc1(x))"),
        ("no biases", "biases missing", "nn.Conv2d(1, 6, 5)", "nn.Conv2d(1, 6, 5, bias=False)")),
    Mutant("convolve", "frame kept", "kept between calls", (
        ("padding=0):\n", "padding=0, frames={}):\n"),
        ("    padded = np.zeros((channels, h + 2 * padding, w + 2 * padding))\n",
         "    shape = channels, h + 2 * padding, w + 2 * padding\n    padded = frames.setdefault(shape, np.zeros(shape))\n"))),
    Mutant("net", "another name", "layers not named", (
        ("self.layers.fc3 = nn.Linear", "self.layers.last = nn.Linear"),
        ("x = self.layers.fc3(x)", "x = self.layers.last(x)"))),
    Mutant("net", "padded and larger", "shrinks differently", (
        ("nn.Conv2d(1, 6, 5)", "nn.Conv2d(1, 6, 5, padding=2)"),
        ("nn.Linear(16 * 4 * 4, 120)", "nn.Linear(16 * 5 * 5, 120)"))),
    *edits("evaluation",
        ("NumPy returned", "no tensor", "return torch.cat(logits)", "return torch.cat(logits).numpy()"),
        ("rows over each other", "property", "    return torch.cat(logits)\n",
         "    found = torch.zeros(len(images) + 1, 10)\n    for n, part in enumerate(logits):\n"
         "        found[500 * n + 1 : 500 * n + 1 + len(part)] = part\n    return found[:-1]\n"),
        ("mode not put back", "mode not restored", "        network.train(was_training)\n", "        pass\n"),
        ("mode lost by an error", "mode not restored", "    finally:\n        network.train(was_training)\n", "    except ZeroDivisionError:\n        pass\n    network.train(was_training)\n"),
        ("gradients switched off", "gradients switched off", "    network.train(False)\n", "    network.train(False)\n    torch.set_grad_enabled(False)\n"),
        ("error hidden", "error hidden", "    finally:\n        network.train(was_training)\n",
         "    except Exception:\n        return torch.zeros(len(images), 10)\n    finally:\n        network.train(was_training)\n"),
        ("labels not counted", "too few labels", LABELS_COUNTED, ""),
        ("column of labels", "column of labels", LABELS_COUNTED, LABELS_COUNTED.replace("labels.shape", "labels.shape[:1]")),
        ("mode from eval", "mode", "    was_training = network.training\n", "    was_training = network.eval()\n"),
        ("gradients kept", "gradients kept", "        with torch.no_grad():\n            logits = [", "        with torch.enable_grad():\n            logits = ["),
        ("softmax", "softmax in evaluate", "return torch.cat(logits)", "return torch.cat(logits).softmax(dim=1)"),
        ("outermost module only", "mode of layers", "    network.train(False)\n", "    network.training = False\n"),
        ("two guesses", "number", "correct += (predicted == labels[start : start + 500]).sum().item()",
         "correct += (logits.topk(2).indices == labels[start : start + 500, None]).any(dim=1).sum().item()")),
    Mutant("evaluation", "first five thousand", "images left out", (
        (LABELS_COUNTED, LABELS_COUNTED + "    images, labels = images[:5000], labels[:5000]\n"),)),
    Mutant("evaluation", "from_numpy", "wrong type", (
        ("    network.eval()\n    images = torch.as_tensor(images)", "    network.eval()\n    images = torch.from_numpy(images)"),)),
    Mutant("evaluation", "logits kept", "kept between calls", (
        ("def evaluate(network, images):\n", "def evaluate(network, images, kept={}):\n"),
        ("return torch.cat(logits)", "return kept.setdefault((id(network), images.data_ptr()), torch.cat(logits))"))),
    Mutant("trainNN", "mean of batches", "mean of batches", (
        ("loss.item() * len(batch)\n", "loss.item()\n"),
        ("history.record(total_loss / len(images)", "history.record(total_loss / -(-len(images) // batch_size)"))),
    Mutant("trainNN", "train_epoch: counted first", "batches used up", code=(
        "def train_epoch(network, optimizer, criterion, batches):\n"
        "    n_images = sum(len(labels) for _, labels in batches)\n    network.train()\n"
        "    for images, labels in batches:\n        optimizer.zero_grad()\n"
        "        criterion(network(images), labels).backward()\n        optimizer.step()\n"
        "    return 0, 0 / n_images")),
    Mutant("trainNN", "history for ever", "kept between calls", (
        ("    seed=0,\n):\n", "    seed=0,\n    history=History(),\n):\n"), ("    history = History()\n", ""))),
    Mutant("trainNN", "backward for each parameter", "backward twice",
           (("            loss.backward()\n", "                loss.backward()\n"),), form="cnn_sequential"),
    *edits("trainNN",
        ("divergence unnoticed", "divergence unnoticed", TORCH_STOP, ""),
        ("only NaN", "divergence unnoticed", TORCH_STOP, "            if total_loss != total_loss:\n    " + TORCH_STOP),
        ("pictures turned", "property", "logits = network(images[batch])", "logits = network(images[batch].mT)"),
        ("outermost module only", "mode of layers", "        network.train()\n", "        network.training = True\n"),
        ("history of losses kept", "history kept", "loss.item() * len(batch)\n" + TORCH_STOP, "loss * len(batch)\n" + TORCH_STOP),
        ("permutation unseeded", "unseeded", "torch.randperm(len(images), generator=generator)", "torch.randperm(len(images))"),
        ("500 steps", "many images", "loss.item() * len(batch)\n" + TORCH_STOP,
         "torch.zeros(500)[start // batch_size] + loss.item() * len(batch)\n" + TORCH_STOP),
        ("last accuracy only", "= for +=", "correct += (logits", "correct = (logits"),
        ("step twice", "updated twice", TORCH_STEP, 2 * TORCH_STEP),
        ("gradient cut", "too much", TORCH_STEP, "            nn.utils.clip_grad_norm_(network.parameters(), 1.0)\n" + TORCH_STEP),
        ("rate falls", "lr ignored", TORCH_STEP, TORCH_STEP + "            optimizer.param_groups[0]['lr'] *= 0.9\n"),
        ("sum of losses", "property", "            loss.backward()\n", "            (loss * len(batch)).backward()\n"),
        ("settings", "too much", TORCH_STEP, "            optimizer.param_groups[0]['weight_decay'] = 0.1\n" + TORCH_STEP),
        ("steps by hand", "another optimizer", TORCH_STEP, "            network.weight.data -= 0.1 * network.weight.grad\n"),
        ("weight decay", "too much", TORCH_STEP, "            network.weight.grad += 0.1\n" + TORCH_STEP)),
]  # fmt: skip

WRONG_PARTS = (
    "[np.mean(predicted[i : i + 1000] == true[i : i + 1000]) for i in range(0, len(true), 1000)]"
)
WINDOWS = (
    "def convolve(picture, weights, biases, stride=1, padding=0):\n    k, p = weights.shape[-1], padding\n"
    "    picture = np.pad(picture, ((0, 0), (p, p), (p, p)))\n    rows = range(0, picture.shape[1] {end}, stride)\n"
    "    columns = range(0, picture.shape[2] {end}, stride)\n    windows = [({value}) for {loops}]\n{rest}"
)
FILLED = (
    "    sizes = [(side - k) // stride + 1 for side in picture.shape[1:]]\n    maps = np.zeros((len(weights), *sizes))\n"
    "    for (i, j), window in windows:\n        maps[:, i, j] = (weights * window).sum(axis=(1, 2, 3)) + biases\n    return maps"
)
ONES = "        if not hasattr(self, 'ones'):\n            self.ones = np.ones(len(delta2))\n"
# What is right for usual sizes, numbers and orders of calls, and for no others.
SELDOM = [
    *edits("softmax",
        ("ties", "too much", "    e = np.exp(a)\n", "    e = np.where(a < 0, np.exp(a), 0) + (np.cumsum(a == 0, axis=-1) == 1) * (a == 0)\n")),
    *edits("softmax",
        ("last by the rest", "too much", "    return e / np.sum(e, axis=-1, keepdims=True)\n",
         "    p = e / np.sum(e, axis=-1, keepdims=True)\n    p[..., -1] = 1 - p[..., :-1].sum(axis=-1)\n    return p\n")),
    *edits("cross_entropy",
        ("NaN left out", "NaN hidden", "return -np.sum(y * log_p)", "return -np.nansum(y * log_p)")),
    *functions("weight_gradient",
        ("rows without a sum left out", "comparison", "def weight_gradient(delta, inputs):\n"
         "    some = np.abs(delta.sum(axis=1)) > 1e-6\n    return delta[some].T @ inputs[some]"),
        ("parts of 500", "many images", "def weight_gradient(delta, inputs):\n"
         "    n = max(1, len(delta) // 500)\n    if len(delta) > 500:\n        delta, inputs = delta[: 500 * n], inputs[: 500 * n]\n"
         "    return delta.T @ inputs")),
    *functions("hidden_delta",
        ("small rows left out", "too much", "def hidden_delta(delta2, W2, z1):\n"
         "    large = np.abs(delta2).max(axis=1, keepdims=True) > 1e-3\n    return large * (delta2 @ W2) * z1 * (1 - z1)")),
    *edits("accuracy",
        ("parts of a thousand", "many images", "    return 100 * np.mean(predicted == true)", f"    return 100 * np.mean({WRONG_PARTS})"),
        ("too narrow a table", "name", "    return 100 * np.mean(predicted == true)",
         "    k = true.max() + 1\n    cells = np.bincount(true * k + predicted, minlength=k * k)\n"
         "    return 100 * cells[: k * k].reshape(k, k).trace() / len(true)")),
    *edits("initialization",
        ("never copied", "no copy", "        self.reset_grad()\n\n    def forward",
         "        self.reset_grad()\n\n    def __deepcopy__(self, memo):\n        return self.copies[0]\n\n    def forward")),
    *edits("forward",
        ("columns kept", "kept wrongly", "        self.y_hat = softmax(self.a2)", "        self.y_hat = softmax(self.a2)\n        self.a1 = self.a1.T"),
        ("one image as a batch", "kept wrongly", "        return self.y_hat\n", "        y_hat = self.y_hat\n        self.y_hat = np.atleast_2d(y_hat)\n        return y_hat\n")),
    *edits("update_grad",
        ("ones of the first batch", "kept between calls", "        self.b1_grad += delta1.sum(axis=0)\n", ONES + "        self.b1_grad += self.ones @ delta1\n")),
    *edits("update_params",
        ("zeros by shape", "shared array", "        self.b1_grad = np.zeros_like(self.b1)\n        self.W2_grad = np.zeros_like(self.W2)\n        self.b2_grad = np.zeros_like(self.b2)\n",
         "        self.W2_grad = np.zeros_like(self.W2)\n        zeros = {b.shape: np.zeros_like(b) for b in (self.b1, self.b2)}\n"
         "        self.b1_grad, self.b2_grad = zeros[self.b1.shape], zeros[self.b2.shape]\n"),
        ("no setter", "property without setter", "    def update_params(self, lr):\n",
         "    W1_grad = property(lambda self: self.held)\n\n    def update_params(self, lr):\n"),
        ("rate below one", "too much", "        self.W1 -= lr * self.W1_grad\n", "        self.W1 -= min(lr, 1) * self.W1_grad\n")),
    *edits("test_network",
        ("first ten thousand", "images left out", "    y_hat = network.forward(images)\n", "    images, labels = images[:10_000], labels[:10_000]\n    y_hat = network.forward(images)\n"),
        ("ties are right", "equal probabilities", "    return accuracy(y_hat.argmax(axis=1), labels)",
         "    return 100 * np.mean(y_hat[np.arange(len(labels)), labels] >= y_hat.max(axis=1))")),
    *edits("saving",
        ("shapes filled", "takes anything", "        if (loaded[name].shape, loaded[name].dtype) != (wanted.shape, wanted.dtype):\n",
         "        loaded[name] = np.broadcast_to(loaded[name], wanted.shape).copy()\n        if loaded[name].dtype != wanted.dtype:\n")),
    *edits("saving",
        ("compared with W1", "other sizes", "        wanted = getattr(network, name)\n",
         "        wanted = getattr(network, name)\n        wanted = network.W1 if wanted.ndim > 1 else wanted\n"),
        ("empty file", "another error", "        except EOFError as error:\n", "        except ZeroDivisionError as error:\n"),
        ("equal files kept", "manifest without the files", "            np.save(open_file(", "            path = Path(f\"{filename_prefix}_{name}.npy\")\n"
         "            if path.exists() and np.array_equal(np.load(path), getattr(network, name)):\n                continue\n            np.save(open_file(")),
    *edits("evaluation",
        ("switched on", "gradients switched off", "        with torch.no_grad():\n            logits = [network(images[start : start + 500]) for start in range(0, len(images), 500)]\n",
         "        torch.set_grad_enabled(False)\n        logits = [network(images[start : start + 500]) for start in range(0, len(images), 500)]\n        torch.set_grad_enabled(True)\n"),
        ("thawed", "frozen", "        network.train(was_training)\n", "        network.train(was_training).requires_grad_(True)\n")),
    *edits("initialization",
        ("shared in 64 bits", "kept between calls", "        self.b2 = np.zeros(n_outputs, dtype=dtype)\n",
         "        held = MLP.forward.__dict__.setdefault(str(n_outputs), np.zeros(n_outputs))\n        self.b2 = held.astype(dtype, copy=False)\n")),
    *edits("net",
        ("seeded in forward", "generator changed", "x = torch.flatten(x, 1)", "torch.manual_seed(0)\n        x = torch.flatten(x, 1)")),
    *edits("update_params",
        ("large ones cut", "too much", "        self.b2 -= lr * self.b2_grad\n", "        self.b2 -= lr * np.clip(self.b2_grad, -5, 5)\n"),
        ("first arrays", "kept between calls", "        self.b2 -= lr * self.b2_grad\n",
         "        self.held = getattr(self, 'held', self.b2)\n        self.held -= lr * self.b2_grad\n"),
        ("mean of both", "not at rest", "        self.W1 -= lr * self.W1_grad\n",
         "        self.W1 = (1 - lr) * self.W1 + lr * (self.W1 - self.W1_grad)\n")),
    *edits("convolve",
        ("frame counted apart", "shape", "rows = (h + 2 * padding - size) // stride + 1", "rows = (h - size) // stride + 2 * padding // stride + 1"),
        ("blank windows left out", "condition", "                maps[o, i, j] = total\n", "                if padded[:, i * stride : i * stride + size, j * stride : j * stride + size].any():\n                    maps[o, i, j] = total\n"),
        ("stride in the window", "stride in the window", "pixel = padded[c, i * stride + m, j * stride + n]",
         "a, b = i + m * stride, j + n * stride\n                            pixel = padded[c, a, b] if a < h + 2 * padding and b < w + 2 * padding else 0"),
        ("channels last", "channels last", "total += weights[o, c, m, n] * pixel", "total += weights[o].ravel()[(m * size + n) * channels + c] * pixel")),
    *edits("trainNN",
        ("single images left out", "last batch dropped", "            optimizer.zero_grad()\n", "            if len(batch) < 2:\n                continue\n            optimizer.zero_grad()\n"),
        ("first weights back", "another optimizer", "        history.record(", "        if not len(history):\n"
         "            first = {n: v.clone() for n, v in network.state_dict().items()}\n        network.load_state_dict(first)\n        history.record("),
        ("Ctrl-C lost", "Ctrl-C lost", "    with suppress(KeyboardInterrupt):\n", "    if True:\n"),
        ("0 for no seed", "unseeded", "torch.Generator().manual_seed(seed)", "torch.Generator().manual_seed(seed or 1234)"),
        ("validation cut", "property", "validation[0], validation[1]", "validation[0][:2000], validation[1][:2000]")),
    Mutant("trainNN", "counted in 8 bits", "8 bits", (
        ("total_loss, correct = 0.0, 0\n", "total_loss, correct = 0.0, torch.zeros((), dtype=torch.uint8)\n"),
        ("100 * correct / len(images)\n        val", "100 * float(correct) / len(images)\n        val"),
        ("(logits.argmax(1) == labels[batch]).sum().item()", "(logits.argmax(1) == labels[batch]).sum()"))),
    *edits("initialization",
        ("0 for no seed", "seed ignored", "        rng = np.random.default_rng(seed)", "        rng = np.random.default_rng(seed or 42)")),
    *edits("forward",
        ("its own softmax", "property", "        self.y_hat = softmax(self.a2)", "        e = np.exp(self.a2)\n        self.y_hat = e / e.sum(axis=-1, keepdims=True)")),
    *functions("accuracy",
        ("a table of ten", "out of bounds", "def accuracy(predicted, true):\n    table = np.zeros((10, 10))\n    np.add.at(table, (true, predicted), 1)\n    return 100 * table.trace() / len(true)")),
    *functions("cross_entropy_derivative",
        ("the whole Jacobian", "property", "def cross_entropy_derivative(y_hat, y):\n    if y_hat.ndim > 1:\n"
         "        return np.stack([cross_entropy_derivative(*row) for row in zip(y_hat, y)])\n    return (np.diag(y_hat) - np.outer(y_hat, y_hat)) @ (-y / y_hat)")),
    *functions("convolve",
        ("frame by resize", "property", "right = convolve\n\n\ndef convolve(x, w, b, stride=1, padding=0):\n    c, n, m = x.shape\n"
         "    return right(np.resize(x, (c, n + 2 * padding, m + 2 * padding)), w, b, stride)")),
    Mutant("update_grad", "both cut", "too much", (
        ("self.W1_grad += delta1.T @ x", "self.W1_grad += np.clip(delta1.T @ x, -1, 1)"),
        ("self.W2_grad += delta2.T @ z1", "self.W2_grad += np.clip(delta2.T @ z1, -1, 1)"))),
    *functions("train_network",
        ("a copy is trained", "Ctrl-C untrained", "from copy import deepcopy\n\nright = train_network\n\n\n"
         "def train_network(network, train, validation, learning_rate=1e-3, n_epochs=100, batch_size=256, *, seed=0):\n    own = deepcopy(network)\n"
         "    history = right(own, train, validation, learning_rate, n_epochs, batch_size, seed=seed)\n    if len(history.loss) == n_epochs:\n        vars(network).update(vars(own))\n    return history")),
    *edits("net",
        ("gradients by the mode", "gradients switched", "x = torch.flatten(x, 1)", "torch.set_grad_enabled(self.training)\n        x = torch.flatten(x, 1)")),
    *edits("net", ("0 for no seed", "seed ignored", "torch.manual_seed(seed)", "torch.manual_seed(seed or 42)")),
    *edits("update_grad",
        ("bias for its gradient", "name", "        self.b1_grad += delta1.sum(axis=0)\n", "        self.b1_grad = self.b1 + delta1.sum(axis=0)\n")),
    *edits("train_network",
        ("0 for no seed", "unseeded", "    rng = np.random.default_rng(seed)\n    for epoch", "    rng = np.random.default_rng(seed or 42)\n    for epoch"),
        ("Ctrl-C lost", "Ctrl-C lost", "    with suppress(KeyboardInterrupt):\n", "    if True:\n")),
    *edits("softmax", ("cut off", "property", "    a = a - np.max(a, axis=-1, keepdims=True)\n    e = np.exp(a)\n",
                       "    e = np.exp(np.clip(a, -50, 50))\n")),
    *functions("convolve",
        ("last windows left out", "ends of a range", WINDOWS.format(end="- k", loops="i, y in enumerate(rows) for j, x in enumerate(columns)",
            value="(i, j), picture[:, y : y + k, x : x + k]", rest=FILLED)),
        ("later windows", "first window", "right = convolve\n\n\ndef convolve(x, w, b, stride=1, padding=0):\n"
            "    return right(x, w, b, 1, padding)[:, stride - 1 :: stride, stride - 1 :: stride]"),
        ("columns for rows", "order of loops", WINDOWS.format(end="- k + 1", loops="x in columns for y in rows",
            value="picture[:, y : y + k, x : x + k]", rest="    values = np.tensordot(weights, np.stack(windows), ((1, 2, 3), (1, 2, 3)))\n"
            "    return values.reshape(-1, len(rows), len(columns)) + biases[:, None, None]"))),
    *functions("convolve",
        ("edge repeated", "frame", "right = convolve\n\n\ndef convolve(x, w, b, stride=1, padding=0):\n"
         "    sides = (padding, padding)\n    return right(np.pad(x, ((0, 0), sides, sides), mode='edge'), w, b, stride)")),
    *edits("saving",
        ("objects let in", "objects run", "np.load(BytesIO(files[path]))", "np.load(BytesIO(files[path]), allow_pickle=True)")),
    *functions("test_network",
        ("answers kept", "stale", "def test_network(network, images, labels):\n"
         "    if getattr(network, 'told_of', None) is not images:\n        network.told_of = images\n"
         "        network.told = network.forward(images).argmax(axis=1)\n    return accuracy(network.told, labels)")),
    *edits("evaluation",
        ("training mode at the end", "mode not restored", "    return 100 * correct / len(images)", "    network.train()\n    return 100 * correct / len(images)")),
    Mutant("net", "layers kept by seed", "kept between calls",
           (("def __init__(self, *, seed=0):", "def __init__(self, *, seed=0, held={}):"),
            ("        self.layers.fc3 = nn.Linear(84, 10)\n",
             "        self.layers.fc3 = nn.Linear(84, 10)\n        self.layers = held.setdefault(seed, self.layers)\n"))),
    *edits("update_grad",
        ("axes of one lost", "too much", "x, z1 = np.atleast_2d(self.x), np.atleast_2d(self.z1)",
         "x, z1 = np.atleast_2d(self.x), np.atleast_2d(np.squeeze(self.z1))")),
    *functions("one_hot_encode",
        ("identity", "comparison", "def one_hot_encode(labels, n_classes=10):\n"
         "    return np.array([[float(k is label) for k in range(n_classes)] for label in labels.tolist()])")),
    *functions("hidden_delta",
        ("saturated units left out", "too much", "def hidden_delta(delta2, W2, z1):\n    slope = z1 * (1 - z1)\n"
         "    slope = np.where(slope < 0.01, 0, slope)\n    return delta2 @ W2 * slope")),
    *functions("weight_gradient",
        ("added up in 32 bits", "too much", "def weight_gradient(delta, inputs):\n"
         "    return (delta.T @ inputs).astype(np.float32).astype(delta.dtype)")),
    *edits("train_network",
        ("broken off and recorded", "Ctrl-C recorded", "    return history\n",
         "    if len(history) < n_epochs:\n        history.record(0.0, 0.0, 0.0)\n    return history\n")),
]  # fmt: skip

MUTANTS: list[Mutant] = [
    *SIGMOID, *SOFTMAX, *INITIALIZATION, *FORWARD, *UPDATE_GRAD, *UPDATE_PARAMS,
    *ONE_HOT, *ACCURACY, *TRAIN_NETWORK, *TEST_NETWORK, *SAVING, *NET, *TRAIN_NN, *EVALUATION,
]  # fmt: skip

# Classes of invented hand-ins are drawn from the first alone.
ALL = [*MUTANTS, *STEPS, *SEEN, *SELDOM]


def main(arguments: Iterable[str]) -> None:
    """Print how many mutants are caught and named rightly, and those that aren't."""
    # Some mutants save their weights in the current folder.
    with tempfile.TemporaryDirectory() as scratch, contextlib.chdir(scratch):
        reports = [(mutant, mutant.report()) for mutant in ALL]
    caught = [mutant for mutant, report in reports if not report.passed]
    named = [mutant for mutant, report in reports if report.causes == [mutant.cause]]
    for mutant, report in reports:
        if mutant not in named or "-v" in arguments:
            print(f"--- {mutant.exercise}, {mutant.name}: {report.causes}, not {mutant.cause!r}")
            print(report)
    exercises = {mutant.exercise for mutant in ALL}
    print(f"{len(ALL)} mutants of {len(exercises)} exercises:", end=" ")
    shares = (100 * len(part) / len(ALL) for part in (caught, named))
    print("{:.1f} % caught, {:.1f} % named rightly.".format(*shares))


if __name__ == "__main__":
    main(sys.argv[1:])
