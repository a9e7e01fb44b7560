"""load_mnist against good, bad, slow and absent mirrors; all on 127.0.0.1 and with tiny files."""

import gzip
import hashlib
import multiprocessing
import os
import re
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from functools import cache, partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from helpers import mnist, stand_in
from helpers.mnist import DataError, Digits, IdxFile, Split, check_idx, load_mnist
from helpers.stand_in import make_stand_in
from machine import mirrors
from tests.machine.test_files import NO_FILES, dies_within

REAL_MIRROR = os.environ.get("MNIST_MIRROR", "stand-in")
NAMES = [file.name for file in mnist.DATA_SETS[0].files]
IMAGES, LABELS = NAMES[:2]
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")


def idx(values):
    header = [0x800 + values.ndim, *values.shape]
    return np.array(header, ">i4").tobytes() + values.astype(np.uint8).tobytes()


def tiny_contents():
    rng = np.random.default_rng(0)
    for n in (60, 10):
        yield idx(rng.integers(0, 256, (n, 28, 28)))
        yield idx(np.arange(n) % 10)


CONTENTS = dict(zip(NAMES, tiny_contents(), strict=True))
ARCHIVES = {f"{name}.gz": gzip.compress(CONTENTS[name], mtime=0) for name in NAMES}


def md5(content):
    return hashlib.md5(content).hexdigest()


def tiny_file(name, content=None):
    shape = {IMAGES: (60, 28, 28), LABELS: (60,), NAMES[2]: (10, 28, 28), NAMES[3]: (10,)}[name]
    return IdxFile(name, shape, md5(content or CONTENTS[name]))


def change_row(patch, row=0, **columns):
    """Put other columns into a row of the table of data sets; MNIST's is the first."""
    rows = list(mnist.DATA_SETS)
    rows[row] = rows[row]._replace(**columns)
    patch.setattr(mnist, "DATA_SETS", tuple(rows))


small_stand_in = cache(partial(make_stand_in, sizes=(50, 10, 10)))


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    """A small MNIST and a small stand-in, no mirror anywhere, and little patience."""
    change_row(monkeypatch, files=tuple(tiny_file(name) for name in NAMES))
    monkeypatch.setattr(mnist, "VALIDATION", 10)
    change_row(monkeypatch, mirrors=())
    monkeypatch.setattr(mirrors, "PROBE_SECONDS", 0.5)
    monkeypatch.setattr(mirrors, "STALL_SECONDS", 0.5)
    monkeypatch.setattr(stand_in, "make_stand_in", small_stand_in)
    monkeypatch.delenv("MNIST_MIRROR", raising=False)
    monkeypatch.delenv("DIGITS_DATA", raising=False)


@pytest.fixture
def data(tmp_path):
    """A cache folder; whatever happens in a test, nothing unfinished may be left in it."""
    folder = tmp_path / "data"
    yield folder
    if folder.is_dir():
        assert list(folder.rglob(".*")) == []


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    """A folder with the four archives, which MNIST_MIRROR names."""
    folder = tmp_path / "a mirror"
    folder.mkdir()
    for name, content in ARCHIVES.items():
        (folder / name).write_bytes(content)
    monkeypatch.setenv("MNIST_MIRROR", str(folder))
    return folder


@pytest.fixture
def cached(data, mirror, monkeypatch):
    """The cache, filled, and no mirror to fill it again."""
    load_mnist(folder=data)
    monkeypatch.delenv("MNIST_MIRROR")
    return data / "MNIST" / "raw"


