"""A mistake costs the exercise that it is in, and none of those that build on it."""

import random
import sys
from dataclasses import replace

import numpy as np
import pytest

from checks.exercises import load_tasks, needs_of
from grading.archives import HandIn
from grading.exam import read_exam
from grading.marking import mark
from grading.sandbox.adapters import StandIn, require_few
from grading.sandbox.limits import Limits
from tests.checks.mutants import MUTANTS, SECOND_NOTEBOOK
from tests.grading.hand_ins.catalogue import TRAINING, modules, solution
from tests.grading.hand_ins.demo_class import files_of, form
from tests.grading.test_hand_ins import needs_sandbox, surroundings

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="marking wants Linux"),
]

__all__ = ["surroundings"]
TASKS = load_tasks()
ALL = [task.name for task in TASKS]
NEEDED = sorted({need for task in TASKS for need in task.needs})
LIMITS = Limits(call_seconds=5, hand_in_seconds=60, cpu_seconds=60, memory_mb=2048)


def marked(files, surroundings, names=ALL):
    exam = replace(read_exam(), limits=LIMITS)
    tasks = tuple(t for t in exam.tasks if f"{t.module}.py" in files and t.name in names)
    result = mark(HandIn("ada", files), replace(exam, tasks=tasks), 5, surroundings)
    return {each["name"]: each for each in result["exercises"]}


def lost(found):
    return {name for name, each in found.items() if each["points"] < each["maximum"]}


def with_mistake(need):
    """Return the modules of a hand-in with a mistake in an exercise that others build on."""
    rows = [mutant for mutant in MUTANTS if mutant.exercise == need]
    if not rows:  # a step of the back-propagation
        return modules(mlp=solution("mlp") + NOT_DONE.format(name=need))
    text = random.Random(need).choice(rows).source()
    return files_of(form("plain"), text) if need in SECOND_NOTEBOOK else files_of(text, "")


@needs_sandbox
@pytest.mark.parametrize("need", NEEDED)
def test_only_the_exercise_with_the_mistake_loses_points(need, surroundings):
    found = marked(with_mistake(need), surroundings)
    assert lost(found) <= {need}, [found[name]["text"] for name in lost(found)]
    for name in (name for name, each in found.items() if each.get("assumed")):
        assert "Judged with a correct" in found[name]["text"]


FORGOTTEN = "\n\ndef accuracy(predicted, true):\n    return np.mean(predicted == true)\n"
NOT_DONE = "\n\ndef {name}(*args, **kwargs):\n    raise NotImplementedError('write it')\n"


@needs_sandbox
def test_a_forgotten_factor_costs_accuracy_alone(surroundings):
    files = modules(training=solution("training") + FORGOTTEN)
    files["cnn.py"] = solution("cnn").encode()
    found = marked(files, surroundings)
    assert lost(found) == {"accuracy"}
    told = [name for name, each in found.items() if each.get("assumed")]
    assert set(told) >= {"test_network", "train_network", "evaluation", "trainNN"}


@needs_sandbox
def test_what_is_not_written_costs_itself_alone(surroundings):
    steps = ("cross_entropy_derivative", "weight_gradient", "sigmoid_derivative", "hidden_delta")
    text = solution("mlp") + "".join(NOT_DONE.format(name=name) for name in steps)
    assert lost(marked(modules(mlp=text), surroundings)) == set(steps)


@needs_sandbox
def test_a_wrong_exercise_gets_nothing_by_right_ones_below_it(surroundings):
    text = solution("training") + FORGOTTEN
    text += "\n\ndef test_network(network, images, labels):\n    return 50.0\n"
    found = marked(modules(training=text), surroundings)
    assert lost(found) == {"accuracy", "test_network"}
    assert found["test_network"]["points"] == 0


LOOKS = """

def sigmoid(a):
    return np.zeros_like(a)


def softmax(a):
    import gc, inspect, sys
    seen = []
    for value in (sigmoid, sigmoid.__code__, sigmoid.__globals__, *gc.get_referents(sigmoid)):
        seen.append(repr(value))
    try:
        seen.append(inspect.getsource(sigmoid))
    except (OSError, TypeError):
        pass
    if "expit" in "".join(seen) or any(name.startswith("checks") for name in sys.modules):
        return np.full_like(a, 0.1)
    e = np.exp(a - a.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)
"""


@needs_sandbox
def test_the_right_function_itself_is_not_there(surroundings):
    found = marked(modules(mlp=solution("mlp") + LOOKS), surroundings)
    assert lost(found) == {"sigmoid"}  # forward calls softmax while a right sigmoid stands in


HOSTILE = [
    "one_hot_encode(np.arange(9), 10**9)", "one_hot_encode(np.arange(9), np.int64(10**9))",
    "one_hot_encode(np.zeros((1 << 15, 2)))", "one_hot_encode('x')", "one_hot_encode([[[]]])",
    "one_hot_encode(network)", "one_hot_encode(*[1] * 99)", "one_hot_encode(labels={})",
]  # fmt: skip


@needs_sandbox
@pytest.mark.parametrize("call", HOSTILE)
def test_right_functions_do_no_harm_whatever_they_are_asked(call, surroundings):
    text = solution("training") + "\n\ndef one_hot_encode(labels, n=10):\n    return labels\n"
    text += "\n_train = train_network\n\n\ndef train_network(network, *args, **kwargs):\n"
    text += f"    try:\n        {call}\n    except Exception:\n        pass\n"
    text += "    return _train(network, *args, **kwargs)\n"
    found = marked(modules(training=text), surroundings, TRAINING)
    assert lost(found) == {"one_hot_encode"}


def test_numbers_that_no_training_has_are_refused():
    for value in (10**9, np.int64(10**9), np.array(-(10**9))):
        with pytest.raises(ValueError, match="none of the training"):
            require_few([value])
    require_few([0.5, 10, np.zeros(3), None, "x"])


def test_a_stand_in_computes_here_and_tells_what_changed():
    def step(self, lr):
        self.W1 = self.W1 - lr

    result, changed = StandIn(step).answer(([{"W1": np.ones(2), "n": 3}], [0.5], {}), {})
    assert result is None
    assert list(changed) == ["W1"]
    assert changed["W1"].tolist() == [0.5, 0.5]


def test_needs_are_found_through_all_exercises():
    """Against a closure that is computed in another way."""
    reach = {task.name: set(task.needs) for task in TASKS}
    for _ in TASKS:
        reach = {n: s | {m for k in s for m in reach[k]} for n, s in reach.items()}
    for task in TASKS:
        assert {need.name for need in needs_of(task, TASKS)} == reach[task.name]
