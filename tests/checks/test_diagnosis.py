"""A cause is a true claim about the student's own text, and Python's errors are explained."""

import ast
import re
import signal
import time
from functools import cache
from types import SimpleNamespace
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checks import asking, diagnosis, errors
from checks.edits import CLAIMS, OPERATORS, scope_of
from checks.exercises import load_tasks
from checks.faults import UNFINISHED, VAGUE, Fault
from checks.verdicts import Exercise, Report
from tests.checks.machine_mutants import sources
from tests.checks.mutants import FORMS, TASKS, run_check, student_module

PLAIN = (FORMS / "plain.py").read_text(encoding="utf-8")
needs_timer = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timer here")


def changed(old, new, text=PLAIN):
    assert text.count(old) == 1, old
    return text.replace(old, new)


def report(exercise, source, name="homework"):
    return run_check(exercise, student_module(source, name))


def plain_with(exercise, function):
    """Return the report on the plain form, in which `function`, a text, replaces one."""
    return report(exercise, f"{PLAIN}\n\n{function}\n")


# Claims.

SLIPS = (
    ("forward", "self.z1 @ self.W2.T + self.b2", "self.z1 @ self.W2.T - self.b2", "sign"),
    ("forward", "self.z1 = sigmoid(self.a1)", "self.z1 = sigmoid(a1)", "self missing"),
    ("forward", "self.y_hat = softmax(self.a2)", "self.y_hat = softmax(self.z1)", "name"),
    ("train_network", "batch = order[start : start + batch_size]",
     "batch = order[start : start + 6]", "fixed number"),
    ("test_network", "y_hat.argmax(axis=1)", "y_hat.argmax(axis=0)", "axis"),
    ("one_hot_encode", "encoded[np.arange(len(labels)), labels] = 1",
     "encoded[np.arange(len(labels)), labels - 1] = 1", "off by one"),
)  # fmt: skip


TORCH = (FORMS / "cnn_plain.py").read_text(encoding="utf-8")
WINDOWS = """
def convolve(picture, weights, biases, stride=1, padding=0):
    x = np.pad(picture, ((0, 0), (padding, padding), (padding, padding)))
    k = weights.shape[-1]
    height = (x.shape[1] - k) // stride + 1
    width = (x.shape[2] - k) // stride + 1
    maps = np.zeros((len(weights), height, width))
    for o in range(len(weights)):
        for i in range(height):
            for j in range(width):
                window = x[:, i * stride : i * stride + k, j * stride : j * stride + k]
                for c in range(len(x)):
                    maps[o, i, j] += (weights[o, c] * window[c]).sum()
    return maps + biases[:, None, None]
"""
MORE_SLIPS = (
    ("convolve", "j * stride : j * stride + k", "j : j + k", "ends of a slice"),
    ("convolve", "maps[o, i, j] += ", "maps[o, i, j] = ", "= for +="),
    ("convolve", "    return maps + ", "        return maps + ", "indentation"),
    ("weight_gradient", "for d in delta.T for i in inputs.T", "for i in inputs.T for d in delta.T",
     "order of loops"),
    ("convolve", "(x.shape[1] - k) // stride + 1\n    width = (x.shape[2]",
     "(x.shape[2] - k) // stride + 1\n    width = (x.shape[1]", "changed places"),
    ("sigmoid", "1 / (1 + np.e ** -a)", "1 / (1 + 2.0 ** -a)", "number"),
    ("sigmoid", "1 / (1 + np.e ** -a)", "1 / (1 + np.e ^ -a)", "operator"),
    ("sigmoid", "1 / (1 + np.e ** -a)", "1 / (1 + np.e ** -a) * a * (1 - a)", "too much"),
)  # fmt: skip
FUNCTIONS = """
def sigmoid(a):
    return 1 / (1 + np.e ** -a)

def weight_gradient(delta, inputs):
    products = [d @ i for d in delta.T for i in inputs.T]
    return np.reshape(products, (delta.shape[1], -1))
"""


@pytest.mark.parametrize(("exercise", "old", "new", "key"), MORE_SLIPS)
def test_a_slip_in_another_style_is_named(exercise, old, new, key):
    text = f"{TORCH}\n{WINDOWS}" if exercise == "convolve" else f"{PLAIN}\n{FUNCTIONS}"
    assert report(exercise, text).passed
    with mock.patch.dict(diagnosis.SECONDS, {False: 20}):
        assert report(exercise, changed(old, new, text)).causes == [key]