@pytest.fixture
def serve():
    """Start a web server that answers with `files` {name: bytes}, and cuts short those in `cut`."""
    servers = []

    def start(files, cut=(), stall=0.0):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                name = self.path.rsplit("/", 1)[-1]
                if name not in files:
                    return self.send_error(404)
                self.send_response(200)
                self.send_header("Content-Length", str(len(files[name])))
                self.end_headers()
                self.wfile.write(files[name][: 100 if name in cut else None])
                if name in cut:
                    time.sleep(stall)

            def log_message(self, *args):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}/mnist/"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def silent_url():
    """The address of a server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/"


def closed_url():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"http://127.0.0.1:{server.getsockname()[1]}/"


def assert_is_mnist(digits):
    assert digits.source == "MNIST"
    pixels = np.frombuffer(CONTENTS[IMAGES][16:], np.uint8).reshape(60, 784) / np.float32(255)
    np.testing.assert_array_equal(digits.train.images, pixels[:50])
    np.testing.assert_array_equal(digits.validation.images, pixels[50:])
    np.testing.assert_array_equal(digits.validation.labels, np.arange(10))


# What is loaded -----------------------------------------------------------------------------------


def test_parts_have_their_types_sizes_and_order(data, mirror):
    digits = load_mnist(folder=data)
    assert_is_mnist(digits)
    for part, n in zip(digits, (50, 10, 10), strict=True):
        assert part.images.shape == (n, 784)
        assert part.labels.shape == (n,)
        assert (part.images.dtype, part.labels.dtype) == (np.float32, np.int64)
        assert part.images.flags.c_contiguous
        assert 0 <= part.images.min() < part.images.max() <= 1
    assert digits.describe() == "Data: MNIST - 50 training, 10 validation, 10 test images"


def test_views_copy_nothing():
    part = Split(np.zeros((5, 784), np.float32), np.arange(5))
    assert part.pictures.shape == (5, 28, 28)
    assert part.first(2).labels.tolist() == [0, 1]
    for view in (part.pictures, part.first(2).images):
        assert np.shares_memory(part.images, view)


def test_cache_serves_torchvision_too(cached):
    from torchvision import datasets

    assert sorted(path.name for path in cached.iterdir()) == sorted(NAMES)
    assert len(datasets.MNIST(cached.parent.parent)) == 60


def test_cached_load_imports_neither_torch_nor_scipy(cached):
    code = f"""
