"""Hand-ins that a grammar draws: right ones in strange clothes, and ones that do harm.

    python -m tests.grading.hand_ins.drawn --right 60 --hostile 60 --seed 3

marks so many. A right one gets all points; of a hostile one, the exercise that does harm and what
builds on it may lose theirs, and nothing else.
"""

# ruff: noqa: E501  # lines of hostile code

import argparse
import base64
import random
import sys
import tempfile
import textwrap
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from checks.exercises import Task, load_tasks
from grading.classroom import Result, Rules, Way, hand_ins, mark_class
from grading.exam import read_exam
from grading.report import write_reports
from grading.sandbox.limits import Limits
from grading.sandbox.surroundings import Surroundings
from tests.grading.hand_ins.catalogue import modules, solution

TASKS = [task for task in load_tasks() if task.module != "cnn"]
# Exercises that are one function each, so that it can be put in another's place.
FUNCTIONS = [task for task in TASKS if task.writes == task.takes and len(task.takes) == 1]
LIMITS = Limits(call_seconds=2, hand_in_seconds=40, cpu_seconds=20, memory_mb=1024, processes=40)


def using(task: Task) -> set[str]:
    """Return the names of an exercise and of all that build on it, who may call it."""
    found = {task.name}
    for _ in TASKS:
        found |= {each.name for each in TASKS if found & set(each.needs)}
    return found


@dataclass(frozen=True)
class Drawn:
    """A hand-in: its files, and the exercises that may lose points, and that must."""

    name: str
    files: dict[str, bytes]
    may_lose: frozenset[str] = frozenset()
    must_lose: frozenset[str] = frozenset()


