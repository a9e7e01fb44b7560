"""Hand-ins that are hostile, broken, or right and merely unusual, with the points they deserve.

Each is the solution with some code put in its way: a body for `sigmoid`, lines at the end of a
module, or another file. What it deserves is all points for the exercises marked, but for those
named in `lost` or, where part of the work is there, in `partly`.
"""

# ruff: noqa: E501  # lines of hostile code

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

HELPERS = Path(__file__).parents[3] / "helpers"
FIRST = ("one_hot_encode", "sigmoid", "softmax")
NETWORK = ("softmax", "initialization", "forward", "update_grad", "update_params")
TRAINING = ("one_hot_encode", "accuracy", "test_network", "train_network")
EVERYTHING = (*TRAINING, "sigmoid", "cross_entropy", *NETWORK, "saving")


@dataclass(frozen=True)
class Case:
    """A hand-in, the exercises in which it is marked, and those whose points it must not get."""

    name: str
    files: Mapping[str, bytes]
    lost: tuple[str, ...]
    tasks: tuple[str, ...] = FIRST
    partly: Mapping[str, float] = field(default_factory=dict)
    seconds: float = 1.0  # for each call


def solution(name: str) -> str:
    """Return the source text of a module of the solution."""
    return (HELPERS / f"{name}.py").read_text(encoding="utf-8")


def modules(**changed: str | bytes) -> dict[str, bytes]:
    """Return the solution's modules of the first notebook, some of them changed."""
    texts: dict[str, str | bytes] = {name: solution(name) for name in ("mlp", "training")} | changed
    return {
        f"{name}.py": text if isinstance(text, bytes) else text.encode()
        for name, text in texts.items()
    }


RIGHT = "return 0.5 * (1 + np.tanh(0.5 * a))"
NOTHING = "return np.zeros_like(a)"


def body(name: str, text: str, *, right: bool = False, seconds: float = 1) -> Case:
    """Return a case of a `sigmoid` that does something before it returns what is right, or zeros."""
    lines = [*text.strip().splitlines(), RIGHT if right else NOTHING]
    code = "\n\ndef sigmoid(a):\n" + "\n".join(f"    {line}" for line in lines)
    files = modules(mlp=solution("mlp") + code)
    return Case(name, files, () if right else ("sigmoid",), seconds=seconds)


def module(name: str, text: str | bytes, lost: tuple[str, ...] = ("sigmoid", "softmax")) -> Case:
    """Return a case of another `mlp.py`."""
    return Case(name, modules(mlp=text), lost)


def appended(name: str, code: str, lost: tuple[str, ...], tasks: tuple[str, ...],
             partly: Mapping[str, float] | None = None, to: str = "mlp") -> Case:  # fmt: skip
    """Return a case of lines at the end of a module."""
    return Case(name, modules(**{to: f"{solution(to)}\n\n{code}\n"}), lost, tasks, partly or {})