FACTS = (
    ("accuracy", "def accuracy(predicted, true):\n    return 100", "for different inputs"),
    ("sigmoid_derivative", "def sigmoid_derivative(z):\n    return np.full(z.shape, 0.2)",
     "holds 0.2 and nothing else"),
    ("cross_entropy_derivative", "def cross_entropy_derivative(y_hat, y):\n    return 1 * y",
     "the second argument is returned as it came"),
    ("sigmoid", "def sigmoid(a):\n    return np.where(a > 0, 1 / (1 + np.exp(-abs(a))), np.cos(a))",
     "negative numbers give wrong results, and all others right ones"),
    ("softmax", "def softmax(a):\n    e = np.exp(a - a.max(axis=-1, keepdims=True))\n"
     "    return e / np.linalg.norm(e, axis=-1, keepdims=True)", "don't add up to 1"),
    ("sigmoid", "def sigmoid(a):\n    return a >= 0.5", "True and False alone"),
    ("accuracy", "def accuracy(predicted, true):\n    return 100 * np.isin(predicted, true).mean()",
     "with the entries of `predicted` in other places, the result is the same"),
    ("accuracy", "def accuracy(predicted, true):\n    n = len(true) - 1\n"
     "    return float(int(100 * np.sum(predicted[:n] == true[:n]) / len(true)))",
     "with another last entry of `predicted`, the result is the same"),
    ("sigmoid_derivative", "def sigmoid_derivative(z):\n    s = np.exp(np.log(z / (1 - z)))\n"
     "    return np.cos(0 * s / s) * z * (1 - z)", "zeros and ones give wrong results"),
    ("cross_entropy_derivative", "def cross_entropy_derivative(y_hat, y):\n"
     "    d = np.atleast_2d(y_hat - y)\n    return (d + 0.3 * (d.mean(0) - d[0])).reshape(y.shape)",
     "what comes out for one image depends on the other images of its batch"),
    ("cross_entropy", "def cross_entropy(a, y):\n"
     "    return -float(np.sum(y * np.log(softmax(a) + 1e-8)))",
     "something small is added, or digits are lost"),
    ("one_hot_encode", "def one_hot_encode(labels, n_classes=10):\n"
     "    return np.float32([[label >= k for k in range(n_classes)] for label in labels])",
     "other numbers than a single 1 and zeros"),
    ("one_hot_encode", "def one_hot_encode(labels, n_classes=10):\n"
     "    encoded = np.zeros((0, n_classes))\n    for label in labels:\n"
     "        np.append(encoded, np.eye(n_classes)[[label]], 0)\n    return encoded",
     "the result is empty"),
    ("cross_entropy",
     "def cross_entropy(a, y):\n    return -np.dot(y, np.log(softmax(a)).T).sum()",
     "with the rows of `a` in other places, the result is the same"),
)  # fmt: skip


@pytest.mark.parametrize(("exercise", "function", "words"), FACTS)
def test_a_fact_is_told_where_no_cause_is_known(exercise, function, words):
    with mock.patch.dict(diagnosis.SECONDS, {False: 0}):
        assert words in str(plain_with(exercise, function))


@pytest.mark.parametrize(("exercise", "old", "new", "key"), SLIPS)
def test_a_slip_is_named_at_its_line(exercise, old, new, key):
    source = changed(old, new)
    found = report(exercise, source)
    assert found.causes[0] == key
    line = source.splitlines()[int(re.search(r"line (\d+) of homework\.py", str(found))[1]) - 1]
    assert line.strip() in source


def test_of_two_lines_that_may_be_the_wrong_one_both_are_told():
    """Either `a / 2` or `b / 2` makes it right, and nobody can know which was meant."""
    text = "def sigmoid(a):\n    b = a\n    return 0.5 * (1 + np.tanh(b))"
    with (
        mock.patch.dict(diagnosis.SECONDS, {False: 20}),
        mock.patch.object(diagnosis, "ANOTHER", 20),
    ):
        found = str(plain_with("sigmoid", text))
    first, second = map(int, re.findall(r"n line (\d+) of homework", found))
    assert second == first + 1
    assert f"lines {first} and {second}: with a change in one of the two" in found