# Right ones. Where state is kept, and how a function is made: {f} stands for its name.
KEPT = {
    "a global": "_calls = 0\ndef {f}(*a, _f={f}, **k):\n    global _calls\n    _calls += 1\n    return _f(*a, **k)",
    "an attribute": "def {f}(*a, _f={f}, **k):\n    {f}.calls = getattr({f}, 'calls', 0) + 1\n    return _f(*a, **k)",
    "a closure": "def _make(f):\n    seen = []\n    def {f}(*a, **k):\n        seen.append(len(seen))\n        return f(*a, **k)\n    return {f}\n{f} = _make({f})",
    "a class": "class _Calls:\n    def __init__(self, f): self.f, self.n = f, 0\n    def __call__(self, *a, **k):\n        self.n += 1\n        return self.f(*a, **k)\n{f} = _Calls({f})",
    "a default": "def {f}(*a, _f={f}, _seen={{}}, **k):\n    _seen[len(_seen)] = 1\n    return _f(*a, **k)",
    "a context variable": "import contextvars\n_var = contextvars.ContextVar('n', default=0)\ndef {f}(*a, _f={f}, **k):\n    _var.set(_var.get() + 1)\n    return _f(*a, **k)",
    "a thread's own": "import threading\n_own = threading.local()\ndef {f}(*a, _f={f}, **k):\n    _own.n = getattr(_own, 'n', 0) + 1\n    return _f(*a, **k)",
    "a file": "def {f}(*a, _f={f}, **k):\n    open('calls.txt', 'a').write('.')\n    return _f(*a, **k)",
    "a database": "import sqlite3\n_db = sqlite3.connect(':memory:', check_same_thread=False)\n_db.execute('create table calls (n)')\ndef {f}(*a, _f={f}, **k):\n    _db.execute('insert into calls values (1)')\n    return _f(*a, **k)",
    "a generator": "def _server(f):\n    result = None\n    while True:\n        a, k = yield result\n        result = f(*a, **k)\n_{f} = _server({f}); next(_{f})\ndef {f}(*a, **k): return _{f}.send((a, k))",
    "an event loop": "import asyncio\ndef {f}(*a, _f={f}, **k):\n    async def run(): return _f(*a, **k)\n    return asyncio.run(run())",
    "another thread": "from concurrent.futures import ThreadPoolExecutor\n_pool = ThreadPoolExecutor(2)\ndef {f}(*a, _f={f}, **k): return _pool.submit(_f, *a, **k).result()",
    "partial": "import functools\n{f} = functools.partial({f})",
    "a decorator": "import functools\ndef _timed(f):\n    import time\n    @functools.wraps(f)\n    def g(*a, **k):\n        start = time.perf_counter()\n        try: return f(*a, **k)\n        finally: print(time.perf_counter() - start)\n    return g\n{f} = _timed({f})",
    "a bound method": "class _Holder:\n    f = staticmethod({f})\n    def g(self, *a, **k): return self.f(*a, **k)\n{f} = _Holder().g",
    "a context manager": "import contextlib\n@contextlib.contextmanager\ndef _noted():\n    yield\ndef {f}(*a, _f={f}, **k):\n    with _noted(), np.errstate(all='ignore'): return _f(*a, **k)",
    "a retry": "def {f}(*a, _f={f}, **k):\n    for _ in range(3):\n        try: return _f(*a, **k)\n        except FloatingPointError: continue",
    "an answer of another type": "def {f}(*a, _f={f}, **k):\n    found = _f(*a, **k)\n    return found.astype(np.float64) if isinstance(found, np.ndarray) and found.dtype.kind == 'f' and found.ndim else found",
    "a subclass of arrays": "class _Array(np.ndarray): pass\ndef {f}(*a, _f={f}, **k):\n    found = _f(*a, **k)\n    return found.view(_Array) if isinstance(found, np.ndarray) and found.ndim else found",
    "columns first": "def {f}(*a, _f={f}, **k):\n    found = _f(*a, **k)\n    return np.asfortranarray(found) if isinstance(found, np.ndarray) else found",
    "read-only": "def {f}(*a, _f={f}, **k):\n    found = _f(*a, **k)\n    if isinstance(found, np.ndarray): found = found.copy(); found.flags.writeable = False\n    return found",
}  # fmt: skip
# What else a module does.
BESIDE = (
    "print('loaded', __name__, flush=True)",
    "import logging; logging.basicConfig(level=0); logging.debug('x')",
    "if __name__ == '__main__':\n    import argparse\n    argparse.ArgumentParser().parse_args()",
    "try:\n    import matplotlib.pyplot as plt\nexcept ImportError:\n    plt = None",
    "import random; random.seed(1); np.random.seed(1)",
    "np.set_printoptions(precision=2); np.seterr(all='ignore')",
    "import warnings; warnings.filterwarnings('ignore')",
    "import sys; sys.setrecursionlimit(10_000)",
    "import atexit; atexit.register(print, 'bye')",
    "import signal; signal.signal(signal.SIGINT, signal.SIG_DFL)",
    "import threading; threading.Thread(target=print, args=('x',)).start()",
    "import subprocess, sys; subprocess.run([sys.executable, '-c', 'pass'])",
    "import tempfile; _scratch = tempfile.TemporaryDirectory()",
    "import os; os.makedirs('cache', exist_ok=True); os.environ['SEEN'] = '1'",
    "import gc; gc.collect(); gc.disable()",
    "import multiprocessing\nwith multiprocessing.get_context('fork').Pool(2) as _crew: _crew.map(abs, [1])",
    "import pickle; pickle.loads(pickle.dumps(np.zeros(3)))",
    "import time; time.sleep(0.2)",
    "def __getattr__(name): raise AttributeError(name)",
    "__all__ = [n for n in dir() if not n.startswith('_')]",
    "def test_it():\n    assert True\ntest_it()",
    "import __main__; __main__.seen = True",
    "from helpers.mnist import load_mnist",
    "import socket; _socket = socket.socket()",
    "big = np.ones(10**7)",
    "import doctest; doctest.testmod()",
    "import sys; sys.stdout = open('log.txt', 'w')",
    "from typing import Protocol\nclass Shape(Protocol):\n    def area(self) -> float: ...",
    "import locale, os; locale.setlocale(locale.LC_ALL, 'C'); os.umask(0o077)",
    "import tracemalloc; tracemalloc.start()",
)  # fmt: skip
PACKED = {
    "as it is": lambda text: text.encode(),
    "BOM": lambda text: text.encode("utf-8-sig"),
    "UTF-16": lambda text: text.encode("utf-16"),
    "Windows lines": lambda text: text.replace("\n", "\r\n").encode(),
    "Latin-1": lambda text: b"# coding: latin-1\n# \xe9\n" + text.encode("ascii", "replace"),
    "exec": lambda text: f"exec({text!r})".encode(),
    "base64": lambda text: f"import base64\nexec(base64.b64decode({base64.b64encode(text.encode())!r}))".encode(),
    "in a block": lambda text: ("if True:\n" + textwrap.indent(_plain(text), "    ")).encode(),
    "comments without end": lambda text: text.encode() + b"\n# no end" * 9999,
    "form feeds": lambda text: text.replace("\n\n\n", "\n\f\n\n").encode(),
}  # fmt: skip


