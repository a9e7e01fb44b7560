"""Whatever is handed in, reading it is safe, and the student is told what is wrong."""

import os
import stat
import struct
import sys
import zipfile
from pathlib import Path

import pytest

from grading import archives
from grading.archives import fetch, find_hand_ins, opened, read_name

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="marking wants Linux")


def zipped(path, files, **kinds):
    """Write a zip file; `kinds` are the Unix modes of some of its entries."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = kinds.get(name, 0o644) << 16
            archive.writestr(info, content)
    return path


def read_hand_in(path):
    return opened(fetch(path), read_name(path))


@pytest.mark.parametrize("prefix", ["", "ada/", "a/b/c/", "Aufgabe 1\\", "学生🎓/"])
def test_modules_and_notebooks_are_found_at_any_depth(tmp_path, prefix):
    files = {f"{prefix}helpers/mlp.py": b"x = 1", f"{prefix}notebooks/1.ipynb": b"{}"}
    files |= {f"{prefix}helpers/mine.py": b"", f"{prefix}data/big.bin": b"0" * 1000}
    hand_in = read_hand_in(zipped(tmp_path / "ada.zip", files))
    assert (hand_in.name, hand_in.problems) == ("ada", [])
    assert hand_in.modules == {"mlp.py": b"x = 1", "mine.py": b""}
    assert hand_in.notebooks == {"1.ipynb": b"{}"}


def test_a_folder_reads_like_a_zip(tmp_path):
    (tmp_path / "ada" / "helpers").mkdir(parents=True)
    (tmp_path / "ada" / "helpers" / "mlp.py").write_bytes(b"x = 1")
    zipped(tmp_path / "bob.zip", {"helpers/mlp.py": b"x = 1"})
    folder, archive = (read_hand_in(path) for path in find_hand_ins(tmp_path))
    assert folder.key == archive.key
    assert find_hand_ins(tmp_path / "ada") == [tmp_path / "ada"]


def test_the_module_in_helpers_is_taken_not_an_old_one(tmp_path):
    files = {"a/old/mlp.py": b"old", "a/helpers/mlp.py": b"new", "a/x/helpers/mlp.py": b"deep"}
    assert read_hand_in(zipped(tmp_path / "a.zip", files)).modules == {"mlp.py": b"new"}


def test_loose_modules_count_where_there_are_no_others(tmp_path):
    path = zipped(tmp_path / "a.zip", {"mine/mlp.py": b"1", "__MACOSX/helpers/._mlp.py": b"?"})
    assert read_hand_in(path).modules == {"mlp.py": b"1"}


@pytest.mark.parametrize(
    "name", ["../helpers/mlp.py", "a/../../helpers/mlp.py", "/helpers/mlp.py", "C:/helpers/mlp.py",
             "..\\helpers\\mlp.py", f"helpers/{300 * 'a'}.py", f"helpers/{100 * '学'}.py"],
)  # fmt: skip
def test_paths_that_lead_out_or_fit_nowhere_are_left_out(tmp_path, name):
    hand_in = read_hand_in(zipped(tmp_path / "a.zip", {name: b"x", "b/training.py": b"y"}))
    assert hand_in.modules == {"training.py": b"y"}
    assert "left out" in hand_in.problems[0]


def test_links_are_left_out(tmp_path):
    links = {"helpers/mlp.py": stat.S_IFLNK | 0o777}
    path = zipped(tmp_path / "a.zip", {"helpers/mlp.py": b"/etc/passwd"}, **links)
    (tmp_path / "b" / "helpers").mkdir(parents=True)
    (tmp_path / "b" / "helpers" / "mlp.py").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "b" / "helpers" / "training.py")
    (tmp_path / "c").symlink_to(tmp_path / "b")
    for hand_in in map(read_hand_in, (path, tmp_path / "b", tmp_path / "c")):
        assert hand_in.modules == {}
        assert "link" in hand_in.problems[0]


def test_bombs_do_not_go_off(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "FILE_BYTES", 1 << 16)
    bomb = zipped(tmp_path / "a.zip", {"helpers/mlp.py": bytes(1 << 20), "helpers/cnn.py": b"x"})
    hand_in = read_hand_in(bomb)
    assert hand_in.modules == {"cnn.py": b"x"}
    assert "mlp.py was left out: it has more than" in hand_in.problems[0]
    monkeypatch.setattr(archives, "ALL_BYTES", 1 << 17)
    many = {f"helpers/m{n}.py": bytes(1 << 15) for n in range(9)}
    hand_in = read_hand_in(zipped(tmp_path / "b.zip", many))
    assert "too large" in hand_in.problems[0]
    assert sum(map(len, hand_in.modules.values())) <= archives.ALL_BYTES


def test_other_compressions_are_left_out(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("helpers/mlp.py", bytes(1 << 20))
    assert read_hand_in(tmp_path / "a.zip").modules == {}


def test_a_million_files_are_not_even_listed(tmp_path, monkeypatch):
    path = zipped(tmp_path / "a.zip", {f"{n}": b"" for n in range(archives.MAX_ENTRIES + 1)})
    monkeypatch.setattr(zipfile, "ZipFile", None)
    assert "more than 5000 files" in read_hand_in(path).problems[0]
    folder = tmp_path / "b"
    folder.mkdir()
    monkeypatch.setattr(archives, "MAX_ENTRIES", 10)
    for n in range(11):
        (folder / f"{n}").touch()
    assert "more than 10 files" in read_hand_in(folder).problems[0]


def test_what_is_no_zip_is_told(tmp_path):
    good = zipped(tmp_path / "good.zip", {"helpers/mlp.py": os.urandom(5000)}).read_bytes()
    for name, content in {
        "empty": b"", "text": b"hello" * 99, "cut": good[:3000],
        "torn": good[:60] + bytes(2000) + good[2060:],
        "end": b"PK\5\6" + struct.pack("<HHHHLLH", 0, 0, 9, 9, 99, 99, 0),
    }.items():  # fmt: skip
        (tmp_path / f"{name}.zip").write_bytes(content)
        hand_in = read_hand_in(tmp_path / f"{name}.zip")
        assert (hand_in.modules, bool(hand_in.problems)) == ({}, True), name


def test_names_in_any_script_and_odd_bytes(tmp_path):
    names = ["Ωμέγα 学生.zip", "=cmd()|.zip", "<script>.zip", "a\nb.zip", "é.zip"]
    for name in names:
        zipped(tmp_path / name, {"helpers/mlp.py": b""})
    zipped(Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe.zip")), {"helpers/mlp.py": b""})
    found = [read_hand_in(path).name for path in find_hand_ins(tmp_path)]
    assert len(set(found)) == len(names) + 1
    assert all(name.isprintable() and name.encode() for name in found)


# Archives that want to keep the reader busy


def test_an_entry_without_a_name_is_passed_over(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        info = zipfile.ZipInfo("x")
        info.filename = ""
        archive.writestr(info, b"")
        archive.writestr("helpers/mlp.py", b"x = 1")
    assert read_hand_in(tmp_path / "a.zip").modules == {"mlp.py": b"x = 1"}


def test_of_many_files_that_want_to_be_the_same_one_is_read(tmp_path, monkeypatch):
    depths = {f"{'a/' * n}helpers/mlp.py": bytes(1 << 20) for n in range(100, 0, -1)}
    path = zipped(tmp_path / "a.zip", depths)
    n_bytes, read = [], zipfile.ZipExtFile.read

    def counted(self, n=-1):
        found = read(self, n)
        n_bytes.append(len(found))
        return found

    monkeypatch.setattr(zipfile.ZipExtFile, "read", counted)
    assert read_hand_in(path).modules == {"mlp.py": bytes(1 << 20)}
    assert sum(n_bytes) == 1 << 20


def test_a_large_list_is_found_where_a_large_archive_hides_it(tmp_path, monkeypatch):
    path = zipped(tmp_path / "a.zip", {"helpers/mlp.py": b"x"})
    content = path.read_bytes()
    start = content.rindex(archives.END)
    _, size, offset = struct.unpack_from("<HLL", content, start + 10)
    large = struct.pack("<4sQ2H2L4Q", archives.LARGE_END, 44, 45, 45, 0, 0, 400_000, 400_000, size,
                        offset)  # fmt: skip
    locator = struct.pack("<4sLQL", archives.LOCATOR, 0, start, 1)
    path.write_bytes(content[:start] + large + locator + content[start:])
    monkeypatch.setattr(zipfile, "ZipFile", None)
    assert "more than 5000 files" in read_hand_in(path).problems[0]


def test_a_hand_in_that_is_away_is_no_empty_one(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_hand_in(tmp_path / "ada.zip")