import sys
from pathlib import Path
from helpers import mnist
from helpers.mnist import Classes, DataSet, IdxFile
mnist.DATA_SETS, mnist.VALIDATION = {mnist.DATA_SETS!r}, 10
print(mnist.load_mnist(folder=Path({str(cached.parent.parent)!r})).source)
print([name for name in ("torch", "torchvision", "scipy", "sklearn") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["MNIST", "[]"]


@pytest.mark.skipif(REAL_MIRROR == "stand-in", reason="MNIST_MIRROR names no mirror of MNIST")
def test_real_mnist(data, monkeypatch):
    monkeypatch.undo()  # the tiny files, among others
    change_row(monkeypatch, mirrors=())
    train, validation, test = load_mnist(folder=data)
    assert [len(part.labels) for part in (train, validation, test)] == [50_000, 10_000, 10_000]
    assert train.labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert validation.labels[:5].tolist() == [3, 8, 6, 9, 6]
    assert test.labels[:5].tolist() == [7, 2, 1, 0, 4]
    assert train.images.mean() == pytest.approx(0.1307, abs=1e-3)
    assert load_mnist(folder=data).source == "MNIST"


# Other data sets ----------------------------------------------------------------------------------


@pytest.mark.parametrize("row", mnist.DATA_SETS, ids=lambda row: row.name)
def test_every_row_of_the_table_is_complete(row):
    assert [file.name for file in row.files] == NAMES
    assert [file.shape[0] for file in row.files] == [60_000, 60_000, 10_000, 10_000]
    assert all(re.fullmatch("[0-9a-f]{32}", file.md5) for file in row.files)
    assert len(set(row.classes.names)) == 10
    assert all(name.strip() == name != "" for name in [row.name, row.folder, *row.classes.names])
    assert all(re.fullmatch("https?://.+/", mirror) for mirror in row.mirrors)


def test_no_two_rows_share_a_name_a_folder_or_a_file():
    for column in ("name", "folder"):
        values = [getattr(row, column).lower() for row in mnist.DATA_SETS]
        assert len(set(values)) == len(values)
    checksums = [file.md5 for row in mnist.DATA_SETS for file in row.files]
    assert len(set(checksums)) == len(checksums)


@pytest.fixture
def clothes(tmp_path, monkeypatch):
    """A folder with a tiny Fashion-MNIST, its labels counting down, which MNIST_MIRROR names."""
    contents = CONTENTS | {LABELS: idx(9 - np.arange(60) % 10)}
    files = tuple(tiny_file(name, content) for name, content in contents.items())
    change_row(monkeypatch, row=1, files=files)
    folder = tmp_path / "clothes"
    folder.mkdir()
    for name, content in contents.items():
        (folder / f"{name}.gz").write_bytes(gzip.compress(content))
    monkeypatch.setenv("MNIST_MIRROR", str(folder))
    return folder


@pytest.mark.parametrize(
    ("name", "variable"),
    [("Fashion-MNIST", ""), ("fashion-mnist", "MNIST"), (None, " FASHION-mnist ")],
)
def test_a_data_set_is_chosen_by_its_name_or_the_environment(
    data, clothes, monkeypatch, name, variable
):
    monkeypatch.setenv("DIGITS_DATA", variable)
    digits = load_mnist(name, data)
    assert digits.source == "Fashion-MNIST"
    assert digits.train.labels[:2].tolist() == [9, 8]
    assert digits.classes.names[9] == "Ankle boot"
    first, second = digits.describe().splitlines()
    assert first == "Data: Fashion-MNIST - 50 training, 10 validation, 10 test images"
    assert "read articles: T-shirt/top, Trouser, " in second


@pytest.mark.parametrize("variable", ["", " ", "mnist"])
def test_mnist_is_the_default(data, mirror, monkeypatch, variable):
    monkeypatch.setenv("DIGITS_DATA", variable)
    digits = load_mnist(folder=data)
    assert_is_mnist(digits)
    assert digits.classes.names == tuple("0123456789")


def test_data_sets_share_a_cache_which_serves_torchvision(data, clothes, cached):
    from torchvision import datasets

    assert_is_mnist(load_mnist(folder=data))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MNIST_MIRROR", str(clothes))
        load_mnist("Fashion-MNIST", data)
    assert load_mnist("Fashion-MNIST", data).source == "Fashion-MNIST"
    assert_is_mnist(load_mnist(folder=data))
    assert datasets.FashionMNIST(data)[0][1] == 9


def test_files_of_another_data_set_are_refused(data, clothes):
    with pytest.raises(DataError, match=f"No mirror delivered MNIST. Found:\n.*{LABELS} has MD5"):
        load_mnist("MNIST", data)
    assert not (data / "MNIST").exists()


@pytest.mark.parametrize("name", ["Fashion", "", Path("data")])
def test_an_unknown_data_set_is_refused(data, monkeypatch, name):
    wanted = "which is no known data set. Wanted: MNIST or Fashion-MNIST."
    with pytest.raises(DataError, match=re.escape(f"name is {name!r}, {wanted}")):
        load_mnist(name, data)
    monkeypatch.setenv("DIGITS_DATA", "Fashion")
    with pytest.raises(DataError, match=re.escape(f"DIGITS_DATA is 'Fashion', {wanted}")):
        load_mnist(folder=data)


@pytest.mark.parametrize("asked", ["stand-in", None])
def test_digits_never_stand_in_for_another_data_set(data, monkeypatch, asked):
    reason = "No Fashion-MNIST mirror was in reach"
    if asked:
        monkeypatch.setenv("MNIST_MIRROR", asked)
        reason = "MNIST_MIRROR=stand-in asks for it"
    with pytest.raises(DataError) as caught:
        load_mnist("Fashion-MNIST", data)
    for words in ("Fashion-MNIST can't be loaded", reason, "Next step: ", "four .gz files of Fash"):
        assert words in str(caught.value)


# Files that are not as they should be -------------------------------------------------------------


def flipped(content):
    return content[:-1] + bytes([content[-1] ^ 1])


BAD_FILES = {
    "wrong magic": (IMAGES, lambda c: CONTENTS[LABELS], "magic number 2049, wanted 2051"),
    "empty": (LABELS, lambda c: b"", "magic number 0, wanted 2049"),
    "count": (LABELS, lambda c: idx(np.zeros(59)), "count 59, wanted 60"),
    "size": (IMAGES, lambda c: idx(np.zeros((60, 27, 28))), r"image size \(27, 28\), wanted \(28,"),
    "truncated": (IMAGES, lambda c: c[:-9], "length in bytes 47047, wanted 47056"),
    "too long": (LABELS, lambda c: c + b"\0", "length in bytes 69, wanted 68"),
    "label 10": (LABELS, lambda c: c[:-1] + b"\x0a", "highest label 10, wanted 9"),
    "altered": (IMAGES, flipped, "MD5 [0-9a-f]{32}, wanted [0-9a-f]{32}"),
}
bad_files = pytest.mark.parametrize(
    ("name", "spoil", "message"), BAD_FILES.values(), ids=BAD_FILES.keys()
)


@bad_files
def test_check_names_the_first_thing_wrong(name, spoil, message):
    with pytest.raises(DataError, match=f"^{name} has {message}"):
        check_idx(spoil(CONTENTS[name]), tiny_file(name))


def test_check_passes_a_good_file():
    for name in NAMES:
        check_idx(CONTENTS[name], tiny_file(name))


def test_damaged_cache_is_repaired(cached, data, mirror, monkeypatch):
    (cached / IMAGES).write_bytes(b"damaged")
    (cached / LABELS).unlink()
    monkeypatch.setenv("MNIST_MIRROR", str(mirror))
    assert_is_mnist(load_mnist(folder=data))
    assert (cached / IMAGES).read_bytes() == CONTENTS[IMAGES]


@bad_files
def test_damaged_cache_without_a_mirror_is_named_and_not_used(cached, data, name, spoil, message):
    (cached / name).write_bytes(spoil(CONTENTS[name]))
    digits = load_mnist(folder=data)
    assert digits.source == "stand-in"
    assert f"{name} has " in digits.note
    assert str(data) not in digits.describe()


# Mirrors that deliver -----------------------------------------------------------------------------


def test_mirror_with_and_without_trailing_slash(data, serve, monkeypatch, capfd):
    monkeypatch.setenv("MNIST_MIRROR", serve(ARCHIVES).rstrip("/"))
    assert_is_mnist(load_mnist(folder=data))
    assert capfd.readouterr() == ("", "")
    assert socket.getdefaulttimeout() is None


@pytest.mark.parametrize("form", ["uri", "home", "slash"])
def test_folder_mirror_in_other_forms(data, mirror, form, monkeypatch):
    monkeypatch.setenv("HOME", str(mirror.parent))
    monkeypatch.setenv("USERPROFILE", str(mirror.parent))
    forms = {"uri": mirror.as_uri(), "home": f"~/{mirror.name}", "slash": f"{mirror}{os.sep}"}
    monkeypatch.setenv("MNIST_MIRROR", forms[form])
    assert_is_mnist(load_mnist(folder=data))


@pytest.mark.parametrize("trouble", ["cut", "stalled", "altered", "missing", "closed", "silent"])
def test_next_mirror_is_tried(data, serve, silent_url, monkeypatch, trouble):
    bad = {
        "cut": lambda: serve(ARCHIVES, cut=[f"{IMAGES}.gz"]),
        "stalled": lambda: serve(ARCHIVES, cut=[f"{IMAGES}.gz"], stall=2),
        "altered": lambda: serve(ARCHIVES | {f"{IMAGES}.gz": gzip.compress(b"altered")}),
        "missing": lambda: serve({}),
        "closed": closed_url,
        "silent": lambda: silent_url,
    }[trouble]()
    monkeypatch.setenv("MNIST_MIRROR", bad)
    change_row(monkeypatch, mirrors=(serve(ARCHIVES),))
    assert_is_mnist(load_mnist(folder=data))


def load_and_report(folder, results):
    try:
        results.put(load_mnist(folder=folder).source)
    except BaseException as error:
        results.put(repr(error))


def load_in_processes(folder, n, before=lambda: None):
    context = multiprocessing.get_context("fork")
    results = context.Queue()

    def work():
        before()
        load_and_report(folder, results)

    processes = [context.Process(target=work) for _ in range(n)]
    for process in processes:
        process.start()
    answers = [results.get(timeout=20) for _ in processes]
    for process in processes:
        process.join(timeout=20)
    return answers


@needs_fork
def test_two_processes_at_once(data, serve, monkeypatch):
    monkeypatch.setenv("MNIST_MIRROR", serve(ARCHIVES))
    assert load_in_processes(data, 2) == ["MNIST", "MNIST"]
    assert_is_mnist(load_mnist(folder=data))


# Mirrors that don't -------------------------------------------------------------------------------


def test_wrong_data_set_is_named(data, mirror):
    (mirror / f"{IMAGES}.gz").write_bytes(gzip.compress(b"Fashion"))
    with pytest.raises(DataError) as caught:
        load_mnist(folder=data)
    for word in (str(mirror), f"{IMAGES}.gz has 27 bytes and MD5", "Wanted", "Next step"):
        assert word in str(caught.value)
    assert not (data / "MNIST").exists()


def test_missing_archive_is_named(data, mirror):
    (mirror / f"{LABELS}.gz").unlink()
    with pytest.raises(DataError, match=f"{LABELS}.gz is missing"):
        load_mnist(folder=data)


def test_missing_folder_is_named(data, monkeypatch):
    monkeypatch.setenv("MNIST_MIRROR", "no/such/folder")
    with pytest.raises(DataError, match="no/such/folder: there is no such folder"):
        load_mnist(folder=data)


@pytest.mark.parametrize("trouble", ["cut", "missing"])
def test_own_mirror_that_answers_must_deliver(data, serve, monkeypatch, trouble):
    files = ARCHIVES if trouble == "cut" else {}
    monkeypatch.setenv("MNIST_MIRROR", serve(files, cut=[f"{IMAGES}.gz"]))
    with pytest.raises(DataError, match=f"{IMAGES}.gz (has 100 bytes|is missing)"):
        load_mnist(folder=data)
    assert socket.getdefaulttimeout() is None


def test_login_page_is_no_mirror(data, serve, monkeypatch):
    page = dict.fromkeys(ARCHIVES, b"<html>Welcome to our wireless network!</html>")
    change_row(monkeypatch, mirrors=(serve(page), serve({})))
    digits = load_mnist(folder=data)
    assert digits.source == "stand-in"
    assert "sent something other than MNIST" in digits.note
    assert "answered 404" in digits.note


def test_refused_connection_is_noticed_at_once(data, monkeypatch):
    monkeypatch.setattr(mirrors, "PROBE_SECONDS", 60)
    change_row(monkeypatch, mirrors=(closed_url(), closed_url()))
    begin = time.perf_counter()
    assert load_mnist(folder=data).source == "stand-in"
    assert time.perf_counter() - begin < 15


def test_silence_ends_at_one_deadline_for_all(data, silent_url, monkeypatch):
    monkeypatch.setenv("MNIST_MIRROR", silent_url)
    change_row(monkeypatch, mirrors=(silent_url,) * 40)
    begin = time.perf_counter()
    with pytest.raises(mirrors.OutOfReachError, match=r"no answer within|timed out"):
        mirrors.fetch("MNIST", mnist.DATA_SETS[0].mirrors, {IMAGES: len}, data)
    assert time.perf_counter() - begin < 15  # one after the other would take 20


def test_name_server_that_never_answers(data, monkeypatch):
    def wait(*args, **kwargs):
        time.sleep(30)
        raise socket.gaierror("timed out")

    monkeypatch.setattr(socket, "getaddrinfo", wait)
    change_row(monkeypatch, mirrors=("http://mirror.invalid/",))
    begin = time.perf_counter()
    with pytest.raises(mirrors.OutOfReachError, match=r"invalid/ gave no answer within 0.5 s"):
        mirrors.fetch("MNIST", mnist.DATA_SETS[0].mirrors, {IMAGES: len}, data)
    assert time.perf_counter() - begin < 15  # and not 30


# Mirrors as a program draws them ------------------------------------------------------------------


@pytest.fixture
def drip():
    """Start a server that sends `sent` bytes of each file at once, then `part` after each `pause`.

    The bytes of the headers count too.
    """
    servers, ended = [], threading.Event()

    def start(files, sent, pause=0.02, part=1):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                content = files[self.path.rsplit("/", 1)[-1]]
                head = f"HTTP/1.0 200 OK\r\nContent-Length: {len(content)}\r\n\r\n".encode()
                answer = head + content
                end = time.perf_counter() + 20  # a test of one who does not give up ends too
                with suppress(OSError):
                    self.wfile.write(answer[:sent])
                    for k in range(sent, len(answer), part):
                        self.wfile.write(answer[k : k + part])
                        if ended.wait(pause) or time.perf_counter() > end:
                            return

            def log_message(self, *args):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        servers.append(server)
        Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}/"

    yield start
    ended.set()
    for server in servers:
        server.shutdown()
        server.server_close()


many = partial(settings, suppress_health_check=[HealthCheck.function_scoped_fixture])


@many(max_examples=12)
@given(sent=st.integers(0, 300) | st.integers(0, 40_000), own=st.booleans())
def test_a_mirror_that_drips_is_given_up(tmp_path_factory, drip, serve, sent, own):
    """From somewhere in its headers or its content on, it sends 50 bytes a second."""
    slow, good = drip(ARCHIVES, sent), serve(ARCHIVES)
    with pytest.MonkeyPatch.context() as patch:
        if own:
            patch.setenv("MNIST_MIRROR", slow)
        change_row(patch, mirrors=(good,) if own else (slow, good))
        assert_is_mnist(load_mnist(folder=tmp_path_factory.mktemp("data")))


@many(max_examples=6)
@given(sent=st.integers(0, 300) | st.integers(0, 40_000))
def test_a_mirror_that_drips_is_called_slow(tmp_path_factory, drip, sent):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MNIST_MIRROR", drip(ARCHIVES, sent))
        try:
            found = load_mnist(folder=tmp_path_factory.mktemp("data")).note
        except DataError as error:
            found = str(error)
    too_slow = r"gz can't be read: too slow: [\d,]+ bytes in 0.5 s"
    assert re.search(rf"gave no answer within 0.5 s|{too_slow}", found)


@many(max_examples=3)
@given(part=st.integers(20, 2_000))
def test_a_mirror_with_a_steady_20_kilobytes_a_second_is_waited_for(tmp_path_factory, drip, part):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mirrors, "PROBE_SECONDS", 5)
        patch.setattr(mirrors, "STALL_SECONDS", 1)
        patch.setenv("MNIST_MIRROR", drip(ARCHIVES, 0, pause=part / 20_000, part=part))
        assert_is_mnist(load_mnist(folder=tmp_path_factory.mktemp("data")))


