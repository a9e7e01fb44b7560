"""The logic of the benchmarks: turns, ratios, slopes, goals, report and files. No timings."""

import json
import os
import sys
from contextlib import contextmanager
from functools import partial
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks import __main__, goals, measure, mlp, report, sections, waiting
from benchmarks.sections import BUSY, CNN, DEFAULT, MLP, ONE_CORE, OURS, OURS_THREADED, QUIET
from helpers.mlp import PARAMETERS
from helpers.mnist import Split
from helpers.training import one_hot_encode, train_epoch
from machine.threads import available_cores
from tests.benchmarks import toy_tasks

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks/results.json"


def timings_of(names, seconds):
    """Three rounds for each name, all of a length that tells the names apart."""
    return {name: [s, 2 * s, 1.5 * s] for name, s in zip(names, seconds, strict=True)}


@pytest.fixture
def everything():
    """Made-up results of all sections, in which some goals are met and some are not."""
    machine = {"cores": 2, "python": "3.11.7"}
    point = {"value": 2000, "seconds": 0.5, "peak_mb": 100.0}
    points = [point | {"value": 2000 * k, "seconds": 0.5 * k} for k in (1, 2, 4, 8)]
    names = [*waiting.plan(), waiting.CACHED, waiting.OFFLINE]
    waits = {name: {"seconds": [4.0], "peak_mb": [900.0], "floor": [0.05]} for name in names}
    pairs = list(sections.NEIGHBOURS)
    found = {
        "mlp": {"timings": {DEFAULT: timings_of([*MLP, OURS_THREADED], range(1, 12)),
                            ONE_CORE: timings_of(MLP, range(1, 11))},
                "missing": {}, "images": 50_000, "profile": {"forward": 0.01, "loss": 0.03}},
        "cnn": {"timings": {DEFAULT: timings_of([*CNN, OURS_THREADED], [2, 7, 5, 1, 9, 3]),
                            ONE_CORE: timings_of(CNN, [2, 7, 5, 3, 9])},
                "missing": {"nobody": "not installed (nothing)"}, "images": 50_000},
        "gpu": {"timings": {DEFAULT: {}}, "missing": {"a": "no GPU", "b": "no GPU"}},
        "size": {"usual": {"images": 20_000, "hidden": 64, "batch": 256},
                 "sweeps": dict.fromkeys(sections.SIZES, points)},
        "neighbour": {"timings": {QUIET: timings_of(pairs, [1] * len(pairs)),
                                  BUSY: timings_of(pairs, [3] * len(pairs))},
                      "missing": {}, "images": 50_000},
        "waiting": {"waits": waits},
    }  # fmt: skip
    return {name: {"machine": machine} | section for name, section in found.items()}


def verdicts(results):
    return {text: verdict for text, _, verdict in goals.all_goals(results)}


# ---- taking turns -------------------------------------------------------------------------------