def _plain(text: str) -> str:
    """Return a text without strings of several lines, whose indentation would count."""
    import ast

    return ast.unparse(ast.parse(text))


def drawn_right(seed: int) -> Drawn:
    """Draw a right hand-in."""
    rng = random.Random(seed)
    texts = {name: solution(name) for name in ("mlp", "training")}
    names = []
    for task in rng.sample(FUNCTIONS, 3):
        kept = rng.choice([*KEPT])
        texts[task.module] += "\n\n" + KEPT[kept].format(f=task.takes[0]) + "\n"
        names.append(f"{task.name} in {kept}")
    for module in texts:
        beside = rng.sample(BESIDE, 3)
        texts[module] += "\n" + "\n".join(beside) + "\n"
        names += beside
    packed = {name: rng.choice([*PACKED]) for name in texts}
    files = {f"{name}.py": PACKED[packed[name]](text) for name, text in texts.items()}
    return Drawn(f"right {seed}", files | {"notes.txt": f"{names} {packed}".encode()})


# Hostile ones: when they do it, and what.
WHEN = {
    "at each call": "def {f}(*a, _f={f}, **k):\n    _harm()\n    return {result}",
    "at the second call": "_n = []\ndef {f}(*a, _f={f}, **k):\n    _n.append(1)\n    if len(_n) > 1: _harm()\n    return {result}",
    "afterwards": "import threading\ndef {f}(*a, _f={f}, **k):\n    threading.Timer(0.05, _harm).start()\n    return {result}",
    "in a child": "import os\ndef {f}(*a, _f={f}, **k):\n    if os.fork() == 0: _harm()\n    return {result}",
    "when it is forgotten": "class _Late:\n    def __del__(self): _harm()\ndef {f}(*a, _f={f}, **k):\n    late = _Late(); del late\n    return {result}",
    "when it is printed": "class _Odd(Exception):\n    def __str__(self):\n        _harm()\n        return 'odd'\n    __repr__ = __str__\ndef {f}(*a, _f={f}, **k): raise _Odd",
    "in its answer": "class _Odd:\n    @property\n    def shape(self): _harm()\n    def __array__(self, *a, **k): _harm(); return np.zeros(3)\n    def __float__(self): _harm(); return 0.0\n    def __len__(self): _harm(); return 3\ndef {f}(*a, **k): return _Odd()",
    "at the end": "import atexit\ndef {f}(*a, _f={f}, **k):\n    atexit.register(_harm)\n    return {result}",
}  # fmt: skip
HARM = (
    "while True: pass", "time.sleep(10**6)", "os._exit(0)", "os._exit(1)", "sys.exit()", "1 / 0",
    "raise KeyboardInterrupt", "raise SystemExit(3)", "raise GeneratorExit", "raise MemoryError",
    "os.kill(os.getpid(), 9)", "os.kill(0, 15)", "os.kill(-1, 9)", "os.kill(os.getppid(), 9)", "os.abort()",
    "hold.append(bytearray(1 << 31))", "while True: hold.append(bytes(1 << 20) * 8)", "hold.extend(np.ones(1 << 24) for _ in range(40))",
    "while True:\n    if os.fork() == 0: time.sleep(10**6)", "[threading.Thread(target=time.sleep, args=(999,)).start() for _ in range(500)]",
    "for n in range(10**6): open(f'f{n}', 'w').write('x' * 10**5)", "os.symlink('.', 'loop'); list(os.walk('.', followlinks=True))",
    "for n in range(3, 40):\n    try: os.write(n, b'x' * 10**6)\n    except OSError: pass",
    "for n in range(3, 40):\n    try: os.write(n, struct.pack('<II', 2**31, 2**31))\n    except OSError: pass",
    "for n in range(3, 40):\n    try: os.write(n, struct.pack('<II', 30, 0) + b'{\"dict\": [[\"id\", 1], [\"value\", 0]]}'[:30])\n    except OSError: pass",
    "for n in range(3, 40):\n    try: os.read(n, 10**6)\n    except OSError: pass",
    "for n in range(3, 40):\n    try: os.set_blocking(n, False); fcntl.lockf(n, fcntl.LOCK_EX)\n    except OSError: pass",
    "os.closerange(0, 1000)", "sys.modules.clear()", "builtins.__dict__.clear()", "np.__dict__.clear()",
    "builtins.isinstance = lambda *a: True", "builtins.len = lambda *a: 0", "type.mro = None",
    "def f(): return f()\nsys.setrecursionlimit(10**9); f()", "def f(n):\n    if n: f(n - 1)\n    raise ValueError('x' * 10**7)\nf(900)",
    "raise type('\\ud800' * 99, (Exception,), {})('\\x1b[2J\\ud800')", "raise ExceptionGroup('x', [ValueError(n) for n in range(10**4)])",
    "raise Exception(*range(10**5)) from ValueError()", "resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))", "resource.setrlimit(resource.RLIMIT_CPU, (1, 1))\nwhile True: pass",
    "signal.pthread_sigmask(0, range(1, 65))\nwhile True: pass", "signal.raise_signal(19)", "ctypes.string_at(0)", "ctypes.memset(id(0), 0, 99)",
    "ctypes.CDLL(None).reboot(0x1234567)", "shutil.rmtree('/', ignore_errors=True)", "os.chroot('.')", "os.setuid(0)",
    "os.nice(19)\nwhile True: os.sched_yield()", "subprocess.Popen(['sh', '-c', 'while true; do :; done'])", "subprocess.Popen(['sleep', '98765'], start_new_session=True)",
    "gc.get_objects()[0:0]; [o.clear() for o in gc.get_objects() if type(o) in (list, dict) and o is not hold][:0]",
    "sys.settrace(lambda *a: 1 / 0); sys.setprofile(lambda *a: 1 / 0)", "sys.stdout.close(); sys.stderr.close(); os.close(0)",
    "[setattr(o, 'process', -1) for o in gc.get_objects() if type(o).__name__ == 'Channel']",
    "[o.write(b'x' * 99) for o in gc.get_objects() if type(o).__name__ == 'Channel']",
    "[setattr(o, 'token', 0) or o.objects.clear() for o in gc.get_objects() if type(o).__name__ == 'Worker']",
    "mmap.mmap(-1, 3 << 30).write(b'x' * (3 << 30))", "socket.create_connection(('1.1.1.1', 80), 1)", "os.mkfifo('p'); open('p')",
    "input()", "os.system('kill -9 $PPID')", "faulthandler.dump_traceback_later(0.1, exit=True)", "decimal.Decimal(9) ** 10**9", "9 ** 9 ** 9", "re.match('(a+)+$', 'a' * 60 + 'b')",
)  # fmt: skip
RESULTS = ("0", "None", "np.zeros(3)", "float('nan')", "'right'", "[[]]", "{}", "np.zeros((0, 3))",
           "np.full((3, 4), None)", "type('A', (), {'__eq__': lambda *a: True})()", "(x for x in iter(int, 1))",
           "np.broadcast_to(0.0, (10**6, 10**6))", "np.array('x')", "1j", "range(10**12)", "a[0]")  # fmt: skip