# What an address may consist of, and what may be mistaken for one. No variable can hold a NUL, but
# bytes that are no UTF-8, which Python reads as lone surrogates.
WORDS = st.sampled_from([
    "~", "~root", "~nosuchuser", "~ü", "http:", "https:", "HTTP:", "ftp:", "htp:", "file:", "FILE:",
    "data:", "s3:", "/", "//", "///", "://", "\\", "..", "?q", "#f", "@", "u:p@", ";", "$(x)",
    "xn--", "localhost", "127.0.0.1", ":1", ":8000", ":x", ":99999", ":-1", "[", "]", "[::1]",
    "%00", "%zz", "%2e", "%", " ", "\t", "\n", "\r", "\x7f", "\x1b[31m", "\x85", "\u2028",
    "ü", "é.invalid", "😀", "\udc80", "\udcff", "a" * 300, "." * 5000,
])  # fmt: skip
ODD_MIRRORS = st.lists(WORDS, min_size=1, max_size=7).map("".join) | st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1
)


@many(max_examples=200)
@given(mirror=ODD_MIRRORS)
@example("file://[x")
@example("\udcff")
def test_whatever_the_mirror_is_called_the_answer_is_in_words(tmp_path_factory, mirror):
    begin = time.perf_counter()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MNIST_MIRROR", mirror)
        try:
            digits = load_mnist(folder=tmp_path_factory.mktemp("data"))
            assert digits.source == "stand-in"  # nothing was in reach
            answer = digits.describe()
        except DataError as error:
            answer = str(error)
    assert answer.encode()  # so that it can be printed
    assert time.perf_counter() - begin < 15


