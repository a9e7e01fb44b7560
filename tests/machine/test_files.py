"""Saved networks: interrupted, mixed, damaged or no files at all, as a program draws them."""

import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helpers.cnn import Net, load_network, load_network_if_any, save_network
from helpers.mlp import MLP, PARAMETERS, load_weights, save_weights
from machine.files import atomic_write, read_file

ROOT = Path(__file__).parents[2]
in_one_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def which(network: MLP, savings: int) -> int | None:
    """The seed of the network that these parameters are of, or None for a mixture."""
    for seed in range(savings):
        other = small(seed)
        if all(np.array_equal(getattr(network, n), getattr(other, n)) for n in PARAMETERS):
            return seed
    return None


def small(seed: int) -> MLP:
    network = MLP(5, 4, 3, seed=seed)
    network.b1 += np.float32(seed + 1)
    network.b2 += np.float32(seed + 1)
    return network


class KilledError(BaseException):
    """Stands for kill -9: nothing of the program runs after it but what a test undoes."""


def dies_within(calls: int, work: Callable[[], object]) -> bool:
    """Do the work, but die when it has changed folders `calls` times; say whether it did."""
    left = count(1)

    def dying(change):
        def die_or(*arguments, **options):
            if next(left) > calls:
                raise KilledError
            return change(*arguments, **options)

        return die_or

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "replace", dying(Path.replace))
        patch.setattr(Path, "unlink", dying(Path.unlink))
        try:
            work()
        except KilledError:
            return True
    return False


@settings(max_examples=60)
@given(deaths=st.lists(st.integers(0, 12), min_size=1, max_size=4), plain=st.booleans())
def test_whatever_dies_while_saving_no_mixture_is_loaded(tmp_path_factory, deaths, plain):
    """Savings one after another, each killed after some changes; `plain`: the first is by hand."""
    prefix = tmp_path_factory.mktemp("saving") / "net"
    if plain:
        for name in PARAMETERS:
            np.save(f"{prefix}_{name}.npy", getattr(small(0), name))
    for seed, calls in enumerate(deaths, start=1):
        dies_within(calls, lambda seed=seed: save_weights(small(seed), prefix))
        network = small(9)
        try:
            load_weights(network, prefix)
        except (ValueError, FileNotFoundError):
            assert which(network, 10) == 9  # a refusal leaves the network alone
        else:
            assert which(network, seed + 1) is not None
    save_weights(small(7), prefix)
    load_weights(network, prefix)
    assert which(network, 8) == 7
    names = {path.name for path in prefix.parent.iterdir()}
    assert names == {"net_manifest.json", *(f"net_{name}.npy" for name in PARAMETERS)}


# One after the other, so that PyTorch is imported once: a child that saves until it is killed.
SAVER = """
import os
import sys
from itertools import count
sys.path.insert(0, {root!r})
from helpers.cnn import Net, save_network
from tests.machine.test_files import small
from helpers.mlp import save_weights
for _ in range(4):
    child = os.fork()
    if child:
        print(child, flush=True)
        os.wait()
        print("ended", flush=True)
        sys.stdin.readline()
    for k in count() if not child else ():
        save_weights(small(k % 5), sys.argv[1])
        save_network(Net(seed=k % 2), sys.argv[1] + ".pth")
"""


def test_a_process_that_is_killed_leaves_nothing_behind_for_long(tmp_path):
    rng, prefix = np.random.default_rng(0), tmp_path / "net"
    command = [sys.executable, "-c", SAVER.format(root=str(ROOT)), str(prefix)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    process = subprocess.Popen(command, text=True, **pipes)
    for _ in range(4):
        child = int(process.stdout.readline())
        time.sleep(rng.uniform(0.05, 0.5))
        os.kill(child, signal.SIGKILL)
        assert process.stdout.readline() == "ended\n"
        network = small(9)
        try:
            load_weights(network, prefix)
            assert which(network, 5) is not None
        except (ValueError, FileNotFoundError):
            pass
        process.stdin.write("\n")
        process.stdin.flush()
    assert process.wait() == 0
    save_weights(small(0), prefix)
    save_network(Net(), tmp_path / "net.pth")
    assert len(list(tmp_path.iterdir())) == 6


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 2), st.binary(max_size=40)), min_size=2, max_size=6))
def test_writers_at_once_each_write_a_whole_file(tmp_path_factory, texts):
    folder = tmp_path_factory.mktemp("writers")

    def write(k: int, text: bytes) -> None:
        with atomic_write(folder / f"f{k}") as file:
            file.write(text)

    threads = [threading.Thread(target=write, args=text) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    written = {(int(path.name[1:]), path.read_bytes()) for path in folder.iterdir()}
    assert written <= set(texts)
    assert {k for k, _ in written} == {k for k, _ in texts}


def test_what_merely_looks_like_a_leftover_stays(tmp_path):
    theirs = [".f.swp", ".f.txt", ".g." + "0" * 32, "f." + "0" * 32, ".f." + "0" * 31]
    for name in [*theirs, ".f." + "a" * 32]:
        (tmp_path / name).write_text("x")
    with atomic_write(tmp_path / "f") as file:
        file.write(b"new")
        assert (tmp_path / file.name).exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*theirs, "f"])


# ---- What is no file ----------------------------------------------------------------------------


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


def make_socket(path: Path) -> None:
    os.mknod(path, stat.S_IFSOCK | 0o600)  # unlike bind, for a path of any length