def test_workers_take_turns_apart_and_the_missing_are_named(tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")  # is not to reach the contestants
    notes = tmp_path / "notes"
    task = partial(toy_tasks.count_runs, str(notes))
    contestants = [
        measure.Contestant("free", task),
        measure.Contestant("absent", toy_tasks.fail_to_import),
        measure.Contestant("confined", task, {"OMP_NUM_THREADS": "3"}, one_core=True),
        measure.Contestant("refused", toy_tasks.refuse),
    ]
    found = measure.take_turns({"a setting": contestants}, 2)
    timings = found["timings"]["a setting"]
    assert found["missing"] == {"absent": "not installed (nowhere)", "refused": "no such thing"}
    assert {name: len(seconds) for name, seconds in timings.items()} == {"free": 2, "confined": 2}
    assert all(5 < peak < 5000 for peak in found["peak_mb"].values())  # MB, not kB or bytes
    warm_up, turns = np.split(np.array(notes.read_text().splitlines()), [2])
    free, confined = map(json.loads, warm_up)
    assert list(map(json.loads, turns)) == 2 * [free, confined]
    assert len({free["id"], confined["id"], os.getpid()}) == 3
    assert (free["OMP_NUM_THREADS"], confined["OMP_NUM_THREADS"]) == (None, "3")
    assert os.environ["OMP_NUM_THREADS"] == "7"
    if sys.platform == "linux":
        assert (free["cores"], confined["cores"]) == (available_cores(), 1)


def test_ratio_compares_within_rounds():
    # The third round met a noisy machine: it slowed both down alike, which a ratio of medians of
    # unpaired seconds would not know.
    assert measure.ratio([2, 4, 60], [1, 2, 20]) == 2
    for other in ([], [1.0]):
        with pytest.raises(ValueError, match=r"no median|shorter|longer"):
            measure.ratio(other, [1.0, 2.0][: 2 * len(other)])


def test_a_setting_has_its_surroundings_and_shares_its_processes():
    inside = []

    @contextmanager
    def surroundings():
        inside.append("in")
        yield
        inside.append("out")

    same = [measure.Contestant("one", toy_tasks.nothing)]
    found = measure.take_turns({QUIET: same, BUSY: same}, 3, {BUSY: surroundings})
    assert inside == 3 * ["in", "out"]
    assert [len(found["timings"][setting]["one"]) for setting in (QUIET, BUSY)] == [3, 3]


def test_settings_give_everybody_the_same_chances(monkeypatch):
    monkeypatch.setattr(sections, "take_turns", lambda settings, rounds: dict(settings))
    monkeypatch.setattr(sections, "profile_mlp", lambda epoch: {})
    monkeypatch.setattr(mlp, "load_mnist", None)  # nothing is to be loaded here
    monkeypatch.setitem(sections.MLP, OURS, lambda n: None)
    found = sections.run_epochs(sections.MLP, 1, 5)
    free, confined = found[DEFAULT], found[ONE_CORE]
    assert [c.name for c in free] == [*MLP, OURS_THREADED]
    assert [c.name for c in confined] == list(MLP)
    assert all(c.one_core and c.environment["OMP_NUM_THREADS"] == "1" for c in confined)
    assert not any(c.one_core for c in free)
    assert [c.name for c in free if "OMP_NUM_THREADS" in c.environment] == [OURS_THREADED]


def test_epochs_are_timed_on_the_cpu(monkeypatch):
    seen = []
    monkeypatch.setattr(sections, "take_turns", lambda *_: seen.append(dict(os.environ)) or {})
    monkeypatch.setattr(sections, "profile_cnn", lambda epoch: {})
    monkeypatch.setitem(sections.CNN, OURS, lambda n: None)
    monkeypatch.setenv("DIGITS_DEVICE", "cuda")
    sections.run_epochs(sections.CNN, 1, 5)
    sections.run_neighbour(1, 5)
    assert [environment["DIGITS_DEVICE"] for environment in seen] == ["cpu", "cpu"]
    assert os.environ["DIGITS_DEVICE"] == "cuda"


# ---- the contestants ----------------------------------------------------------------------------


@pytest.fixture
def few_digits(monkeypatch):
    """300 images in place of MNIST, a full batch and a rest; each digit has its bright pixels."""
    rng = np.random.default_rng(0)
    labels = rng.integers(10, size=300)
    bright = np.pad(np.repeat(np.eye(10)[labels], 78, axis=1), ((0, 0), (0, 4)))
    images = (0.3 * rng.random((300, 784)) + 0.7 * bright).astype(np.float32)
    split = Split(images, labels)
    monkeypatch.setattr(mlp, "training_images", split.first)
    return split


@pytest.mark.parametrize("looping", [mlp.ImageAtATime, mlp.BareImageAtATime])
def test_the_loop_does_what_ours_does(few_digits, looping):
    images, labels = few_digits
    targets, order = one_hot_encode(labels), np.random.default_rng(1).permutation(300)
    looped, batched = looping(seed=0), mlp.MLP(seed=0)
    losses = [
        train_epoch(network, images, targets, order, mlp.LEARNING_RATE, mlp.BATCH)
        for network in (looped, batched)
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    for name in PARAMETERS:
        np.testing.assert_allclose(getattr(looped, name), getattr(batched, name), atol=1e-6)


PEERS = [name for name in MLP if name.startswith(("PyTorch", "JAX"))]


@pytest.mark.parametrize("name", [*PEERS, OURS, sections.LOOP])
def test_peers_learn(few_digits, name):
    if name.startswith("JAX"):
        pytest.importorskip("jax")
    epoch = MLP[name](300)
    first = epoch()
    assert 2.0 < first < 5.0  # nats an image: nothing is learned yet, and it is a mean
    for _ in range(10):
        last = epoch()
    assert last < 0.9 * first


def test_epoch_of_any_size_runs():
    for sizes in ((300, 16, 256), (5, 4, 1)):
        mlp.ours_of_size(*sizes)()


def test_imports_of_the_notebooks_are_all_found():
    for path in waiting.NOTEBOOKS:
        lines = waiting.imports(path).splitlines()
        assert lines[0] == "import sys"
        assert "from helpers.mnist import load_mnist" in lines
        compile("\n".join(lines), "imports", "exec")


def test_memory_of_a_command_and_its_failure():
    hungry = "import subprocess, sys; subprocess.run([sys.executable, '-c', " \
             "'x = bytearray(100_000_000); import time; time.sleep(0.5)'])"  # fmt: skip
    seconds, peak_mb = waiting.command(sys.executable, "-c", hungry)
    assert peak_mb > 100
    assert seconds > 0.5
    with pytest.raises(waiting.subprocess.CalledProcessError):
        waiting.command(sys.executable, "-c", "raise SystemExit(3)")


def test_the_floor_is_measured_beside_each_wait():
    assert waiting.floor_now(n_images=256) > 0


def test_long_waits_are_told_in_floors(everything):
    wait = everything["waiting"]["waits"][waiting.MAKE_RUN]
    assert waiting.in_floors(wait | {"seconds": [4.0, 9.0, 5.0], "floor": [1.0, 1.0, 1.0]}) == 5
    del wait["floor"]  # as in results from before
    assert f"| {waiting.MAKE_RUN} | 4.00 s | – | 900 MB |" in report.to_markdown(everything)
    assert verdicts(everything)[f"{waiting.MAKE_RUN}, in 2,960 times the floor"] == "not measured"


# ---- goals --------------------------------------------------------------------------------------


def test_goals_follow_from_the_results(everything):
    met = verdicts(everything)
    assert met["MLP: at most 1.5 times the floor, on one core each"] == "**not met**"  # 2
    assert met["MLP: ahead of every peer, with default settings"] == "met"
    assert met[f"CNN: 3 times as fast as {sections.USUAL}"] == "met"  # 3.5
    assert met[f"{waiting.MAKE_TEST}, in 3,380 times the floor"] == "met"  # 80
    assert met[f"CNN: 3 times as fast as {sections.WITH_WORKERS}"] == "**not met**"  # 2.5
    assert met["CNN: ahead of every peer, with default settings"] == "**not met**"
    assert met["CNN: ahead of every peer, on one core each"] == "met"
    assert met["CNN, ours: at most 2.5 times as long with one core busy"] == "**not met**"  # 3
    assert met["notebook 1: first picture, from the start of the first cell, in 5 s"] == "met"
    assert met["CNN on a GPU: 50 epochs in 15 s"] == "not measured"
    everything["gpu"]["timings"][DEFAULT][OURS] = [0.1, 0.2, 0.25]
    assert verdicts(everything)["CNN on a GPU: 50 epochs in 15 s"] == "met"


def test_no_peer_is_overlooked(everything):
    peers = set(MLP) - sections.NO_PEERS
    for peer in peers:
        everything["mlp"]["timings"][ONE_CORE][peer] = [0.1, 0.1, 0.1]
        assert verdicts(everything)["MLP: ahead of every peer, on one core each"] == "**not met**"
        everything["mlp"]["timings"][ONE_CORE][peer] = [90.0, 90.0, 90.0]


def test_goals_without_results_are_not_measured():
    assert set(verdicts({}).values()) == {"not measured"}


# ---- slopes -------------------------------------------------------------------------------------


def test_slope_is_the_exponent():
    sizes = [1.0, 4.0, 16.0, 64.0]
    assert report.slope(sizes, [3 * size**1.5 for size in sizes]) == pytest.approx(1.5)
    assert report.slope(sizes, [7.0] * 4) == pytest.approx(0)


def test_slopes_are_told_for_both_halves():
    points = [
        {"value": n, "seconds": max(n, 8) / 100, "peak_mb": 5.0} for n in (1, 2, 4, 8, 16, 32, 64)
    ]
    said = report.slopes("batch", points)
    assert "from 1 to 8 images in a batch time grows with the power 0.00" in said.lower()
    assert "from 8 to 64 images in a batch time grows with the power 1.00" in said
    assert said.count("memory with the power 0.00") == 2


# ---- report, figures, files ---------------------------------------------------------------------


def test_report_tells_everything(everything):
    text = report.to_markdown(everything)
    for title, _ in report.PARTS.values():
        assert f"## {title}" in text
    assert "| torch.compile | 1.50 s | 0.50 | 4.50 s | 1.50 |" in text
    assert "| ours, a thread on each core | 4.50 s | 1.50 | – | – |" in text
    assert "a, b: no GPU." in text
    assert "nobody: not installed (nothing)." in text
    assert "Not measured yet" not in text
    assert "Where our time goes, by the profiler: forward 25%, loss 75%." in text
    for row in goals.all_goals(everything):
        assert f"| {' | '.join(row)} |" in text


def test_the_report_begins_with_five_rows(everything):
    rows = list(report.headline(everything))
    assert len(rows) == len(list(report.headline({}))) == 5
    assert rows[3][1] == "3.00 s"
    assert rows[3][2] == "torch.compile: 0.50 times as long"
    top, _, _ = report.to_markdown(everything).partition("## Goals")
    assert all(f"| {' | '.join(row)} |" in top for row in rows)


def test_report_of_nothing_says_so():
    assert report.to_markdown({}).count("Not measured yet.") == len(report.PARTS)


def test_the_figure_says_what_it_shows(everything):
    file = BytesIO()
    report.draw_costs(everything["size"], file)
    assert "16,000 images: 4.00 s, 100 MB" in Image.open(file).info["Description"]


def test_results_are_read_as_written_and_rounded(tmp_path):
    file = tmp_path / "results.json"
    assert __main__.read(file) == {}
    measured = {"timings": {DEFAULT: {}}, "missing": {"a": "no GPU"}}
    __main__.publish(
        tmp_path, "gpu", measured | {"seconds": [1 / 3, 2], "deep": {"x": [[1e-9 / 3]]}}
    )
    written = __main__.read(file)["gpu"]
    assert written.pop("machine")["cores"] == available_cores()
    assert written == measured | {"seconds": [0.33333, 2], "deep": {"x": [[3.3333e-10]]}}
    for damage in ("{", "[]"):
        file.write_text(damage)
        with pytest.raises(ValueError, match="measure again"):
            __main__.read(file)


def test_a_section_measured_again_leaves_the_others(everything, tmp_path):
    (tmp_path / "results.json").write_text(json.dumps(everything))
    gpu = {"timings": {DEFAULT: {}}, "missing": {"ours": "it is being repaired"}}
    __main__.publish(tmp_path, "gpu", gpu)
    now = __main__.read(tmp_path / "results.json")
    assert now.pop("gpu")["missing"] == gpu["missing"]
    everything.pop("gpu")
    assert now == everything
    assert (tmp_path / "cost.png").exists()
    assert "it is being repaired" in (tmp_path / "results.md").read_text("utf-8")


def test_readme_quotes_the_results_on_file():
    readme = (ROOT / "README.md").read_text("utf-8")
    assert readme == report.update_readme(readme, __main__.read(RESULTS))


def test_report_on_file_is_that_of_the_results_on_file():
    measured = __main__.read(RESULTS)
    assert measured.keys() <= __main__.ROUNDS.keys() == sections.RUN.keys()
    text = RESULTS.with_suffix(".md").read_text("utf-8")
    assert text == report.to_markdown(measured)


def test_readme_is_written_between_its_markers(everything):
    text = report.update_readme(f"before\n{report.START}\nold\n{report.END}\nafter", everything)
    assert text.startswith("before\n")
    assert text.endswith("\nafter")
    assert "old" not in text
    assert "2.0 times the floor" in text
    assert "torch.compile 0.5" in text
    with pytest.raises(ValueError, match="markers"):
        report.update_readme("no markers", everything)