@pytest.mark.parametrize("mirror", ["~nosuchuser/x", "localhost:8000", "no/such", "[", "x" * 5000])
def test_what_is_no_folder_is_told_how_addresses_begin(data, monkeypatch, mirror):
    monkeypatch.setenv("MNIST_MIRROR", mirror)
    with pytest.raises(DataError, match=r"no such folder \(an address on the net begins with http"):
        load_mnist(folder=data)


def flip(content, bit):
    byte = bit // 8 % len(content)
    return content[:byte] + bytes([content[byte] ^ 1 << bit % 8]) + content[byte + 1 :]


# Each is a function of an archive, and an argument for it.
DAMAGE = st.one_of(
    st.tuples(st.just(lambda packed, n: packed[:n]), st.integers(-60, 60)),
    st.tuples(st.just(flip), st.integers(0, 160) | st.integers(0, 400_000)),
    st.tuples(st.just(lambda packed, junk: packed + junk), st.binary(max_size=9)),
    st.tuples(st.just(lambda packed, junk: junk + packed), st.binary(max_size=9)),
    st.tuples(st.just(lambda _, junk: junk), st.binary(max_size=300)),
    st.tuples(st.just(lambda _, junk: gzip.compress(junk)), st.binary(max_size=300)),
    st.tuples(st.just(lambda _, byte: gzip.compress(bytes([byte]) * 10**7)), st.integers(0, 255)),
    st.tuples(
        st.just(lambda packed, level: gzip.compress(gzip.decompress(packed), level)),
        st.integers(0, 9),
    ),
)