TWICE = (
    ("accuracy", "return 100 * np.mean(predicted == true)", "return np.mean(predicted != true)"),
    ("sigmoid_derivative", "return z * (1 - z)", "return (z + 2) * (1 + z)"),
)


@pytest.mark.parametrize(("exercise", "old", "new"), TWICE)
def test_two_slips_are_named_together(exercise, old, new):
    text = TORCH if exercise == "convolve" else PLAIN
    with mock.patch.dict(diagnosis.SECONDS, {False: 20}), mock.patch.object(diagnosis, "PAIRS", 20):
        found = str(report(exercise, changed(old, new, text)))
    assert found.count("in line") == 2, found
    assert "Besides, in line" in found


def test_a_right_method_stands_in_for_one_of_another_name():
    module = student_module(PLAIN.replace("def forward", "def foward"), "homework")
    forward = next(task for task in load_tasks() if task.name == "forward")
    with diagnosis.standing_in([forward], [module.MLP]):
        assert callable(module.MLP.forward)
    assert not hasattr(module.MLP, "forward")


@cache
def mutants_of(exercise):
    return sources(exercise, "plain")


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_what_is_claimed_of_a_drawn_mutant_is_true(data):
    """The line that is named is the one that the mutation changed, or the cause has a row."""
    exercise = data.draw(st.sampled_from(["sigmoid", "softmax", "accuracy", "cross_entropy"]))
    right = ast.unparse(ast.parse(PLAIN))
    mutant = data.draw(st.sampled_from(mutants_of(exercise)))
    found = report(exercise, mutant)
    differing = {
        number
        for number, (a, b) in enumerate(zip(right.splitlines(), mutant.splitlines(), strict=False))
        if a != b
    }
    named = re.findall(r"in line (\d+) of homework\.py", str(found))
    if named and len(mutant.splitlines()) == len(right.splitlines()):
        start = min(differing) - 2  # a slip may be undone in a line that uses what it spoils
        assert all(start <= int(number) - 1 <= max(differing) + 3 for number in named), str(found)


def test_a_decorated_function_is_searched_too():
    text = changed("    return z * (1 - z)", "    return z * (2 - z)")
    text = changed("def sigmoid_derivative", "@wrapped\ndef sigmoid_derivative", text)
    text = changed("import numpy as np\n", "import numpy as np\n" + WRAPPED, text)
    assert "the number `2` is wrong here" in str(report("sigmoid_derivative", text))


WRAPPED = """
import functools

def wrapped(function):
    return functools.wraps(function)(lambda *args: function(*args))
"""


def test_a_slip_in_a_second_function_is_found():
    """Though changes of the first were tried before: none of them stays."""
    rest = "def rest(z):\n    return 1 - 2 * z\n\n\n"
    text = f"{rest}def sigmoid_derivative(z):\n    return z * rest(z)"
    found = str(plain_with("sigmoid_derivative", text))
    assert "`2 *` is too much in `2 * z`" in found


def test_no_line_is_blamed_where_another_name_stands_for_the_function():
    text = f"{PLAIN}\n\nright, sigmoid = sigmoid, lambda a: np.minimum(right(a), 0.9)\n"
    assert "in line" not in str(report("sigmoid", text))


def test_of_a_mistake_that_a_short_check_does_not_see_no_change_is_tried():
    """Any change would seem to mend it."""
    text = "def test_network(network, images, labels):\n    return accuracy("
    text += "network.forward(images).argmax(axis=1), labels) * (len(images) != 1037)"
    with mock.patch.object(diagnosis, "candidates") as tried:
        assert "Look at" not in str(plain_with("test_network", text))
    assert not tried.called


def test_every_change_of_every_operator_has_a_claim():
    tree = ast.parse(PLAIN)
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    keys = set()
    for function in functions:
        scope = scope_of(function, tree)
        for node in ast.walk(function):
            for operator in (*OPERATORS, *diagnosis.LATER):
                for change in operator(node, scope):
                    assert change.claim("x").endswith(".")
                    assert not re.search(r"\{(code|detail)\}", change.claim("x"))
                    keys.add(change.key)
    assert keys <= set(CLAIMS)
    assert len(keys) > 20


