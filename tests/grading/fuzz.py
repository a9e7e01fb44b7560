"""Inputs that a program draws: zip files, notebooks, configurations, and what a worker may answer.

    python -m tests.grading.fuzz --examples 20000 --hand-ins 200

tries many more of them than the tests do, and then marks a class in which so many hand-ins are
drawn, and some right ones sit between them.
"""

import argparse
import io
import json
import os
import random
import secrets
import sys
import tempfile
import zipfile
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from checks.exercises import FILE
from grading.answers import written_answers
from grading.archives import ALL_BYTES, MAX_FILES, opened
from grading.classroom import Rules, Way, hand_ins, mark_class
from grading.exam import read_exam
from grading.report import write_reports
from grading.sandbox import protocol
from grading.sandbox.limits import Budget, Limits
from grading.sandbox.remote import Remote, Session
from grading.sandbox.surroundings import Surroundings
from grading.sandbox.watch import Watch
from tests.grading.hand_ins.catalogue import CASES, modules, solution

# Zip files

PARTS = st.sampled_from(
    ["helpers", "mlp.py", "training.py", "cnn.py", "1.ipynb", "", ".", "..", "/", "\\", "C:", "\0",
     "__MACOSX", ".git", "é" * 130, "\U0001f393" * 80, "a" * 300, "\udcff"]
)  # fmt: skip
NAMES = st.lists(PARTS | st.text(max_size=5), max_size=5).map("/".join)
KINDS = st.sampled_from([0, 0o100644, 0o120777, 0o040755, 0o010644, 0o060644])


@st.composite
def archives(draw):
    """Draw the bytes of a zip file, most of them damaged."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in draw(st.lists(NAMES, max_size=6)):
            info = zipfile.ZipInfo("x")
            info.filename = name.encode("utf-8", "replace").decode()
            info.external_attr = draw(KINDS) << 16
            info.compress_type = draw(st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]))
            archive.writestr(info, draw(st.binary(max_size=50) | st.just(bytes(10**5))))
        archive.comment = draw(st.binary(max_size=30))
    return draw(damaged(file.getvalue()))


@st.composite
def damaged(draw, content):
    """Draw bytes that differ from `content` in a few places."""
    content = bytearray(content)
    for _ in range(draw(st.integers(0, 4))):
        place = draw(st.integers(0, len(content)))
        how = draw(st.integers(0, 3))
        if how == 0:
            content[place : place + 1] = draw(st.binary(min_size=1, max_size=1))
        elif how == 1:
            content[place : place + 4] = draw(st.sampled_from([bytes(4), b"\xff" * 4, b"PK\6\7"]))
        elif how == 2:
            del content[place : place + draw(st.integers(1, 40))]
        else:
            content[place:place] = content[: draw(st.integers(0, 200))]
    return bytes(content)


def try_archive(content):
    """A zip file, whatever is in it, is read within the bounds, and what is wrong is told."""
    found = opened(content, "ada")
    contents = [*found.modules.values(), *found.notebooks.values()]
    assert sum(map(len, contents)) <= ALL_BYTES
    assert len(contents) <= MAX_FILES
    assert all(name.isprintable() or name.encode() for name in found.problems)
    assert found.modules or found.problems
    assert found.key


# Notebooks

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
CELLS = st.fixed_dictionaries(
    {}, optional={"cell_type": st.just("markdown") | JSON, "source": JSON, "metadata": JSON}
)
NOTEBOOKS = (
    st.fixed_dictionaries({"cells": st.lists(CELLS | JSON, max_size=4) | JSON}) | JSON
).map(lambda value: json.dumps(value).encode())


def try_notebook(content):
    """Of a notebook, whatever is in it, the answers are texts."""
    for answer in written_answers({"1.ipynb": content}):
        assert all(isinstance(value, str) for value in answer.values())
        assert answer["text"].strip()


# Configurations

VALUES = st.sampled_from(
    ["0", "-1", "inf", "nan", "true", "1e300", '"x"', "[]", "{}", "'sigmoid'", "[[1]]", "2", "0.5"]
)


@st.composite
def configs(draw):
    """Draw a configuration: ours, with a few lines changed, doubled or gone."""
    lines = FILE.read_text("utf-8").splitlines()
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(lines) - 1))
        key = lines[place].partition("=")[0]
        new = [f"{key} = {draw(VALUES)}"], [], [lines[place]] * 2, [draw(st.text(max_size=9))]
        lines[place : place + 1] = draw(st.sampled_from(new))
    return "\n".join(lines)


def try_config(text):
    """A configuration is one that can be marked by, or ValueError says what is wrong with it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "c.toml")
        path.write_text(text, "utf-8", errors="replace")
        try:
            exam = read_exam(path)
        except ValueError as error:
            if str(path) not in str(error):
                raise
            return
    assert 0 < exam.maximum < float("inf")
    assert all(task.maximum > 0 for task in exam.tasks)


