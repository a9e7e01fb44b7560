"""Whatever a course system lets one download is read as what each student handed in."""

import io
import json
import os
import random
import re
import shutil
import subprocess
import sys
import zipfile
from datetime import datetime

import pytest

from grading import __main__ as command
from grading import archives
from grading.collect import ABOUT, collect, find_submissions, read_collected
from grading.collect.people import Person, Roster
from tests.grading.downloads import (
    SYSTEMS,
    draw_class,
    draw_download,
    tarred,
    write_download,
    wrong,
    zipped,
)
from tests.grading.test_archives import read_hand_in

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="marking wants Linux")
OWN = {"moodle": "id", "canvas": "id", "gradescope": "id", "github": "login", "folders": "name"}


def modules_in(path):
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name.startswith("helpers/")]
        return {name.partition("/")[2]: archive.read(name) for name in names}


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("seed", range(8))
def test_every_download_is_read_as_what_was_handed_in(system, seed, tmp_path):
    rng = random.Random(f"{system} {seed}")
    students, download = draw_download(rng, system, rng.choice([2, 3, 6]))
    path = write_download(rng, download, tmp_path)
    is_told = sum(student.is_readable for student in students) < 2 or rng.random() < 0.3
    collect(path, tmp_path / "out", system if is_told else "auto")
    found = read_collected(tmp_path / "out")
    assert len(found) == len(students)
    for student in students:
        own = OWN[system]
        (mine,) = (p for p, r in found.items() if r["person"][own] == getattr(student, own))
        assert wrong(student, system, found[mine], modules_in(mine)) == []


def test_collecting_one_again_changes_that_one_alone(tmp_path):
    rng = random.Random(5)
    _, download = draw_download(rng, "moodle", 5)
    path, out = write_download(rng, download, tmp_path / "a"), tmp_path / "out"
    collect(path, out)
    before = {path: path.read_bytes() for path in out.iterdir()}
    one = next(iter(download)).partition("_assign")[0]
    new = tmp_path / "b" / f"{one}_assignsubmission_file" / "mlp.py"
    new.parent.mkdir(parents=True)
    new.write_text("new = 1")
    (record,) = collect(new.parents[1], out)
    changed = [path for path in out.iterdir() if before.get(path) != path.read_bytes()]
    assert [path.stem for path in changed] == [record["key"]]
    assert set(before) == set(out.iterdir())
    assert modules_in(changed[0]) == {"mlp.py": b"new = 1"}


def test_a_group_of_gradescope_is_a_row_for_each(tmp_path):
    (tmp_path / "submission_7" / "helpers").mkdir(parents=True)
    (tmp_path / "submission_7" / "helpers" / "mlp.py").write_text("x = 1")
    people = "".join(f"  - :name: {name}\n    :sid: '{n}'\n" for n, name in enumerate(["A", "B"]))
    head = "---\nsubmission_7:\n  :created_at: 2026-10-03 21:07:42.402 Z\n  :submitters:\n"
    (tmp_path / "submission_metadata.yml").write_text(head + people)
    found = collect(tmp_path, tmp_path / "out")
    assert [each["person"]["name"] for each in found] == ["A", "B"]
    assert all(each["submitted"].startswith("2026-10-03T") for each in found)


# When it was handed in


def git(folder, *words, when="2026-12-01T10:00:00+01:00"):
    who = {f"GIT_{w}_{k}": v for w in ("AUTHOR", "COMMITTER") for k, v in
           {"NAME": "a", "EMAIL": "a@b.org", "DATE": when}.items()}  # fmt: skip
    subprocess.run(["git", *words], cwd=folder, env=os.environ | who, check=True, timeout=60)


@pytest.mark.skipif(not shutil.which("git"), reason="git is not installed")
@pytest.mark.parametrize("form", ["loose", "packed", "detached", "hostile", "none"])
def test_a_clone_tells_when_its_last_commit_was_made(tmp_path, form, capfd):
    for n, login in enumerate(["ada", "bob"], start=1):
        folder = tmp_path / "class" / f"digits-{login}"
        (folder / "helpers").mkdir(parents=True)
        git(folder, "init", "--quiet")
        for day in range(n * (form != "none")):
            (folder / "helpers" / "mlp.py").write_text(f"x = {day}")
            git(folder, "add", "--all")
            git(folder, "commit", "--quiet", "-m", "x", when=f"2026-12-0{day + 1}T10:00:00+01:00")
        if form == "packed":
            git(folder, "gc", "--quiet")
        if form == "detached":
            git(folder, "checkout", "--quiet", "--detach")
        if form == "hostile":
            evil = f"!touch {tmp_path}/harm; touch {tmp_path}/harm"
            settings = {"core.fsmonitor": evil, "alias.show": evil, "core.pager": evil,
                        "log.showSignature": "true", "gpg.program": evil}  # fmt: skip
            for key, value in settings.items():
                git(folder, "config", key, value)
    found = {s.people[0].login: s.submitted for s in find_submissions(tmp_path / "class")}
    days = {"ada": "", "bob": ""} if form == "none" else {"ada": "01", "bob": "02"}
    assert found == {k: v and f"2026-12-{v}T10:00:00+01:00" for k, v in days.items()}
    assert not (tmp_path / "harm").exists()
    assert "--from github" in capfd.readouterr().err