@many(max_examples=200)
@given(damage=st.dictionaries(st.sampled_from(NAMES), DAMAGE, min_size=1))
def test_damaged_archives_give_mnist_or_are_named(tmp_path_factory, damage):
    mirror, data = tmp_path_factory.mktemp("mirror"), tmp_path_factory.mktemp("data")
    for name in NAMES:
        spoil, argument = damage.get(name, (lambda packed, _: packed, None))
        (mirror / f"{name}.gz").write_bytes(spoil(ARCHIVES[f"{name}.gz"], argument))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MNIST_MIRROR", str(mirror))
        patch.setattr(mirrors, "LARGEST", 10**6)
        try:
            assert_is_mnist(load_mnist(folder=data))
            return
        except DataError as error:
            found = str(error)
    assert re.search(rf"({'|'.join(damage)})\.gz has [\d,]+ bytes and MD5 \w+: .", found)
    assert list(data.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such things")
@many(max_examples=40)
@given(kinds=st.lists(st.sampled_from(["file", *NO_FILES]), min_size=4, max_size=4))
def test_what_is_no_file_in_a_mirror_is_named(tmp_path_factory, kinds):
    folder = tmp_path_factory.mktemp("m")
    for kind, (name, content) in zip(kinds, ARCHIVES.items(), strict=True):
        if kind == "file":
            (folder / name).write_bytes(content)
        else:
            NO_FILES[kind](folder / name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MNIST_MIRROR", str(folder))
        wrong = [kind for kind in kinds if kind != "file"]
        if not wrong:
            assert_is_mnist(load_mnist(folder=tmp_path_factory.mktemp("data")))
        else:
            with pytest.raises(DataError, match=f"gz can't be read: this is {wrong[0]}, wanted a"):
                load_mnist(folder=tmp_path_factory.mktemp("data"))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such things")
@many(max_examples=40)
@given(
    kinds=st.dictionaries(st.sampled_from([*NAMES, "stand-in.npz"]), st.sampled_from([*NO_FILES]))
)
def test_what_is_no_file_in_the_cache_is_replaced_or_named(tmp_path_factory, kinds):
    folder, mirror = tmp_path_factory.mktemp("data"), tmp_path_factory.mktemp("mirror")
    raw = folder / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name in NAMES:
        (raw / name).write_bytes(CONTENTS[name])
        (mirror / f"{name}.gz").write_bytes(ARCHIVES[f"{name}.gz"])
    for name, kind in kinds.items():
        path = (raw if name in NAMES else folder) / name
        path.unlink(missing_ok=True)
        NO_FILES[kind](path)
    wrong = [kinds[name] for name in NAMES if name in kinds]
    if wrong and kinds.get("stand-in.npz") != "a folder":
        assert (
            f"can't be read (this is {wrong[0]}, wanted a file)" in load_mnist(folder=folder).note
        )
    for asked, source, names in (
        (str(mirror), "MNIST", NAMES),
        ("stand-in", "stand-in", ["stand-in.npz"]),
    ):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("MNIST_MIRROR", asked)
            if folders := [name for name in names if kinds.get(name) == "a folder"]:
                named = rf"A folder stands at .*({'|'.join(folders)}), where a file should go"
                with pytest.raises(DataError, match=named):
                    load_mnist(folder=folder)
            else:
                assert load_mnist(folder=folder).source == source


@many()
@given(lost=st.sets(st.sampled_from(NAMES)), packed=st.sets(st.sampled_from(NAMES)))
def test_archives_in_the_cache_are_unpacked(tmp_path_factory, lost, packed):
    """Of the unpacked files some are lost; of the archives only some are there."""
    folder = tmp_path_factory.mktemp("data")
    raw = folder / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name in NAMES:
        if name not in lost:
            (raw / name).write_bytes(CONTENTS[name])
        if name in packed:
            (raw / f"{name}.gz").write_bytes(ARCHIVES[f"{name}.gz"])
    complete = not lost or lost <= packed
    assert load_mnist(folder=folder).source == ("MNIST" if complete else "stand-in")


@many(max_examples=40)
@given(deaths=st.lists(st.integers(0, 9), min_size=1, max_size=3), asked=st.sampled_from("ms"))
def test_whatever_dies_while_fetching_the_next_run_clears_up(tmp_path_factory, deaths, asked):
    folder, mirror = tmp_path_factory.mktemp("data"), tmp_path_factory.mktemp("mirror")
    for name, content in ARCHIVES.items():
        (mirror / name).write_bytes(content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MNIST_MIRROR", str(mirror) if asked == "m" else "stand-in")
        for calls in deaths:
            dies_within(calls, lambda: load_mnist(folder=folder))
            whole = [path for path in folder.rglob("*-ubyte") if not path.name.startswith(".")]
            assert all(path.read_bytes() == CONTENTS[path.name] for path in whole)
        assert load_mnist(folder=folder).source == ("MNIST" if asked == "m" else "stand-in")
    assert list(folder.rglob(".*")) == []


def test_what_an_earlier_version_left_unfinished_is_cleared(data, mirror):
    (data / ".unfinished-abc" / "MNIST" / "raw").mkdir(parents=True)
    (data / ".unfinished-abc" / "MNIST" / "raw" / IMAGES).write_bytes(b"half")
    assert_is_mnist(load_mnist(folder=data))  # `data` looks for what is hidden


# Folders that can't be written to -----------------------------------------------------------------


@pytest.mark.parametrize("source", ["mirror", "stand-in"])
@pytest.mark.parametrize("below", ["", "deeper"])
def test_folder_that_is_a_file(tmp_path, mirror, monkeypatch, source, below):
    (tmp_path / "file").write_text("mine")
    monkeypatch.setenv("MNIST_MIRROR", str(mirror) if source == "mirror" else "stand-in")
    with pytest.raises(DataError, match=r"can't be stored in .*file(.|\n)*Next step"):
        load_mnist(folder=tmp_path / "file" / below)
    assert (tmp_path / "file").read_text() == "mine"


@many()
@given(names=st.lists(st.sampled_from(["a", "ü", " ", "\udcff", "x" * 250, "x" * 300, "."])))
def test_a_folder_of_any_name_is_written_to_or_named(tmp_path_factory, names):
    folder = tmp_path_factory.mktemp("data").joinpath(*names)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MNIST_MIRROR", "no/such/folder")
        with pytest.raises(DataError, match=r"can't be stored in|no/such/folder: there is no such"):
            load_mnist(folder=folder)


@needs_fork
@pytest.mark.parametrize("source", ["mirror", "server", "stand-in"])
def test_full_disk(data, mirror, serve, monkeypatch, source):
    resource = pytest.importorskip("resource")
    sources = {"mirror": str(mirror), "server": serve(ARCHIVES), "stand-in": "stand-in"}
    monkeypatch.setenv("MNIST_MIRROR", sources[source])
    limit = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (9000, 9000))
    (answer,) = load_in_processes(data, 1, before=limit)
    assert answer.startswith("DataError")
    assert "can't be stored in" in answer
    assert "File too large" in answer
    assert [path for path in data.rglob("*") if path.is_file()] == []


# The stand-in -------------------------------------------------------------------------------------


@pytest.fixture
def forced(monkeypatch):
    monkeypatch.setenv("MNIST_MIRROR", "stand-in")


def test_stand_in_can_be_forced(cached, data, forced):
    digits = load_mnist(folder=data)
    assert digits.source == "stand-in"
    assert digits.note == "MNIST_MIRROR=stand-in asks for it."
    assert [len(part.labels) for part in digits] == [50, 10, 10]


def test_stand_in_warns_in_a_frame():
    none = Split(np.empty((0, 784), np.float32), np.empty(0, np.int64))
    lines = Digits(none, none, none, "stand-in", "why, " * 50).describe().splitlines()
    assert lines[0] == lines[-1] == "!" * 88
    assert all(line.startswith("!") and len(line) <= 88 for line in lines)
    assert "NOT MNIST" in lines[1]
    assert any(line.startswith("! What to do: connect") for line in lines)


@pytest.mark.parametrize("damage", ["truncated", "altered", "empty", "other"])
def test_damaged_stand_in_is_made_again(data, forced, damage):
    images = load_mnist(folder=data).train.images
    path = data / "stand-in.npz"
    good = path.read_bytes()
    middle = len(good) // 2
    bad = {
        "truncated": good[:-99],
        "altered": good[:middle] + bytes([good[middle] ^ 1]) + good[middle + 1 :],
        "empty": b"",
        "other": b"another file",
    }
    path.write_bytes(bad[damage])
    np.testing.assert_array_equal(load_mnist(folder=data).train.images, images)
    with np.load(path) as cached:
        assert cached["images"].shape == (70, 28, 28)


def test_a_stand_in_of_another_version_is_made_again(data, forced, monkeypatch):
    load_mnist(folder=data)
    monkeypatch.setattr(stand_in, "VERSION", stand_in.VERSION + 1)
    others = [1 - array.astype(np.uint8) % 2 for array in small_stand_in()]
    monkeypatch.setattr(stand_in, "make_stand_in", lambda: others)
    for _ in range(2):  # drawn, then cached
        np.testing.assert_array_equal(load_mnist(folder=data).train.labels, others[1][:50])


def test_mnist_is_taken_as_soon_as_it_can_be_had(data, serve, monkeypatch):
    change_row(monkeypatch, mirrors=(closed_url(),))
    assert load_mnist(folder=data).source == "stand-in"
    change_row(monkeypatch, mirrors=(serve(ARCHIVES),))
    assert_is_mnist(load_mnist(folder=data))


def test_stand_in_is_always_the_same():
    for first, second in zip(small_stand_in(), make_stand_in((50, 10, 10)), strict=True):
        np.testing.assert_array_equal(first, second)


def test_no_original_is_in_two_parts():
    labels = np.arange(1797) % 10
    parts = stand_in.part_originals(labels, 3, np.random.default_rng(0))
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(1797))
    for part, share in zip(parts, (5 / 7, 1 / 7, 1 / 7), strict=True):
        np.testing.assert_allclose(np.bincount(labels[part]), 179.7 * share, atol=2)


def test_stand_in_looks_like_mnist():
    images, labels = make_stand_in(sizes=(700, 100, 100))
    assert images.dtype == labels.dtype == np.uint8
    assert np.bincount(labels).min() > 60
    assert (images == 0).mean() == pytest.approx(0.8, abs=0.1)
    assert images.max(axis=(1, 2)).min() > 200
    assert images[:, [0, -1]].mean() < 1
    heights = (images > 0).any(axis=2).sum(axis=1)
    assert 18 < np.median(heights) < 23
