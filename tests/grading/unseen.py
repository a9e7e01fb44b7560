"""Hand-ins that look for the solution, by drawn ways to find it and to read it, in several layouts.

    python -m tests.grading.unseen --ways 40

draws so many for each layout: a project below /usr/src, one among the libraries of the system, and
one whose folder is that of its Python environment. The folders are made in a mount namespace, which
only root may have, and nothing outside is touched. Each way is tried without a sandbox as well:
only one that gets all points there counts as a way.
"""

# ruff: noqa: E501  # lines of hostile code

import argparse
import random
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from grading.archives import HandIn
from grading.canary import require_hidden
from grading.exam import read_exam
from grading.marking import mark
from grading.sandbox import bubblewrap
from grading.sandbox.limits import Limits
from grading.sandbox.surroundings import Surroundings
from tests.grading.hand_ins.catalogue import modules, solution

ROOT = Path(__file__).parents[2]
TASKS = ("sigmoid", "softmax")
LIMITS = Limits(call_seconds=30, hand_in_seconds=120)
# Each gives a folder that may be the project, or one above it.
FIND = {
    "it is known": "yield {root!r}",
    "by a link": "os.symlink({root!r}, 'way'); yield os.path.abspath('way')",
    "by a descriptor": "yield '/proc/self/fd/%d' % os.open({root!r}, os.O_PATH)",
    "by the way up from Python": "yield from map(str, Path(sys.prefix).parents); yield sys.prefix",
    "by the way up from NumPy": "yield from map(str, Path(np.__file__).parents)",
    "with dots from NumPy": "yield from (os.path.dirname(np.__file__) + n * '/..' for n in range(9))",
    "by the path of modules": "for path in sys.path: yield from map(str, Path(path).parents)",
    "by packages": "yield from Path(np.__file__).parents[1].glob('*digits*.pth')\n"
        "for file in Path(np.__file__).parents[1].glob('*digits*/direct_url.json'):\n"
        "    yield file.read_text().split('file://')[1].split('\"')[0]",
    "by other processes": "yield from (f'/proc/{{n}}/{{kind}}' for n in os.listdir('/proc') for kind in ('cwd', 'root{root}'))",
    "by commands of processes": "for n in filter(str.isdigit, os.listdir('/proc')):\n"
        "    for word in Path(f'/proc/{{n}}/cmdline').read_text().split(chr(0)):\n"
        "        yield from map(str, Path(word).parents)",
    "by mounts": "for line in open('/proc/self/mountinfo'):\n"
        "    for word in line.split()[3:5]:\n"
        "        yield from map(str, [Path(word), *Path(word).parents])",
    "by mapped libraries": "for line in open('/proc/self/maps'):\n"
        "    yield from map(str, Path('/' + line.partition('/')[2].strip()).parents)",
    "by looking into all folders": "for where, folders, names in os.walk({top!r}):\n"
        "    folders[:] = [n for n in folders if n in {rooms} or not os.path.exists(where + '/README.md')]\n"
        "    if 'mlp.py' in names: yield os.path.dirname(where)",
    "by a pattern": "yield from (p[:-15] for n in range(4) for p in glob.glob({top!r} + n * '/*' + '/helpers/mlp.py'))",
    "by a program": "yield from (p[:-15] for p in subprocess.run(['find', {top!r}, '-maxdepth', '4', '-path', '*helpers/mlp.py'], stdout=-1, text=True).stdout.split(chr(10)))",
    "from the folder's list": "yield from (e.path for e in os.scandir(os.path.dirname({root!r})))",
}  # fmt: skip
# Each gives the bytes of the file `path`.
READ = {
    "open": "return open(path, 'rb').read()",
    "os.open": "return os.read(os.open(path, os.O_RDONLY), 1 << 20)",
    "by a path alone": "return open('/proc/self/fd/%d' % os.open(path, os.O_PATH), 'rb').read()",
    "by its folder": "folder = os.open(os.path.dirname(path), os.O_RDONLY)\n"
        "return os.read(os.open(os.path.basename(path), os.O_RDONLY, dir_fd=folder), 1 << 20)",
    "mmap": "return mmap.mmap(os.open(path, os.O_RDONLY), 0, prot=mmap.PROT_READ)[:]",
    "NumPy": "return np.fromfile(path, np.uint8).tobytes()",
    "a mapped array": "return bytes(np.memmap(path, np.uint8, 'r'))",
    "cat": "return subprocess.run(['cat', path], stdout=-1, check=True).stdout",
    "a shell": "return subprocess.run('dd < ' + path, shell=True, stdout=-1, check=True).stdout",
    "another Python": "return subprocess.run([sys.executable, '-c', 'print(open(%r).read())' % path], stdout=-1, check=True).stdout",
    "linecache": "return ''.join(linecache.getlines(path)).encode()",
    "a loader": "return importlib.machinery.SourceFileLoader('x', path).get_data(path)",
    "runpy": "globals().update(runpy.run_path(path)); return b''",
    "importing": "sys.path.insert(0, os.path.dirname(path))\n"
        "globals().update(vars(importlib.import_module(Path(path).stem))); return b''",
    "copying": "return Path(shutil.copy(path, 'copy.py')).read_bytes()",
    "a hard link": "os.link(path, 'way.py'); return Path('way.py').read_bytes()",
    "sendfile": "source, target = os.open(path, os.O_RDONLY), os.open('sent', os.O_RDWR | os.O_CREAT)\n"
        "os.sendfile(target, source, 0, 1 << 20); return Path('sent').read_bytes()",
    "C": "c = ctypes.CDLL(None); c.fopen.restype = ctypes.c_void_p; buffer = ctypes.create_string_buffer(1 << 20)\n"
        "file = ctypes.c_void_p(c.fopen(path.encode(), b'r')); assert file\n"
        "length = c.fread(buffer, 1, 1 << 20, file); return buffer.raw[:length]",
    "a child": "source, target = os.pipe()\n"
        "if os.fork() == 0:\n    try: os.write(target, open(path, 'rb').read())\n    finally: os._exit(0)\n"
        "os.close(target); return b''.join(iter(lambda: os.read(source, 1 << 16), b''))",
    "an archive": "with tarfile.open('way.tar', 'w') as archive: archive.add(path, 'x')\n"
        "return tarfile.open('way.tar').extractfile('x').read()",
}  # fmt: skip
MODULE = """
from __future__ import annotations
import ast, ctypes, glob, importlib.machinery, linecache, mmap, os, runpy, shutil, subprocess, sys, tarfile
import numpy as np
from pathlib import Path


def folders():
{find}


def read(path):
{read}


for folder in folders():
    try:
        tree = ast.parse(read(str(folder) + {file!r}))
        tree.body = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
        exec(compile(tree, "", "exec", annotations.compiler_flag), globals())
        if "softmax" in globals(): break
    except Exception:
        continue
"""
ROOMS = ("helpers", "checks", "tests", "notebooks")
FILES = ("/helpers/mlp.py", "/tests/checks/student/plain.py")