LEAST_PROBABLE = """
def cross_entropy(a, y):
    a = a - np.max(a)
    return -np.sum(y * (a - np.min(a)))  # 0, wherever the least probable digit is the true one
"""


@pytest.mark.parametrize("seed", range(12))
def test_nothing_is_told_that_holds_of_the_first_inputs_alone(seed):
    module = student_module(f"{PLAIN}{LEAST_PROBABLE}", "homework")
    told = run_check("cross_entropy", module, seed=seed).causes
    assert "property" not in told


def test_what_a_module_does_at_its_end_is_not_done_again(tmp_path):
    """It may train there, or check: a check would lead to the next without end."""
    log = tmp_path / "log"
    end = f"with open({str(log)!r}, 'a') as file:\n    file.write('once')"
    text = f"{PLAIN}\n\ndef accuracy(predicted, true):\n    return 7.0\n\n\n{end}\n"
    assert not report("accuracy", text).passed
    assert log.read_text() == "once"


def test_the_students_module_stays_as_it_was():
    module = student_module(changed("a.max(", "a.min(", f"{PLAIN}\ndef f(a):\n    a.max()"), "m")
    before = dict(vars(module))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("builtins.print", lambda *_: None)
        TASKS["forward"].check(module.MLP)
    assert vars(module) == before


def loaded(path, text):
    """Return a module as Python has it after reading `text` from the file `path`."""
    path.write_text(text)
    space = {}
    exec(compile(text, str(path), "exec"), space)
    return SimpleNamespace(**space)


def test_a_file_that_changed_after_loading_is_not_searched(tmp_path):
    path = tmp_path / "homework.py"
    module = loaded(path, "import numpy as np\n\ndef sigmoid(a):\n    return np.exp(a) + 1\n")
    path.write_text("import numpy as np\n\n\n\ndef sigmoid(a):\n    return 1 / (np.exp(-a) + 1)\n")
    assert run_check("sigmoid", module).causes == ["property"]  # of the result alone


@pytest.mark.parametrize("way", ["copy", "deepcopy"])
def test_a_copy_of_the_network_may_be_looked_at(way):
    copied = f"import copy\n    network = copy.{way}(network)\n    y_hat = network.forward(images)"
    text = changed("y_hat = network.forward(images)", copied)
    assert report("test_network", text).passed
    own = "    was_training = network.training\n    network.train(False)\n"
    copied = (
        f"    was_training, network = network.training, copy.{way}(network)\n    network.eval()\n"
    )
    assert report("evaluation", changed(own, copied, f"import copy\n{TORCH}")).passed


# What an exercise builds on.


def test_a_mistake_is_blamed_once():
    wrong = changed("return 100 * np.mean(predicted == true)", "return np.mean(predicted == true)")
    assert report("accuracy", wrong).causes == ["fraction"]
    judged = report("test_network", wrong)
    assert judged.passed
    assert "with a correct `accuracy`, since yours is not right yet" in str(judged)


@pytest.mark.parametrize("name", ["sigmoid", "softmax"])
def test_forward_is_judged_while_what_it_calls_is_still_to_be_written(name):
    source = f"{PLAIN}\n\ndef {name}(a):\n    raise NotImplementedError\n"
    assert report(name, source).causes == [UNFINISHED.key]
    assert report("forward", source).passed


def test_gradients_are_judged_with_a_correct_forward():
    source = changed("self.z1 = sigmoid(self.a1)", "self.z1 = np.tanh(self.a1)")
    assert not report("forward", source).passed
    assert report("update_grad", source).passed