HOSTILE = """

import builtins, ctypes, decimal, faulthandler, fcntl, gc, mmap, os, re, resource, shutil, signal, socket, struct, subprocess, sys, threading, time
hold = []


def _harm():
{harm}


{when}
"""


def drawn_hostile(seed: int) -> Drawn:
    """Draw a hand-in in which one exercise is wrong and does harm."""
    rng = random.Random(seed)
    task, when, harm = rng.choice(FUNCTIONS), rng.choice([*WHEN]), HARM[seed % len(HARM)]
    body = WHEN[when].format(f=task.takes[0], result=rng.choice(RESULTS))
    text = solution(task.module) + HOSTILE.format(harm=textwrap.indent(harm, "    "), when=body)
    name = f"hostile {seed}"
    files = modules(**{task.module: text}) | {"notes.txt": f"{task.name} {when}: {harm}".encode()}
    return Drawn(name, files, frozenset(using(task)), frozenset({task.name}))


# A class


def faults(students: list[Drawn], found: list[Result]) -> Iterator[str]:
    """Yield a line for each hand-in that did not get what it deserves."""
    results = {each["name"]: each for each in found}
    for student in students:
        result = results[student.name]
        lost = {e["name"] for e in result["exercises"] if e["points"] < e["maximum"]}
        kept = {e["name"] for e in result["exercises"] if e["points"] > e["maximum"] / 2}
        too_much, too_little = student.must_lose & kept, lost - student.may_lose
        if result["points"] is None or too_much or too_little:
            texts = [e["text"] for e in result["exercises"] if e["name"] in too_little][:2]
            yield f"{student.name}: lost {too_little}, got {too_much}, {result['problems']}, {texts}, {student.files['notes.txt'].decode()}"