def test_the_worksheet_of_moodle_is_a_roster_that_tells_times(tmp_path):
    head = "Identifier,Full name,Email address,Status,Last modified (submission)\n"
    rows = ['Participant 7,Jane Doe,j@b.org,Submitted,"Tuesday, 1 December 2026, 10:11 PM"',
            "Participant 8,Jane Doe,k@b.org,No submission,-"]  # fmt: skip
    (tmp_path / "w.csv").write_text(head + "\n".join(rows))
    roster = Roster(tmp_path / "w.csv")
    jane, when = roster.completed(Person("Jane Doe", "7"))
    assert (jane.email, jane.id) == ("j@b.org", "7")
    assert datetime.fromisoformat(when).replace(tzinfo=None) == datetime(2026, 12, 1, 22, 11)
    assert datetime.fromisoformat(when).tzinfo
    assert roster.completed(Person("Jane Doe", "8"))[1] == ""
    (tmp_path / "w.csv").write_text("name,submitted\na,yesterday\n")
    with pytest.raises(ValueError, match="submitted is 'yesterday'; wanted a date like 2026"):
        Roster(tmp_path / "w.csv")


# The list of the course


@pytest.mark.parametrize("seed", range(20))
def test_the_roster_finds_everybody_and_tells_who_is_missing(seed, tmp_path):
    rng = random.Random(seed)
    students = draw_class(rng, 9)
    headings = {
        "id": lambda s: s.id, "login": lambda s: s.login, "email": lambda s: s.email,
        "name": lambda s: s.name, "Matrikel": lambda s: f"M{s.id}",
    }  # fmt: skip
    kept = ["name", *rng.sample([h for h in headings if h != "name"], 3)]
    mark, comma = rng.choice(["", "\ufeff"]), rng.choice(",;\t")
    rows = [kept, *([headings[h](s) for h in kept] for s in students)]
    (tmp_path / "roster.csv").write_text(mark + "\n".join(map(comma.join, rows)), "utf-8")
    roster = Roster(tmp_path / "roster.csv")
    there = []
    for student in students[2:]:
        words = student.name.split()
        turned = ", ".join([words[-1], " ".join(words[:-1])]) if words[1:] else student.name
        name = rng.choice([student.name, turned, student.name.lower().replace(" ", "")])
        told = {"id": student.id, "login": student.login, "email": student.email}
        known = {key: value for key, value in told.items() if key in kept and rng.random() < 0.5}
        there.append(Person(name=name, **known))
        person, _ = roster.completed(there[-1])
        assert person.name == student.name
        assert all(getattr(person, key) == told[key] for key in kept if key in told)
    assert roster.without(there) == [student.name for student in students[:2]]


# All limits hold for archives in archives too


def nested(content, depth):
    for _ in range(depth):
        target = io.BytesIO()
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("x.zip", content)
        content = target.getvalue()
    return content


@pytest.mark.parametrize("depth", [1, 2, 3, 4, 40])
def test_archives_in_each_other_have_an_end(tmp_path, depth):
    inner = zipped({"helpers/mlp.py": b"x = 1"}, random.Random(0))
    (tmp_path / "a.zip").write_bytes(nested(inner, depth))
    hand_in = read_hand_in(tmp_path / "a.zip")
    assert bool(hand_in.modules) == (depth <= archives.MAX_DEPTH)
    assert bool(hand_in.problems) == (depth > archives.MAX_DEPTH)