# What a worker may answer

NUMBERS = st.integers(-3, 300) | st.sampled_from([2**31, 2**63, -(2**63), 10**400, 1.0, True, None])
TAGS = st.one_of(
    st.fixed_dictionaries(
        {tag: st.tuples(st.sampled_from([*protocol.DTYPES, "|O", "<U9", ""]),
                        st.lists(NUMBERS, max_size=9), NUMBERS, NUMBERS).map(list) | JSON}
    )
    for tag in ("array", "tensor", "bytes", "dtype", "scalar", "tuple", "dict", "other", "plain")
)  # fmt: skip
MESSAGES = st.recursive(
    JSON | TAGS,
    lambda inner: st.lists(inner, max_size=3)
    | st.fixed_dictionaries({"tuple": st.lists(inner, max_size=3)})
    | st.fixed_dictionaries({"other": st.fixed_dictionaries({"dict": st.just([])})})
    | st.lists(
        st.tuples(
            st.sampled_from(["id", "value", "error", "ask", "spy", "method", "args", "result",
                             "changed", "spies", "object", "type", "callable", "frames"]),
            inner | st.just(1),
        ).map(list), max_size=5,
    ).map(lambda pairs: {"dict": pairs}),
    max_leaves=12,
)  # fmt: skip


@st.composite
def frames(draw):
    """Draw a frame with the right lengths, and what stands in it anything."""
    answers = st.tuples(st.sampled_from(["value", "error"]), MESSAGES).map(
        lambda pair: {"dict": [["id", 1], [*pair]]}
    )
    header = json.dumps(draw(MESSAGES | answers)).encode()
    header = draw(st.just(header) | damaged(header))
    body = draw(st.binary(max_size=64))
    prefix = protocol.PREFIX.pack(len(header), len(body))
    return draw(st.just(prefix + header + body) | damaged(prefix + header + body))


@contextmanager
def talking(content):
    """Give a session whose worker says `content`, whatever it is asked, and then hangs up."""
    source, theirs = os.pipe()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    waiting = [content[: 1 << 16]]

    def answer(_):
        while waiting:
            os.write(theirs, waiting.pop())
            os.close(theirs)

    process = SimpleNamespace(
        source=source, target=nowhere, group=None, family=list, close=lambda: None, queues=[],
        exit_status=lambda: "0", cpu_seconds=lambda: 0.0, is_too_large=lambda limits: False,
    )  # fmt: skip
    session = Session.__new__(Session)
    session.__dict__.update(
        process=process, watch=Watch(process, Limits(), Budget(60, 1)), limits=Limits(),
        budget=Budget(60, 1), failure=None, is_fresh=True, received=0,
        largest=protocol.MAX_ANSWER, adapters={}, unread=bytearray(), _write=answer,
    )  # fmt: skip
    try:
        yield session
    finally:
        answer(b"")
        os.close(source)
        os.close(nowhere)


def try_answer(content):
    """Whatever a worker says, a call gives a value or an error that a check can show."""
    before, secrets.randbits = secrets.randbits, lambda _: 1
    frame = protocol.pack({"id": 1, "value": {"result": 1.0, "changed": {}, "spies": {}}})
    try:
        for said in (content, content + frame):
            for use in (lambda f: f(np.zeros(3)), lambda f: f.W1, lambda f: setattr(f, "b1", 0.0)):
                with talking(said) as session:
                    try:
                        use(Remote(session, 0))
                    except Exception as error:
                        is_told = hasattr(error, "frames") and isinstance(str(error), str)
                        if not is_told:
                            raise
    finally:
        secrets.randbits = before