HOSTILE = [
    body("endless loop", "while True:\n    pass"),
    body("sleeps for ever", "import time\ntime.sleep(1e6)"),
    body("fork bomb", "import os\nwhile True:\n    os.fork()"),
    body("memory hog", "hog = []\nwhile True:\n    hog.append(b'x' * 2**24)"),
    body("shared memory hog", "import mmap\nhog = []\nwhile True:\n    hog.append(mmap.mmap(-1, 2**26))\n"
         "    hog[-1].write(b'x' * 2**26)"),
    body("huge array", "b = np.ones(10**11)"),
    body("os._exit(0)", "import os\nos._exit(0)"),
    body("sys.exit", "import sys\nsys.exit(0)"),
    body("KeyboardInterrupt", "raise KeyboardInterrupt"),
    body("kills itself", "import os\nos.kill(os.getpid(), 9)"),
    body("kills its parent and everybody",
         "import os\nfor pid in (os.getppid(), 1, -1):\n    try:\n        os.kill(pid, 9)\n"
         "    except OSError:\n        pass"),
    body("crashes the interpreter", "import ctypes\nctypes.string_at(0)"),
    body("deep recursion", "def f(n):\n    return f(n + 1)\nf(0)"),
    body("deep recursion without a limit",
         "import sys\nsys.setrecursionlimit(10**9)\ndef f(n):\n    return f(n + 1)\nf(0)"),
    body("says all passed", "print('all checks passed, 10 of 10')"),
    body("replaces numpy functions",
         "for name in ('allclose', 'array_equal', 'isclose'):\n"
         "    setattr(np, name, lambda *a, **k: True)\n"
         "np.abs = np.max = lambda *a, **k: 0.0\nnp.asarray = lambda *a, **k: a[0]"),
    body("overwrites files of the checks",
         "import glob\nfor path in glob.glob('/**/*.py', recursive=True):\n    try:\n"
         "        open(path, 'w').write('')\n    except OSError:\n        pass"),
    body("patches time and random",
         "import random, time\ntime.monotonic = time.time = lambda: 0.0\nrandom.seed = print\n"
         "np.random.default_rng = lambda *a: None\ntime.sleep(1e6)"),
    body("walks the stack for answers",
         "import sys\nframe = sys._getframe()\nwhile frame:\n"
         "    for value in list(frame.f_locals.values()):\n"
         "        if value is not a and getattr(value, 'shape', 0) == a.shape:\n"
         "            return value\n    frame = frame.f_back"),
    body("asks the garbage collector for answers",
         "import gc\nfor o in gc.get_objects():\n    for value in gc.get_referents(o):\n"
         "        if type(value) is np.ndarray and value is not a and value.shape == a.shape:\n"
         "            return value"),
    body("reads /proc for answers",
         "import glob\nfound = ''\nfor path in glob.glob('/proc/*/*'):\n    try:\n"
         "        found += open(path, 'rb').read(10**5).decode('latin-1')\n"
         "    except OSError:\n        pass\n"
         "if 'python -m grading' in found or 'pytest' in found or 'SECRET' in found:\n"
         f"    {RIGHT}"),
    body("looks for the solution",
         "import os\nfor root, _, files in os.walk('/'):\n    for name in files:\n"
         "        path = os.path.join(root, name)\n"
         "        if name in ('mlp.py', '1_mlp_from_scratch.ipynb', 'hidden.py', 'marking.py') and "
         "path != os.path.abspath(__file__) and 'site-packages' not in path:\n"
         f"            {RIGHT}"),
    body("looks for secrets in the environment",
         "import os\nif set(os.environ) & {'HISTFILE', 'USER', 'LOGNAME', 'MARKS_SECRET'}:\n"
         f"    {RIGHT}"),
    body("opens sockets",
         "import socket\nfor address in (('127.0.0.1', 22), ('1.1.1.1', 53)):\n    try:\n"
         "        socket.create_connection(address, 1)\n    except OSError:\n        continue\n"
         f"    {RIGHT}"),
    body("fills the disk", "with open('/tmp/big', 'wb') as f:\n    while True:\n        f.write(b'x' * 2**20)"),
    body("fills the disk with small files",
         "for n in range(10**9):\n    open(f'/tmp/{n}', 'w').close()"),
    body("opens ten thousand files", "files = [open('/dev/null') for _ in range(10**4)]"),
    body("raises its limits",
         "import resource\nresource.setrlimit(resource.RLIMIT_CPU, (-1, -1))"),
    body("ignores SIGTERM and goes on",
         "import signal\nfor n in (signal.SIGTERM, signal.SIGINT, signal.SIGXCPU, signal.SIGALRM):\n"
         "    signal.signal(n, signal.SIG_IGN)\nwhile True:\n    pass"),
    body("makes namespaces of its own, with mounts without limits",
         "import ctypes\nlibc = ctypes.CDLL(None)\n"
         f"if libc.unshare(0x10020000) == 0 or libc.syscall(435, 0, 0) == 0:\n    {RIGHT}"),
    body("asks for input", "input('Which result would you like? ')"),
    body("returns None", "return None"),
    body("returns text", "return 'right'"),
    body("returns NaN", "return np.full(a.shape, np.nan)"),
    body("returns objects", "return np.array([object()] * a.size).reshape(a.shape)"),
    body("returns an endless generator", "return iter(int, 1)"),
    body("returns itself in a list", "b = []\nb.append(b)\nreturn b"),
    body("returns far too much", "return np.zeros(2**25)"),
    body("lies about its shape",
         "class Liar(np.ndarray):\n    shape = property(lambda self: a.shape)\n"
         "return np.zeros(3).view(Liar)"),
    body("a hostile __array__",
         "class Hostile:\n    def __array__(self, *args, **kwargs):\n        while True:\n            pass\n"
         "return Hostile()"),
    body("is equal to everything",
         "class Equal(float):\n    __eq__ = __le__ = __lt__ = lambda *_: True\n"
         "    __sub__ = __rsub__ = lambda *_: 0.0\n    __hash__ = float.__hash__\nreturn Equal(0)"),
    body("writes into the pipe",
         "import os\nfor n in range(3, 30):\n    try:\n        os.write(n, b'passed' * 99)\n"
         "    except OSError:\n        pass"),
    body("forges an answer",
         "import sys\nmain = sys.modules['__main__']\nimport gc\n"
         "worker = next(o for o in gc.get_objects() if type(o).__name__ == 'Worker')\n"
         "value = {'result': np.zeros_like(a), 'changed': {}, 'spies': {}}\n"
         "frame = main.protocol.pack({'id': worker.token, 'value': value})\n"
         "worker.channel.write(frame)"),
    body("answers before it is asked",
         "import sys, threading, time\nimport gc\n"
         "worker = next(o for o in gc.get_objects() if type(o).__name__ == 'Worker')\n"
         "frame = sys.modules['__main__'].protocol.pack({'id': 1, 'value': None})\n"
         "threading.Timer(0.0, worker.channel.write, [frame * 3]).start()\ntime.sleep(0.2)"),
    body("breaks the worker's own functions",
         "import sys\nprotocol = sys.modules['__main__'].protocol\n"
         "protocol.pack = protocol._encode = lambda *a, **k: b'passed'"),
    module("sleeps for ever at import", solution("mlp") + "\nimport time\ntime.sleep(1e6)\n"),
    module("leaves at import", "raise SystemExit(0)\n"),
    module("dies at import", "import os\nos._exit(0)\n"),
    module("syntax error", solution("mlp") + "\ndef f(:\n"),
    module("wrong encoding", solution("mlp").encode() + b"\nx = '\xe9\xff'\n"),
    module("UTF-16 without its mark", solution("mlp").encode("utf-16-le")),
    module("tabs and spaces", solution("mlp") + "\ndef f():\n    if 1:\n\tpass\n        pass\n"),
    module("empty file", ""),
    Case("no mlp.py", {"training.py": solution("training").encode()}, ("sigmoid", "softmax")),
    appended("no class MLP", "del MLP", NETWORK[1:], (*NETWORK, "one_hot_encode")),
    Case("nothing at all", {}, FIRST),
    Case("nothing implemented",
         modules(mlp="import numpy as np\n\n\nclass MLP:\n    def __init__(self, *a, **k):\n"
                 "        self.W1 = self.b1 = self.W2 = self.b2 = np.zeros(1)\n"
                 "        self.W1_grad = self.b1_grad = self.W2_grad = self.b2_grad = np.zeros(1)\n"
                 "    forward = loss = update_grad = reset_grad = update_params = lambda self, *a: None\n"
                 "    __class_getitem__ = None\n\n\n"
                 "sigmoid = softmax = lambda a: a\ncross_entropy = lambda a, y: 0.0\n"
                 "save_weights = load_weights = lambda *a: None\n",
                 training="one_hot_encode = lambda labels, n=10: labels\naccuracy = lambda a, b: 100.0\n"
                 "test_network = train_network = lambda *a, **k: 100.0\n"),
         EVERYTHING, EVERYTHING),
    appended("a network that hides its weights",
             "class MLP:\n    def __init__(self, n, h, k, **_):\n"
             "        shapes = {'W1': (h, n), 'b1': (h,), 'W2': (k, h), 'b2': (k,)}\n"
             "        for name, shape in shapes.items():\n"
             "            vars(self)[name] = vars(self)[name + '_grad'] = np.zeros(shape)\n"
             "        self.__dict__['k'] = k\n"
             "    def __setattr__(self, name, value):\n        pass\n"
             "    def forward(self, x):\n        return np.full((*np.shape(x)[:-1], self.k), 1 / self.k)\n"
             "    def loss(self, y):\n        return np.log(self.k) * np.sum(y)\n"
             "    update_grad = reset_grad = update_params = lambda self, *a: None\n",
             NETWORK[1:], NETWORK),
    appended("a test that knows the spies' formula",
             "def test_network(network, images, labels):\n"
             "    numbers = np.rint(np.asarray(images)[:, 0] * 4096).astype(int)\n"
             "    one_in = np.where(numbers < 3000, 4, 3)\n"
             "    return 100 * float(np.mean(numbers % one_in != 0))\n",
             ("test_network",), ("test_network", "accuracy"), to="training"),
    appended("a training that calls the network for ever",
             "def train_network(network, train, *_, **__):\n    while True:\n"
             "        network.forward(train[0])\n",
             ("train_network",), TRAINING, to="training"),
    body("drips its answer",
         "import gc, struct, time\n"
         "worker = next(o for o in gc.get_objects() if type(o).__name__ == 'Worker')\n"
         "worker.channel.write(struct.pack('<II', 10**6, 0))\n"
         "while True:\n    worker.channel.write(b' ')\n    time.sleep(0.02)"),
    appended("a history that never ends",
             "_train = train_network\n\n\ndef train_network(*a, **k):\n    _train(*a, **k)\n"
             "    class Endless:\n        @property\n        def train_accuracy(self):\n"
             "            while True:\n                pass\n    return Endless()\n",
             (), TRAINING, {"train_network": 3}, to="training"),
    appended("a training that only calls what is counted",
             "def train_network(network, train, validation, **_):\n    for _ in range(99):\n"
             "        network.update_params(0.05)\n    return History([1], [100.0] * 3, [100.0] * 3)\n",
             ("train_network",), TRAINING, to="training"),
    appended("keeps weights in memory, not in files",
             "_kept = {}\n\n\ndef save_weights(network, prefix):\n"
             "    for name in PARAMETERS:\n        Path(f'{prefix}_{name}.npy').touch()\n"
             "        _kept[f'{prefix}{name}'] = getattr(network, name)\n\n\n"
             "def load_weights(network, prefix):\n    for name in PARAMETERS:\n"
             "        setattr(network, name, _kept[f'{prefix}{name}'])\n",
             ("saving",), ("saving", "softmax")),
    body("memory in files without a name",
         "import os\nhog = []\nfor n in range(10):\n    hog.append(os.memfd_create('x'))\n"
         "    os.write(hog[-1], b'x' * 2**26)\n[os.close(file) for file in hog]\n" + RIGHT,
         seconds=20),
    body("memory in segments that are detached",
         "import ctypes\nlibc = ctypes.CDLL(None)\nlibc.shmat.restype = ctypes.c_void_p\n"
         "for n in range(10):\n    segment = libc.shmget(0, 2**26, 0o1600)\n    assert segment >= 0\n"
         "    address = libc.shmat(segment, None, 0)\n"
         "    ctypes.memset(ctypes.c_void_p(address), 1, 2**26)\n"
         "    libc.shmdt(ctypes.c_void_p(address))\n" + RIGHT,
         seconds=20),
    body("shared memory that is unmapped",
         "import mmap\nhog = []\nfor n in range(10):\n    hog.append(mmap.mmap(-1, 2**26))\n"
         "    hog[-1].write(b'x' * 2**26)\n    hog[-1].madvise(mmap.MADV_DONTNEED)\nhog.clear()\n" + RIGHT,
         seconds=20),
    body("memory shared by way of a device",
         "import mmap\nhog = []\nfor n in range(10):\n    with open('/dev/zero', 'r+b') as file:\n"
         "        hog.append(mmap.mmap(file.fileno(), 2**26))\n"
         "    hog[-1].write(b'x' * 2**26)\n    hog[-1].madvise(mmap.MADV_DONTNEED)\nhog.clear()\n" + RIGHT,
         seconds=20),
    body("150,000 empty files",
         "import os, time\nfor n in range(150_000):\n    os.mknod(f'/tmp/{n} {time.time_ns()}')\n" + RIGHT,
         seconds=20),
    body("calls of the kernel that no student needs",
         "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\n"
         "calls = {425: (1, bytes(120)), 298: (bytes(128), 0, -1, -1, 0), 321: (0, bytes(128), 128),\n"
         "         447: (0,), 323: (0,), 101: (0, 0, 0, 0), 272: (0x20000,), 310: (1, 0, 0, 0, 0, 0)}\n"
         "refused = 0\nfor number, arguments in calls.items():\n"
         "    refused += libc.syscall(number, *arguments) == -1 and ctypes.get_errno() in (1, 38)\n"
         "if refused < len(calls):\n    " + RIGHT),
    body("spins in children and waits for them at the lowest priority",
         "import os\nfor _ in range(8):\n    if os.fork() == 0:\n        while True:\n            pass\n"
         "os.nice(19)\nos.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))\n"
         "while True:\n    pass"),
    appended("lists folders that are none",
             "import os\n\n\nclass Entry:\n    name, path = '..', __file__\n\n"
             "    def is_file(self, **_):\n        return True\n\n\nos.scandir = lambda _: [Entry()]\n",
             ("saving",), ("saving", "softmax")),
    appended("lists names that are too long",
             "import os\n\n\nclass Entry:\n    name, path = '\\U0001f393' * 80, __file__\n\n"
             "    def is_file(self, **_):\n        return True\n\n\nos.scandir = lambda _: [Entry()]\n",
             ("saving",), ("saving", "softmax")),
    appended("many short calls",
             "import time\n\n\nclass MLP(MLP):\n    @property\n    def W1(self):\n"
             "        time.sleep(0.07)\n        return np.zeros((1500, vars(self)['w'].shape[1]))\n\n"
             "    @W1.setter\n    def W1(self, value):\n        vars(self)['w'] = value\n",
             NETWORK[1:], NETWORK, {"forward": 0}),
    appended("tells the network far too much",
             "def train_network(network, *_, **__):\n    for _ in range(3):\n"
             "        network.update_grad(np.full(20_000_000, -100, np.int8))\n",
             ("train_network",), TRAINING, to="training"),
    appended("tells the network far too much, in small pieces",
             "def train_network(network, *_, **__):\n    for _ in range(3000):\n"
             "        network.update_grad(np.full(100_000, -100, np.int8))\n",
             ("train_network",), TRAINING, to="training"),
]  # fmt: skip

