"""Made-up downloads: what course systems give, drawn by chance from a grammar of layouts.

Names come from many scripts, and each student packs in a way of their own. The names of files are
made as the systems make them, so this file says once more what grading/collect/systems.py reads.
"""

import gzip
import io
import json
import random
import re
import struct
import tarfile
import unicodedata
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

SYSTEMS = ("folders", "moodle", "canvas", "gradescope", "github")
WORDS = (  # noqa: SIM905
    "Ada Noël Zoë Søren Łukasz Ivan O'Brien Jean-Luc Müller Nguyễn Ωμέγα Σωκράτης Иван Петрова "
    "学生 王小明 さくら 山田 김민준 محمد עדה देवी กมล José Anne-Marie x1 de la Ωρ"
).split()
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
NOISE = {
    "__MACOSX/._mlp.py": b"\0\5\x16\7", ".DS_Store": b"\0", "README.md": b"# Mine",
    ".git/config": b"[core]", "data/images.gz": b"\x1f\x8b", "old/mlp.py": b"old = True",
    "Thumbs.db": b"\0", "figures/a.png": b"\x89PNG", "helpers/__pycache__/mlp.cpython-311.pyc": b"",
    "notebooks/.ipynb_checkpoints/1-checkpoint.ipynb": b"{}",
}  # fmt: skip


@dataclass
class Student:
    """Somebody of a class, and what must be found of them."""

    name: str
    id: str
    login: str
    late: bool
    modules: dict[str, bytes] = field(default_factory=dict)
    is_readable: bool = True

    @property
    def email(self) -> str:
        return f"{self.login}@example.org"


def draw_class(rng: random.Random, n: int) -> list[Student]:
    """Draw students with different names, ids and logins."""
    names: dict[str, str] = {}
    while len(names) < n:
        name = " ".join(rng.sample(WORDS, rng.randint(1, 3)))
        names.setdefault(unicodedata.normalize("NFKC", name).casefold(), name)
    ids = rng.sample(range(100, 10**6), n)
    return [
        Student(name, str(number), _login(rng, number), rng.random() < 0.3)
        for name, number in zip(names.values(), ids, strict=True)
    ]


def _login(rng: random.Random, number: int) -> str:
    return "".join(rng.choices(LETTERS, k=6)) + rng.choice(["", "-"]) + f"q{number}"


# What a student packs.


def draw_files(rng: random.Random, student: Student) -> dict[str, bytes]:
    """Draw the files of a hand-in by path; `student` learns what must be found."""
    texts = {"mlp.py": f"WHOSE = {student.id!r}\n\n\ndef sigmoid(a):\n    return a\n"}
    if rng.random() < 0.7:
        texts["training.py"] = "import math\n"
    if rng.random() < 0.3:
        texts["cnn.py"] = "import torch\n"
    if rng.random() < 0.3:
        texts["mine.py"] = "from helpers.mlp import sigmoid\n"
    files = {}
    for name, text in texts.items():
        content = (text.replace("\n", "\r\n") if rng.random() < 0.3 else text).encode()
        student.modules[name] = content
        if rng.random() < 0.1:
            student.modules[name] = content = text.encode()
            content = text.encode(rng.choice(["utf-16", "utf-32"]))
        files[f"helpers/{name}"] = content
    if rng.random() < 0.7:
        files["notebooks/1_mlp_from_scratch.ipynb"] = json.dumps({"cells": []}).encode()
    for name in rng.sample(sorted(NOISE), rng.randint(0, 4)):
        files[name] = NOISE[name]
    if rng.random() < 0.2:  # flat, without folders
        files = {
            n.rpartition("/")[2]: c for n, c in files.items() if not n.startswith(("_", "old"))
        }
    return files


def deeper(rng: random.Random, files: dict[str, bytes]) -> dict[str, bytes]:
    prefix = rng.choice(
        ["", "", "digits-by-hand/", "a/b/digits/", "Übung 1/", "学生/", "mlp.py.d/"]
    )
    return {f"{prefix}{name}": content for name, content in files.items()}