NO_FILES = {
    "a named pipe": make_pipe, "a folder": Path.mkdir, "a socket": make_socket,
    "a device": lambda path: path.symlink_to("/dev/zero"),
}  # fmt: skip


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such things")
@pytest.mark.parametrize("kind", NO_FILES)
def test_what_is_no_file_is_called_what_it_is(tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    NO_FILES[kind](Path("net_W1.npy"))
    NO_FILES[kind](Path("net.pth"))
    for read in (lambda: read_file(Path("net.pth")), lambda: load_network("net.pth"),
                 lambda: load_weights(MLP(), "net")):  # fmt: skip
        with pytest.raises(OSError, match=f"this is {kind}, wanted a file: 'net"):
            read()


def test_a_folder_where_a_file_should_go_is_named(tmp_path):
    (tmp_path / "net.pth").mkdir()
    with pytest.raises(IsADirectoryError, match="folder stands where this file should go.*net.pth"):
        save_network(Net(), tmp_path / "net.pth")
    assert [path.name for path in tmp_path.iterdir()] == ["net.pth"]


# ---- Damage -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    path = tmp_path_factory.mktemp("archive") / "net.pth"
    save_network(Net(), path)
    return path.read_bytes()


def damaged_by(data, content: bytes, ends: int = 300) -> bytes:
    """Flipped bits, bytes put over others, cut or put in, anywhere, more often near the ends."""
    damaged = bytearray(content)
    for _ in range(data.draw(st.integers(1, 3))):
        inside, near = len(damaged) - 1, min(len(damaged) - 1, ends)
        k = data.draw(st.integers(0, inside) | st.integers(0, near) | st.integers(-near, -1))
        way = data.draw(st.sampled_from(["flip", "flip", "flip", "cut", "put in", "put over"]))
        if way == "flip":
            damaged[k] ^= 1 << data.draw(st.integers(0, 7))
        else:
            some = data.draw(st.binary(min_size=1, max_size=9))
            end = k if way == "put in" else (k + len(some)) % len(damaged)
            damaged[k:end] = b"" if way == "cut" else some
    return bytes(damaged)


@settings(max_examples=150)
@given(data=st.data())
def test_any_damage_is_refused(archive, data, tmp_path_factory):
    path, damaged = tmp_path_factory.getbasetemp() / "damaged.pth", damaged_by(data, archive)
    path.write_bytes(damaged)
    if damaged == archive:
        load_network(path)
    else:
        with pytest.raises(ValueError, match="damaged or was not written by save_network"):
            load_network(path)


@settings(max_examples=200)
@given(data=st.data(), name=st.sampled_from(PARAMETERS), by_hand=st.booleans())
def test_damaged_weights_are_refused_or_of_the_right_kind(tmp_path_factory, data, name, by_hand):
    """Without a manifest, which files by hand don't have, wrong numbers look like right ones."""
    prefix = tmp_path_factory.mktemp("weights") / "net"
    save_weights(small(0), prefix)
    if by_hand:
        prefix.with_name("net_manifest.json").unlink()
    path, network = prefix.with_name(f"net_{name}.npy"), small(9)
    damaged = damaged_by(data, content := path.read_bytes(), ends=128)
    path.write_bytes(damaged)
    try:
        load_weights(network, prefix)
        refusal = ""
    except ValueError as error:
        refusal = str(error)
    if refusal:
        assert f"net_{name}.npy" in refusal
        assert which(network, 10) == 9  # a refusal leaves the network alone
    else:
        assert by_hand or damaged == content
        assert all(getattr(network, n).shape == getattr(small(0), n).shape for n in PARAMETERS)


def test_what_torch_itself_saved_is_read(tmp_path):
    torch.save(Net(seed=3).state_dict(), tmp_path / "net.pth")
    load_network(tmp_path / "net.pth")


TYPES = [torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.uint8, torch.complex64]


@in_one_folder
@given(dtype=st.sampled_from([*TYPES, torch.bool]), name=st.sampled_from(list(Net().state_dict())))
def test_parameters_of_another_type_are_refused_by_name(tmp_path, dtype, name):
    state = Net().state_dict()
    torch.save(state | {name: state[name].to(dtype)}, tmp_path / "net.pth")
    with pytest.raises(ValueError, match=f"{name} is {dtype}, wanted torch.float32"):
        load_network(tmp_path / "net.pth")


def test_a_network_is_loaded_if_there_is_any(tmp_path, capsys):
    assert load_network_if_any(tmp_path / "none.pth") is None
    save_network(Net(seed=4), tmp_path / "net.pth")
    loaded = load_network_if_any(tmp_path / "net.pth")
    assert torch.equal(loaded.layers.fc3.weight, Net(seed=4).layers.fc3.weight)
    assert capsys.readouterr().out == ""


@in_one_folder
@given(name=st.sampled_from(["conv1", "conv2", "fc1", "fc2", "fc3"]), n=st.integers(1, 5))
def test_a_network_of_other_layers_is_left_out_with_a_reason(tmp_path, capsys, name, n):
    other = Net()
    layer = getattr(other.layers, name)
    for parameter in layer.parameters():
        parameter.data = parameter.data[:n]
    save_network(other, tmp_path / "net.pth")
    assert load_network_if_any(tmp_path / "net.pth") is None
    assert f"size mismatch for layers.{name}.weight" in capsys.readouterr().out