def try_class(students: list[Drawn], limits: Limits, n_jobs: int = 2) -> list[str]:
    """Mark a class; return what went wrong."""
    exam = read_exam()
    tasks = tuple(task for task in exam.tasks if task.module != "cnn")
    rules = Rules(replace(exam, tasks=tasks, limits=limits), 5, Surroundings())
    with tempfile.TemporaryDirectory() as folder:
        for student in students:
            with zipfile.ZipFile(Path(folder, f"{student.name}.zip"), "w") as archive:
                for name, content in student.files.items():
                    archive.writestr(f"helpers/{name}", content)
        found = mark_class(hand_ins(Path(folder)), rules, Path(folder, "out"), Way(n_jobs))
        write_reports(found, rules.exam, Path(folder, "out"))
    rules.surroundings.close()
    return list(faults(students, found))


def main() -> None:
    """Mark as many as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--right", type=int, default=10)
    parser.add_argument("--hostile", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1, help="of the first; the others follow")
    options = parser.parse_args()
    first = options.seed
    right = [drawn_right(first + n) for n in range(options.right)]
    hostile = [drawn_hostile(first + n) for n in range(options.hostile)]
    wrong = try_class(right, Limits()) if right else []
    wrong += try_class([*hostile, *right[:2]], LIMITS) if hostile else []
    n = len(right) + len(hostile)
    print(*wrong, f"{n - len(wrong)} of {n} got what they deserve", sep="\n")
    sys.exit(len(wrong) > 0)


if __name__ == "__main__":
    main()