def test_stand_ins_leave_a_class_as_it_was():
    """Also one that inherits the method that a correct one stood in for."""
    source = changed("self.z1 = sigmoid(self.a1)", "self.z1 = np.tanh(self.a1)")
    module = student_module(
        f"{source}\n\nclass Mine(MLP):\n    def more(self):\n        pass\n", "m"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("builtins.print", lambda *_: None)
        assert TASKS["update_grad"].check(module.Mine).passed
    assert "forward" not in vars(module.Mine)
    assert module.Mine.forward is module.MLP.forward


# Python's errors, at the student's own line.

ERRORS = (
    ("forward", "self.a1 = x @ self.W1.T", "self.a1 = x @ self.W1", "`self.W1` has the shape"),
    ("forward", "self.a1 = x @ self.W1.T", "self.a1 = x @ W1.T", "`self.` is missing before `W1`"),
    ("update_params", "self.W1 -= lr * self.W1_grad", "self.W1 -= self.lr * self.W1_grad",
     "`lr` is an argument of this function, and nothing of the network"),
    ("softmax", "e = np.exp(a)", "e = np.expp(a)", "`np` has nothing called `expp`"),
    ("softmax", "e = np.exp(a)", "f = np.exp(a)", "nothing is called `e` here"),
    ("test_network", "return accuracy(y_hat.argmax(axis=1), labels)",
     "return accuracy(y_hat.argmax(axis=1), labels).item().real.x", "has nothing called `x`"),
    ("train_network", "        history.record(total / len(images), train_accuracy, "
     "validation_accuracy)\n", "", "history.record"),
    ("train_network", "batch = order[start : start + batch_size]",
     "batch = order[np.arange(start, start + batch_size)]", "so 39 is not one of its places"),
    ("one_hot_encode", "encoded[np.arange(len(labels)), labels] = 1", "encoded[labels] = 1",
     "axis 0 has the length 8, counted from 0, so 8 is not one of its places"),
    ("softmax", "np.sum(e, axis=-1, keepdims=True)", "np.sum(e, axis=1, keepdims=True)",
     "there is no axis 1 in this array, whose number of axes is 1"),
    ("evaluation", "logits = [network(images[start : start + 500])",
     "logits = [network(images[start])", "x has shape (1, 28, 28); wanted (B, 1, 28, 28)"),
    ("evaluation", "(predicted == labels[start : start + 500])", "(predicted == labels[:7])",
     "along axis 0, one side has the length 23 and the other 7"),
    ("trainNN", "optimizer.param_groups[0]", "optimizer.param_groups",
     "a list is indexed by a str"),
    ("test_network", "return accuracy(y_hat.argmax(axis=1), labels)",
     "return accuracy(np.concatenate([]), labels)", "the list of what is to be joined is empty"),
    ("cross_entropy", "def cross_entropy(a, y):\n", "def cross_entropy(a, y):\n"
     "    a = np.einsum('bk,bkh->bk', a, a)\n", "has fewer axes than letters"),
    ("trainNN", "loss.backward()", "logits.backward()", "`backward` is called on many numbers"),
    ("trainNN", "criterion(logits, labels[batch])", "criterion(logits.argmax(1), labels[batch])",
     "values of the type Long stand where numbers with a point are wanted"),
    ("trainNN", "loss.item() * len(batch)", "loss.item() * batch", "a whole tensor stands where"),
    ("trainNN", "(logits.argmax(1) == labels[batch]).sum()",
     "(logits.argmax(1) == labels[batch]).mean()", "values of the type Bool"),
    ("initialization", "rng.normal(0, 0.1, (n_hidden, n_inputs))",
     "rng.normal(0, 0.1, n_hidden, n_inputs)", "`normal` is called with another number of values"),
    ("sigmoid", "    return np.where(\n", "    import math\n    [math.exp(-t) for t in a.ravel()]\n"
     "    return np.where(\n", "larger than a float can be"),
)  # fmt: skip


@pytest.mark.parametrize(("exercise", "old", "new", "words"), ERRORS)
def test_an_error_is_explained(exercise, old, new, words):
    text = TORCH if exercise in ("evaluation", "trainNN") else PLAIN
    with mock.patch.dict(diagnosis.SECONDS, {False: 0}):  # else what mends it may be told
        text = str(report(exercise, changed(old, new, text)))
    assert words in text
    assert re.search(r"line \d+ of homework\.py", text)


def test_a_list_that_holds_itself_is_no_array():
    rows = "def softmax(a):\n    rows = [a]\n    rows.append([rows])\n    return rows"
    assert "Found: a list." in str(plain_with("softmax", rows))


@given(st.lists(st.integers(1, 5), min_size=1, max_size=4), st.data())
def test_what_is_out_of_bounds_is_told_as_it_is(shape, data):
    array = np.zeros(shape)
    axis = data.draw(st.integers(0, len(shape) - 1))
    beyond = data.draw(st.integers(0, 9))
    place = (slice(None),) * axis + (shape[axis] + beyond,)
    places = f"axis {axis} has the length {shape[axis]}, counted from 0, so {place[-1]} is not"
    axes = f"no axis {len(shape) + beyond} in this array, whose number of axes is {len(shape)};"
    for attempt, told in (
        (lambda: array[place], places),
        (lambda: array.sum(axis=len(shape) + beyond), axes),
    ):
        with pytest.raises(IndexError) as raised:
            attempt()
        assert re.search(told, errors.explain(raised.value).likely)


NAMES_OF_OURS = r"Spy\w+|Album|Laboratory|verdicts|checks[./]|asking"


@pytest.mark.parametrize(
    "line", ["network.weights", "network.nothing()", "network[0]", "len(network)", "network + 1",
             "network.forward()", "network.update_params()", "1 / 0", "[][1]", "{}['a']"],
)  # fmt: skip
def test_no_name_of_ours_leaks(line):
    text = str(
        plain_with("test_network", f"def test_network(network, images, labels):\n    {line}")
    )
    assert not re.search(NAMES_OF_OURS, text), text


@needs_timer
def test_an_endless_loop_ends_in_a_verdict():
    loop = "def sigmoid(a):\n    while True:\n        a = a + 1\n    return a"
    with asking.limited_to(0.3):
        found = plain_with("sigmoid", loop)
    assert "did not come to its end within 0.3 seconds" in str(found)
    assert found.causes == ["endless"]


def test_an_alarm_just_before_a_call_ends_nothing(monkeypatch):
    """The time that counts is that of the call, not that since the one before."""
    alarms, clock = iter([True]), time.monotonic

    def alarmed():
        if next(alarms, False):
            asking._stop(0, None)
        return clock()

    monkeypatch.setattr(asking, "_begun", [-1e9, -1e9])
    monkeypatch.setattr(asking, "_last", [-1e9])
    monkeypatch.setattr(asking.time, "monotonic", alarmed)
    assert asking.ask("f()", lambda: 3) == 3
    assert not next(alarms, False)


@pytest.mark.parametrize(("line", "words"), [
    ("raise SystemExit", "ended the program"), ("import sys; sys.exit(1)", "ended the program"),
    ("raise KeyboardInterrupt", "was stopped by hand"),
])  # fmt: skip
def test_exit_and_interruption_end_in_a_verdict(line, words):
    assert words in str(plain_with("sigmoid", f"def sigmoid(a):\n    {line}"))


def test_a_syntax_slip_gives_one_message_and_no_verdict_on_the_old_code(tmp_path):
    path = tmp_path / "mlp.py"
    module = loaded(path, "import numpy as np\n\ndef sigmoid(a):\n    return np.exp(a)\n")
    path.write_text("import numpy as np\n\ndef sigmoid(a:\n    return np.exp(a)\n")
    found = run_check("sigmoid", module)
    assert found.causes == ["syntax"]
    assert "Python can't read line 3 of mlp.py: `def sigmoid(a:`" in str(found)
    assert len(found) == 1


# The form of a verdict.


@given(st.text(max_size=40), st.text(max_size=40))
def test_html_holds_the_text_and_no_markup_of_the_student(found, part):
    exercise, fault = Exercise("sigmoid"), Fault("k", "<b>why</b> `a < b`.", "do.")
    page = Report([exercise.wrong(part, found, "1 & 2", fault)]).as_html()
    assert "<b>why" not in page
    assert "<code>a &lt; b</code>" in page
    assert "1 &amp; 2" in page
    assert re.sub("<[^>]*>", "", page).count("✗ wrong") == 1 + (found + part).count("✗ wrong")


def test_a_line_of_the_students_is_a_link_to_its_file():
    module = student_module("def sigmoid(a):\n    return b\n", "mlp")
    page = run_check("sigmoid", module).as_html()
    assert '<a href="../helpers/mlp.py#line=1">line 2 of mlp.py</a>' in page


def test_vague_causes_are_no_claims():
    assert {"unknown", "raised", "example"} == set(VAGUE)