def test_bombs_in_archives_do_not_go_off(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "ARCHIVE_BYTES", 1 << 20)
    monkeypatch.setattr(archives, "FILE_BYTES", 1 << 16)
    rng = random.Random(0)
    bomb, right = {"helpers/mlp.py": bytes(1 << 24)}, {"helpers/cnn.py": b"x"}
    for name, files in {
        "zip.zip": {"a.zip": zipped(bomb, rng)} | right,
        "tar.zip": {"a.tar.gz": tarred(bomb, rng)} | right,
        "large.zip": {"a.zip": bytes(1 << 21)} | right,
    }.items():
        with zipfile.ZipFile(tmp_path / name, "w", zipfile.ZIP_DEFLATED) as archive:
            for inner, content in files.items():
                archive.writestr(inner, content)
        hand_in = read_hand_in(tmp_path / name)
        assert hand_in.modules == {"cnn.py": b"x"}, name
        assert hand_in.problems, name
    (tmp_path / "b.tar.gz").write_bytes(tarred(bomb, rng))
    assert "more than 1 MB" in read_hand_in(tmp_path / "b.tar.gz").problems[0]


def test_many_archives_count_as_files(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MAX_ENTRIES", 50)
    empty = zipped({}, random.Random(1))
    inner = zipped({f"{n}.zip": empty for n in range(20)}, random.Random(1))
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for n in range(20):
            archive.writestr(f"{n}.zip", inner)
    assert "too many files" in read_hand_in(tmp_path / "a.zip").problems[0]


def test_links_in_tar_archives_are_left_out(tmp_path):
    import tarfile

    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        for name, kind in {"mlp.py": tarfile.SYMTYPE, "cnn.py": tarfile.LNKTYPE}.items():
            info = tarfile.TarInfo(f"helpers/{name}")
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
    hand_in = read_hand_in(tmp_path / "a.tar.gz")
    assert (hand_in.modules, len(hand_in.problems)) == ({}, 3)


@pytest.mark.parametrize("seed", range(30))
def test_damage_is_told_and_never_raised(seed, tmp_path):
    rng = random.Random(seed)
    inside = {"helpers/mlp.py": rng.randbytes(3000), "helpers/cnn.py": b"x"}
    make = rng.choice([zipped, tarred])
    content = bytearray(make({"a.zip": zipped(inside, rng)} if seed % 2 else inside, rng))
    for _ in range(rng.randint(1, 4)):
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    (tmp_path / "a.zip").write_bytes(content[: rng.randint(len(content) // 2, len(content))])
    hand_in = read_hand_in(tmp_path / "a.zip")
    assert hand_in.problems or set(hand_in.modules) == {"mlp.py", "cnn.py"}


def test_one_damaged_notebook_costs_no_module(tmp_path):
    content = zipped(
        {"notebooks/1.ipynb": b"{" * 5000, "helpers/mlp.py": b"x = 1"}, random.Random(2)
    )
    start = content.index(b"1.ipynb") + 12
    (tmp_path / "a.zip").write_bytes(content[:start] + bytes(6) + content[start + 6 :])
    hand_in = read_hand_in(tmp_path / "a.zip")
    assert hand_in.modules == {"mlp.py": b"x = 1"}
    assert "1.ipynb was left out" in hand_in.problems[0]


def test_functions_are_kept_beside_the_hand_in(tmp_path):
    text = "\r\n\r\nclass MLP:\r\n    def forward(self, x):\r\n        return x\r\n"
    (tmp_path / "ada.zip").write_bytes(zipped({"helpers/mlp.py": text.encode()}, random.Random(0)))
    collect(tmp_path / "ada.zip", tmp_path / "out")
    (path,) = read_collected(tmp_path / "out")
    with zipfile.ZipFile(path) as archive:
        about = json.loads(archive.read(ABOUT))
    lines = "    def forward(self, x):\n        return x"
    assert about["source"] == {"mlp.MLP.forward": [4, lines]}


def test_what_a_system_does_not_give_is_told(tmp_path):
    (tmp_path / "ada").mkdir()
    (tmp_path / "ada" / "x.zip").write_bytes(b"")
    (tmp_path / "bob").mkdir()
    with pytest.raises(ValueError, match="nothing that moodle names so"):
        find_submissions(tmp_path, "moodle")


def test_one_of_the_roster_who_came_under_two_names_is_told(tmp_path, capsys):
    (tmp_path / "roster.csv").write_text("name,id\nDora Maar,104\nAda Byron,105\n", "utf-8")
    for folder in ("first/Dora Maar_104_assignsubmission_file", "second/Dora Maar"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "essay.pdf").write_bytes(b"%PDF")
    given = ["--roster", str(tmp_path / "roster.csv"), "--out", str(tmp_path / "m"), "--unsafe"]
    command.main([str(tmp_path / "first"), "--from", "moodle", *given])
    assert "twice" not in capsys.readouterr().out
    command.main([str(tmp_path / "second"), "--from", "folders", *given])
    assert re.search("twice.*: Dora Maar\n", capsys.readouterr().out)