def try_frame(content):
    """What arrives is a message of bounded size, or a ProtocolError."""
    try:
        header, body = protocol.lengths(content[:8].ljust(8, b"\0"))
        protocol.unpack(content[8 : 8 + header], content[8 + header :][:body], lambda value: value)
    except protocol.ProtocolError:
        return


TRIES = {
    "archives": (archives(), try_archive),
    "notebooks": (NOTEBOOKS, try_notebook),
    "configs": (configs(), try_config),
    "frames": (frames(), try_frame),
    "answers": (frames(), try_answer),
}


def try_many(name, n_examples):
    """Try so many drawn inputs. Raises what went wrong, with the smallest input that does it."""
    inputs, check = TRIES[name]
    quiet = settings(
        max_examples=n_examples, deadline=None, database=None, suppress_health_check=HealthCheck
    )
    quiet(given(inputs)(check))()


# A class


def drawn_module(rng):
    """Return a module: a hostile one or the solution, with some of its lines mixed up."""
    texts = [case.files["mlp.py"] for case in CASES if "mlp.py" in case.files]
    lines = rng.choice([*texts, solution("mlp").encode()]).splitlines()
    for _ in range(rng.randrange(6)):
        a, b = rng.randrange(len(lines) + 1), rng.randrange(len(lines) + 1)
        lines[a:a] = rng.choice([lines[b : b + 3], [rng.randbytes(9)], [b"x = 1" + lines[b % 9]]])
        del lines[b : b + rng.randrange(3)]
    return b"\n".join(lines)


def write_class(folder, n, rng):
    """Write `n` drawn hand-ins and, between them, right ones; return how many of these."""
    for number in range(n):
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w") as archive:
            archive.writestr("helpers/mlp.py", drawn_module(rng))
            archive.writestr("notebooks/1.ipynb", rng.choice([b"{}", b"[]", b'{"cells": [1]}']))
        damage = bytearray(content.getvalue())
        if rng.random() < 0.3:
            damage[rng.randrange(len(damage))] = rng.randrange(256)
        (folder / f"drawn {number}.zip").write_bytes(damage)
    for number in range(n_right := max(2, n // 10)):
        with zipfile.ZipFile(folder / f"right {number}.zip", "w") as archive:
            for name, text in modules().items():
                archive.writestr(f"helpers/{name}", text)
    return n_right


def try_class(n, seed, tasks=("sigmoid", "softmax")):
    """Mark a class of `n` drawn hand-ins; the right ones between them must get all points."""
    exam = read_exam()
    limits = Limits(call_seconds=1, hand_in_seconds=8, memory_mb=512, processes=40)
    kept = tuple(task for task in exam.tasks if task.name in tasks)
    rules = Rules(replace(exam, tasks=kept, limits=limits), seed, Surroundings())
    with tempfile.TemporaryDirectory() as folder:
        inside, out = Path(folder, "class"), Path(folder, "out")
        inside.mkdir()
        n_right = write_class(inside, n, random.Random(seed))
        found = mark_class(hand_ins(inside), rules, out / "results", Way(2))
        write_reports(found, rules.exam, out)
        assert len(list((out / "students").iterdir())) == len(found) == n + n_right
    rules.surroundings.close()
    points = {each["name"]: each["points"] for each in found}
    assert [points[f"right {k}"] for k in range(n_right)] == n_right * [rules.exam.maximum]
    return sum(value is None for value in points.values())


def main():
    """Try as many as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=2000, help="of each kind")
    parser.add_argument("--hand-ins", type=int, default=20, help="drawn ones in a class")
    parser.add_argument("--seed", type=int, default=secrets.randbits(30), help="of the class")
    options = parser.parse_args()
    for name in TRIES:
        try_many(name, options.examples)
        print(f"{options.examples} {name}: nothing wrong", flush=True)
    n_by_hand = try_class(options.hand_ins, options.seed)
    print(
        f"{options.hand_ins} hand-ins drawn with seed {options.seed}: {n_by_hand} to look at by "
        "hand, all right ones between them with all points"
    )


if __name__ == "__main__":
    sys.exit(main())
