"""What one exercise does to its process spoils no other exercise of the same hand-in."""

import random
import sys
from dataclasses import replace

import pytest

from checks.exercises import load_tasks
from grading.archives import HandIn
from grading.exam import read_exam
from grading.marking import mark
from tests.grading.hand_ins.catalogue import modules, solution
from tests.grading.test_hand_ins import LIMITS, needs_sandbox, surroundings

pytestmark = [
    needs_sandbox,
    pytest.mark.skipif(sys.platform != "linux", reason="wants Linux"),
]

__all__ = ["surroundings"]
TASKS = [task for task in load_tasks() if task.module != "cnn"]
FUNCTIONS = [task for task in TASKS if len(task.writes) == 1 and task.writes == task.takes]
SPOILER = """

def {name}(*args, _right={name}, **kwargs):
    result = _right(*args, **kwargs)
    _spoil()
    return result


def _spoil():
    import builtins, gc, importlib, os, random, resource, shutil, signal, sys, time, types, warnings
    import numpy

    rng = random.Random({seed})
    {deed}
"""
# Of a drawn module, drawn names are gone or do something else.
NAMES = """
    whole = rng.choice([numpy, builtins, os, sys, time, *sys.modules.values()])
    names = [n for n, v in vars(whole).items() if callable(v)]
    def strange(*args, **kwargs):
        {strange}
    for name in rng.sample(names, min(len(names), rng.choice([1, 5, 10**4]))):
        try:
            setattr(whole, name, strange) if rng.random() < 0.7 else delattr(whole, name)
        except (AttributeError, TypeError):
            pass
"""
STRANGE = ("return 0", "raise KeyError('gone')", "sys.exit()", "return args[0]")
DEEDS = [
    *(NAMES.format(strange=strange) for strange in STRANGE),
    "sys.modules.clear()",
    "for name in rng.sample(sorted(sys.modules), 200): del sys.modules[name]",
    "shutil.rmtree(os.path.dirname(__file__), ignore_errors=True)",
    "os.environ.clear(); os.chdir('/'); os.umask(0o777); sys.path.clear()",
    "resource.setrlimit(rng.choice([resource.RLIMIT_NOFILE, resource.RLIMIT_DATA]), (0, 0))",
    "os.closerange(0, 99)",
    "np.seterr(all='raise'); warnings.simplefilter('error'); sys.setrecursionlimit(99)",
    "gc.disable(); sys.setprofile(lambda *_: 1 / 0)",
    "signal.signal(signal.SIGALRM, lambda *_: 1 / 0); signal.setitimer(0, 0.01, 0.01)",
    "importlib.import_module = lambda *_: os._exit(7)",
    "for value in [v for v in gc.get_objects() if type(v) is dict][-99:]: value.clear()",
    "for value in gc.get_objects():\n"
    "        if type(value) is numpy.ndarray and value.flags.writeable: value[...] = 0",
    "time.sleep(0.1); os.kill(os.getpid(), rng.choice([signal.SIGSTOP, signal.SIGSEGV]))",
]


@pytest.mark.parametrize("seed", range(2 * len(DEEDS)))
def test_what_an_exercise_does_to_its_process_costs_no_other_one(seed, surroundings):
    rng = random.Random(seed)
    task, deed = rng.choice(FUNCTIONS), DEEDS[seed % len(DEEDS)]
    module = solution(task.module) + SPOILER.format(
        name=task.takes[0], seed=seed, deed=deed.strip()
    )
    exam = replace(read_exam(), limits=replace(LIMITS, call_seconds=2, hand_in_seconds=60))
    found = mark(HandIn("x", modules(**{task.module: module})), exam, 7, surroundings)
    lost = {e["name"] for e in found["exercises"] if e["points"] < e["maximum"]}
    assert lost - {t.name for t in exam.tasks if t.module == "cnn"} <= using(task)


def using(task):
    """Return the names of an exercise and of all that build on it, who may call it."""
    found = {task.name}
    for _ in TASKS:
        found |= {each.name for each in TASKS if found & set(each.needs)}
    return found