def zipped(files: dict[str, bytes], rng: random.Random) -> bytes:
    """Return a zip file, perhaps with Windows names, entries of folders, or the end of zip64."""
    target, windows = io.BytesIO(), rng.random() < 0.15
    with zipfile.ZipFile(target, "w", rng.choice([zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED])) as a:
        if rng.random() < 0.3:
            for folder in sorted({f"{name.rpartition('/')[0]}/" for name in files if "/" in name}):
                a.writestr(zipfile.ZipInfo(folder), b"")
        for name, content in files.items():
            info = zipfile.ZipInfo("x")
            info.filename = name.replace("/", "\\") if windows else name
            a.writestr(info, content, a.compression)
    content = target.getvalue()
    return with_large_end(content) if rng.random() < 0.15 else content


def with_large_end(content: bytes) -> bytes:
    """Return a zip file whose end is written as zip64 writes it, all small fields full."""
    start = content.rindex(b"PK\5\6")
    count, size, offset = struct.unpack_from("<HLL", content, start + 10)
    large = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, size, offset)
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, start, 1)
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, *[0xFFFF] * 2, *[0xFFFFFFFF] * 2, 0)
    return content[:start] + large + locator + end


def tarred(files: dict[str, bytes], rng: random.Random) -> bytes:
    target = io.BytesIO()
    form = rng.choice([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
    with tarfile.open(fileobj=target, mode="w", format=form) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return gzip.compress(target.getvalue())


def draw_packed(rng: random.Random, student: Student) -> dict[str, bytes]:
    """Draw what a student uploads: files by name, most often a single archive."""
    files = deeper(rng, draw_files(rng, student))
    kind = rng.choice(["zip", "zip", "zip", "tar.gz", "tgz", "zip in zip", "zip in folder", "none"])
    if rng.random() < 0.06:
        student.modules, student.is_readable = {}, False
        return {"essay.pdf": b"%PDF-1.4"} if rng.random() < 0.5 else {"x.zip": b"PK\3\4 broken"}
    if kind in ("tar.gz", "tgz"):
        return {f"work.{kind}": tarred(files, rng)}
    if kind == "zip in zip":
        return {"outer.zip": zipped(deeper(rng, {"inner.zip": zipped(files, rng)}), rng)}
    if kind == "zip in folder":
        return {"submission/work.zip": zipped(files, rng)}
    return files if kind == "none" else {"work.zip": zipped(files, rng)}


# What a system makes of it.


def moodle(rng: random.Random, students: list[Student]) -> dict[str, bytes]:
    """Folders of Moodle, new or old, or all in one folder, with texts that were typed as well."""
    form, typed = rng.choice(["folder", "folder_", "flat"]), rng.random() < 0.3
    download = {}
    for student in students:
        start = f"{student.name.replace('_', ' ')}_{student.id}_assignsubmission_"
        if typed:
            download[f"{start}onlinetext/onlinetext.html"] = b"<p>See my file."
        for name, content in uploads(rng, student, one_folder=form == "flat").items():
            joint = {"folder": "file/", "folder_": "file_/", "flat": "file_"}[form]
            download[f"{start}{joint}{name}"] = content
    return download


def uploads(rng: random.Random, student: Student, one_folder: bool) -> dict[str, bytes]:
    """Draw what a student uploads, without folders where the system knows none."""
    found = draw_packed(rng, student)
    if not one_folder or not any("/" in name for name in found):
        return found
    loose = {n: c for n, c in found.items() if re.search(r"(^|/)helpers/\w+\.py$", n)}
    loose |= {n: c for n, c in found.items() if n.count("/") == 1 and n.endswith(".zip")}
    return {n.rpartition("/")[2]: c for n, c in (loose or found).items()}


def canvas(rng: random.Random, students: list[Student]) -> dict[str, bytes]:
    """Loose files of Canvas, whose names tell of a later upload and of being late."""
    download, number = {}, rng.randint(1000, 9000)
    for student in students:
        who = "".join(c for c in student.name.lower() if unicodedata.category(c)[0] in "LMN")
        start = f"{who}_LATE_{student.id}" if student.late else f"{who}_{student.id}"
        again = rng.choice(["", "", "-1", "-12"])
        for name, content in uploads(rng, student, one_folder=True).items():
            number += rng.randint(1, 50)
            stem, dot, ending = name.rpartition(".")
            if again and rng.random() < 0.5:
                download[f"{start}_{number - 1}_{name}"] = b"WHOSE = 'an older file'\n"
            download[f"{start}_{number}_{stem}{again}{dot}{ending}"] = content
    return download


def gradescope(rng: random.Random, students: list[Student]) -> dict[str, bytes]:
    """Folders with numbers, and a file that tells whose they are."""
    download, lines = {}, []
    for number, student in enumerate(rng.sample(students, len(students)), rng.randint(10, 10**8)):
        for name, content in draw_packed(rng, student).items():
            download[f"submission_{number}/{name}"] = content
        name = json.dumps(student.name)
        lines += [f"submission_{number}:", "  :submitters:", f"  - :name: {name}",
                  f"    :sid: '{student.id}'", f"    :email: {student.email}",
                  "  :created_at: 2026-10-03 21:07:42.402716000 Z", "  :score: 0.0",
                  "  :status: processed", "  :history: []"]  # fmt: skip
    return download | {"submission_metadata.yml": "\n".join(["---", *lines, ""]).encode()}


def github(rng: random.Random, students: list[Student]) -> dict[str, bytes]:
    """Repositories, each with its history."""
    prefix = rng.choice(["digits-", "cs-101-digits-by-hand-"])
    download = {}
    for student in students:
        for name, content in draw_packed(rng, student).items():
            download[f"{prefix}{student.login}/{name}"] = content
        download[f"{prefix}{student.login}/.git/HEAD"] = b"ref: refs/heads/main"
    return download


def folders(rng: random.Random, students: list[Student]) -> dict[str, bytes]:
    """A folder or an archive for each."""
    download = {}
    for student in students:
        found = draw_packed(rng, student)
        (name, content), *more = found.items()
        if not more and "/" not in name and rng.random() < 0.7:
            ending = "".join(re.findall(r"(\.tar\.gz|\.\w+)$", name))
            download[f"{student.name}{ending}"] = content
        else:
            download |= {f"{student.name}/{name}": content for name, content in found.items()}
    return download


def draw_download(
    rng: random.Random, system: str, n: int
) -> tuple[list[Student], dict[str, bytes]]:
    """Draw a class, and what its system lets one download, by path."""
    students = draw_class(rng, n)
    return students, globals()[system](rng, students)


def write_download(rng: random.Random, download: dict[str, bytes], folder: Path) -> Path:
    """Write a download as a folder or zip file, perhaps in a folder; return its path."""
    around = rng.choice(["", "assignment_77_export/", "submissions/"])
    form = rng.choice(["folder", "zip", "zip in folder"])
    if form == "folder":
        for name, content in download.items():
            path = folder / "download" / around / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return folder / "download"
    target = folder / "download" if form == "zip in folder" else folder
    target.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(target / "submissions.zip", "w") as archive:
        for name, content in download.items():
            archive.writestr(f"{around}{name}", content)
    return target if form == "zip in folder" else target / "submissions.zip"


def wrong(student: Student, system: str, record: dict, modules: dict[str, bytes]) -> list[str]:
    """Return what was found wrongly of a student."""
    person = record["person"]
    told = {
        "moodle": {"name": student.name, "id": student.id},
        "canvas": {"id": student.id},
        "gradescope": {"name": student.name, "id": student.id, "email": student.email},
        "github": {"login": student.login},
        "folders": {"name": student.name},
    }[system]
    found = {key: person[key] for key in told}
    late = student.late and system == "canvas"
    pairs = [(found, told), (record["late"], late), (modules, student.modules)]
    pairs += [(record["is_readable"], student.is_readable)]
    return [f"{a!r} is not {b!r}" for a, b in pairs if a != b]