def drawn(seed: int) -> Iterator[tuple[str, str]]:
    """Yield, for ever, ways by name, each with a module that has no other content."""
    rng = random.Random(seed)
    while True:
        find, read, file = rng.choice([*FIND]), rng.choice([*READ]), rng.choice(FILES)
        parts = {
            "find": FIND[find].format(root=str(ROOT), top=str(ROOT.parent), rooms=ROOMS),
            "read": READ[read],
        }
        text = {name: textwrap.indent(part, "    ") for name, part in parts.items()}
        yield f"{find}, {read}, {file}", MODULE.format(**text, file=file)


def points(module: str, surroundings: Surroundings) -> float:
    """Return the points of a hand-in with this mlp.py."""
    exam = read_exam()
    tasks = tuple(task for task in exam.tasks if task.name in TASKS)
    exam = replace(exam, tasks=tasks, limits=LIMITS)
    found: float = mark(HandIn("x", modules(mlp=module)), exam, 7, surroundings)["points"]
    return found


def try_ways(n: int, seed: int, *, canary: bool = True) -> tuple[int, list[str]]:
    """Try `n` ways that lead to the solution without a sandbox.

    Return how many were drawn for that, and those that lead there in the sandbox as well.
    """
    inside, outside = Surroundings(), Surroundings(sandboxed=False)
    if canary:
        require_hidden(inside)
    assert points(solution("mlp"), inside) > 0
    found, n_ways = [], 0
    for n_drawn, (name, module) in enumerate(drawn(seed), start=1):
        if points(module, outside) > 0:
            n_ways += 1
            found += [name] if points(module, inside) > 0 else []
        if n_ways == n or n_drawn == 10 * n:
            inside.close()
            return n_ways, found