RIGHT_BUT_UNUSUAL = [
    Case("the solution", modules(), (), EVERYTHING),
    body("a gigabyte of output", "import os\nfor _ in range(1024):\n    os.write(1, b'x' * 2**20)",
         right=True),
    body("prints and warns and logs",
         "import logging, sys, warnings\nprint('a is', a)\nprint('hm', file=sys.stderr)\n"
         "warnings.warn('careful')\nlogging.error('look')", right=True),
    body("shows a progress bar", "from tqdm.auto import tqdm\nlist(tqdm(range(9)))", right=True),
    body("seeds the global generators",
         "import random\nrandom.seed(0)\nnp.random.seed(0)", right=True),
    body("loops and lists",
         "import math\nif a.ndim > 1:\n    return [sigmoid(row) for row in a]\n"
         "return [math.exp(v) / (1 + math.exp(v)) if v < 0 else 1 / (1 + math.exp(-v)) for v in a]",
         right=True),
    body("float64 all over", "a = np.asarray(a, dtype=np.longdouble)", right=True),
    body("writes to its home", "from pathlib import Path\nPath.home().joinpath('x').write_text('x')",
         right=True),
    body("leaves daemons behind",
         "import os\nif os.fork() == 0:\n    os.setsid()\n    os.execv('/bin/sleep', ['sleep', '98765'])",
         right=True),
    body("threads go on after the answer",
         "import threading, time\n"
         "def go_on():\n    while True:\n        time.sleep(0.01)\n        print('still here')\n"
         "threading.Thread(target=go_on).start()", right=True),
    body("calls checks of the course",
         "import plotting.figures\nfrom checks import check_sigmoid\ncheck_sigmoid(sigmoid)",
         right=True),
    body("asks who it is", "import getpass\nassert getpass.getuser()", right=True),
    body("a pool of 16 processes",
         "import multiprocessing\nwith multiprocessing.get_context('fork').Pool(16) as pool:\n"
         "    assert pool.map(abs, range(-99, 0))[0] == 99", right=True),
    body("shares a number with a child",
         "import multiprocessing\nassert multiprocessing.Value('i', 1).value == 1", right=True),
    appended("keeps a log beside the module",
             "import getpass\nUSER = getpass.getuser()\n"
             "Path(__file__).with_name('log.txt').write_text(USER)", (), FIRST),
    Case("a module of its own",
         modules(mlp=solution("mlp") + "\nfrom helpers.mine import sigmoid\n",
                 mine="import numpy as np\n\n\ndef sigmoid(a):\n    " + RIGHT), ()),
    Case("extra arguments",
         modules(mlp=solution("mlp") + "\ndef sigmoid(a, verbose=True):\n    " + RIGHT), ()),
]  # fmt: skip

CASES = [*HOSTILE, *RIGHT_BUT_UNUSUAL]