# Layouts


def unneeded() -> Path:
    """Return a folder of the system among libraries that holds none itself."""
    folders = (path for path in sorted(Path("/usr/lib").iterdir()) if path.is_dir())
    return next(
        path for path in folders if not any(path.rglob("*.so*")) and "python" not in path.name
    )


def layouts() -> dict[str, tuple[Path, str]]:
    """Return, by name, where the project lies then, and the commands of a shell that bring it there."""
    venv = Path(sys.prefix)
    apart = "for room in checks grading helpers machine notebooks playground plotting tests figures; do mkdir $0/$room; mount --bind $1/$room $0/$room; done"
    own = f"mkdir $0/bin $0/lib; mount --bind {venv}/bin $0/bin; mount --bind {venv}/lib $0/lib; cp {venv}/pyvenv.cfg $0"
    as_usual = f"mkdir $0/.venv; mount --bind {venv} $0/.venv"
    above = "mount -t tmpfs tmpfs $(dirname $0) && mkdir -p $0 && "
    return {
        "below /usr/src": (Path("/usr/src/app"), f"{above}{apart}; {as_usual}"),
        "among libraries": (unneeded() / "app", f"{above}{apart}; {as_usual}"),
        "with the environment's folder": (Path("/opt/app"), f"{above}{apart}; {own}"),
    }


def why_no_layouts() -> str:
    """Return why no folder can be made for a moment, "" if it can."""
    command = ["unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/opt"]
    try:
        told = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        return f"only root may have a mount namespace ({error})"
    return told.stderr and f"only root may have a mount namespace ({told.stderr.strip()})"


def try_layout(name: str, n: int, seed: int, options: str = "") -> str:
    """Try `n` ways where the project lies elsewhere; return what came of it, in a line.

    Raises AssertionError if the solution was read.
    """
    root, commands = layouts()[name]
    prefix = root if "environment" in name else root / ".venv"
    python = f"cd $0 && exec {prefix}/bin/python -m tests.grading.unseen --here {options}"
    python += f" --ways {n} --seed {seed}"
    command = ["unshare", "--mount", "sh", "-c", f"{commands}; {python}", str(root), str(ROOT)]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    if told.returncode:
        raise AssertionError(f"{name} ({root}): {told.stdout}{told.stderr}")
    return f"{name}: {told.stdout.strip()}"


def main() -> None:
    """Try as many as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ways", type=int, default=10, help="in each layout")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--here", action="store_true", help="where the project lies now, only")
    parser.add_argument("--seen", action="store_true", help="with nothing hidden, to prove itself")
    options = parser.parse_args()
    if options.seen:
        bubblewrap._masks = lambda *_: []
    n_ways, found = try_ways(options.ways, options.seed, canary=not options.seen)
    print(
        f"{ROOT}, Python in {sys.prefix}: {n_ways - len(found)} of {n_ways} ways saw nothing",
        *found,
        sep="\n",
        flush=True,
    )
    if options.here:
        sys.exit(len(found) > 0 or n_ways < options.ways)
    for name in layouts():
        print(why_no_layouts() or try_layout(name, options.ways, options.seed), flush=True)


if __name__ == "__main__":
    main()
