"""The logic of the benchmarks: turns, ratios, slopes, goals, report and files. No timings."""

import json
import os
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from benchmarks import (
    __main__,
    cnn_epoch,
    contest,
    cost,
    figures,
    goals,
    gpu_epoch,
    measure,
    mlp_epoch,
    mlp_ours,
    neighbour,
    report,
    results,
    waiting,
)
from benchmarks.contest import AS_IT_COMES, ONE_CORE, OURS, OURS_THREADED
from helpers.mlp import MLP, PARAMETERS
from helpers.training import one_hot_encode, train_epoch

ROOT = Path(__file__).parents[2]


def timings_of(names, seconds):
    """Three rounds for each name, all of a length that tells the names apart."""
    return {name: [s, 2 * s, 1.5 * s] for name, s in zip(names, seconds, strict=True)}


@pytest.fixture
def everything():
    """Made-up results of all sections, in which some goals are met and some are not."""
    mlp = [*mlp_epoch.ENTRIES, OURS_THREADED]
    cnn = [*cnn_epoch.ENTRIES, OURS_THREADED]
    machine = {"cores": 2, "python": "3.11.7"}
    point = {"value": 2000, "seconds": 0.5, "peak_mb": 100.0}
    points = [point | {"value": 2000 * k, "seconds": 0.5 * k} for k in (1, 2, 4, 8)]
    waits = {name: {"seconds": [4.0], "peak_mb": [900.0]} for name in waiting.plan(1, 1)}
    names = [contestant.name for contestant in neighbour.contestants(5)]
    parts = dict.fromkeys(mlp_epoch.PARTS.values(), 0.01)
    sections = {
        "mlp": {"timings": {AS_IT_COMES: timings_of(mlp, range(1, 12)),
                            ONE_CORE: timings_of(mlp[:-1], range(1, 11))},
                "missing": {}, "images": 50_000, "profile": parts},
        "cnn": {"timings": {AS_IT_COMES: timings_of(cnn, [2, 7, 5, 1, 9, 3]),
                            ONE_CORE: timings_of(cnn[:-1], [2, 7, 5, 3, 9])},
                "missing": {"nobody": "not installed (nothing)"}, "images": 50_000},
        "gpu": {"timings": {AS_IT_COMES: {}}, "missing": {"a": "no GPU", "b": "no GPU"}},
        "size": {"usual": cost.USUAL, "sweeps": dict.fromkeys(cost.SIZES, points)},
        "neighbour": {"timings": {neighbour.QUIET: timings_of(names, [1] * len(names)),
                                  neighbour.BUSY: timings_of(names, [3] * len(names))},
                      "missing": {}, "images": 50_000},
        "waiting": {"waits": waits},
    }  # fmt: skip
    return {name: {"machine": machine} | section for name, section in sections.items()}


def verdicts(sections):
    return {goal.text: goal.met for goal in goals.all_goals(sections)}


# ---- taking turns -------------------------------------------------------------------------------


def test_workers_take_turns_apart_and_the_missing_are_named(tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")  # is not to reach the contestants
    notes = tmp_path / "notes"
    task = "tests.benchmarks.toy_tasks:count_runs"
    threads = {"OMP_NUM_THREADS": "3"}
    contestants = [
        measure.Contestant("free", task, (str(notes),)),
        measure.Contestant("absent", "tests.benchmarks.toy_tasks:fail_to_import"),
        measure.Contestant("confined", task, (str(notes),), threads, one_core=True),
        measure.Contestant("refused", "tests.benchmarks.toy_tasks:refuse"),
    ]
    timings = {}
    with measure.workers(contestants) as (ready, missing):
        for _ in range(2):
            measure.add_round(timings, ready)
        peaks = [worker.peak_memory() for worker in ready]
    assert missing == {"absent": "not installed (nowhere)", "refused": "no such thing here"}
    assert {name: len(seconds) for name, seconds in timings.items()} == {"free": 2, "confined": 2}
    assert all(5 < peak < 5000 for peak in peaks)  # MB, not kB or bytes
    warm_up, turns = np.split(np.array(notes.read_text().splitlines()), [2])
    free, confined = map(json.loads, warm_up)
    assert list(map(json.loads, turns)) == 2 * [free, confined]
    assert len({free["id"], confined["id"], os.getpid()}) == 3
    assert (free["OMP_NUM_THREADS"], confined["OMP_NUM_THREADS"]) == (None, "3")
    assert os.environ["OMP_NUM_THREADS"] == "7"
    if sys.platform == "linux":
        assert (free["cores"], confined["cores"]) == (measure.available_cores(), 1)


def test_ratio_compares_within_rounds():
    # The third round met a noisy machine: it slowed both down alike, which a ratio of medians of
    # unpaired seconds would not know.
    assert measure.ratio([2, 4, 60], [1, 2, 20]) == 2
    for other in ([], [1.0]):
        with pytest.raises(ValueError, match="as many of both"):
            measure.ratio(other, [1.0, 2.0][: 2 * len(other)])


def test_settings_give_everybody_the_same_chances():
    free, confined = contest.settings(mlp_epoch.ENTRIES, 5, {"X": "1"}).values()
    assert [c.name for c in free] == [*mlp_epoch.ENTRIES, OURS_THREADED]
    assert [c.name for c in confined] == list(mlp_epoch.ENTRIES)
    assert all(c.one_core and c.environment["OMP_NUM_THREADS"] == "1" for c in confined)
    assert not any(c.one_core for c in free)
    assert [c.name for c in free if "OMP_NUM_THREADS" in c.environment] == [OURS_THREADED]
    assert all(c.environment["X"] == "1" for c in [*free, *confined])


# ---- the contestants ----------------------------------------------------------------------------


@pytest.fixture
def few_digits(monkeypatch):
    """300 images in place of MNIST, a full batch and a rest; each digit has its bright pixels."""
    rng = np.random.default_rng(0)
    labels = rng.integers(10, size=300)
    bright = np.pad(np.repeat(np.eye(10)[labels], 78, axis=1), ((0, 0), (0, 4)))
    images = (0.3 * rng.random((300, 784)) + 0.7 * bright).astype(np.float32)
    split = mlp_ours.Split(images, labels)
    monkeypatch.setattr(mlp_ours, "training_images", lambda n: split.first(n))
    return split


@pytest.mark.parametrize("add_gradient", [mlp_ours.MLP_gradient, mlp_ours.bare_gradient])
def test_the_loop_does_what_ours_does(few_digits, add_gradient):
    images, labels = few_digits
    targets, order = one_hot_encode(labels), np.random.default_rng(1).permutation(300)
    looped, batched = MLP(seed=0), MLP(seed=0)
    loss = mlp_ours.loop_epoch(looped, images, targets, order, add_gradient)
    wanted = train_epoch(batched, images, targets, order, mlp_ours.LEARNING_RATE, mlp_ours.BATCH)
    assert loss == pytest.approx(wanted, rel=1e-5)
    for name in PARAMETERS:
        np.testing.assert_allclose(getattr(looped, name), getattr(batched, name), atol=1e-6)


@pytest.mark.parametrize("name", ["eager", "dataloader", "jit_of_step", "jit_of_epoch"])
def test_peers_learn(few_digits, name, monkeypatch):
    jax = name.startswith("jit")
    if jax:
        pytest.importorskip("jax")
    peer = import_module("benchmarks.mlp_jax" if jax else "benchmarks.mlp_torch")
    monkeypatch.setattr(peer, "training_images", lambda n: few_digits.first(n))
    epoch = getattr(peer, name)(300)
    first = epoch()
    assert 2.0 < first < 5.0  # nats an image: nothing is learned yet, and it is a mean
    for _ in range(10):
        last = epoch()
    assert last < 0.9 * first


def test_every_entry_can_be_found():
    for entries in (mlp_epoch.ENTRIES, cnn_epoch.ENTRIES, gpu_epoch.ENTRIES):
        for task in entries.values():
            module, _, function = task.partition(":")
            source = (ROOT / module.replace(".", "/")).with_suffix(".py").read_text("utf-8")
            assert f"def {function}(" in source, task


def test_epoch_of_any_size_runs():
    for sizes in ((300, 16, 256), (5, 4, 1)):
        cost.epoch_of_size(*sizes)()


def test_imports_of_the_notebooks_are_all_found():
    for path in waiting.NOTEBOOKS.values():
        lines = waiting.imports(path).splitlines()
        assert lines[0] == "import sys"
        assert "from helpers.mnist import load_mnist" in lines
        compile("\n".join(lines), "imports", "exec")


def test_memory_of_a_command_and_its_failure():
    hungry = "import subprocess, sys; subprocess.run([sys.executable, '-c', " \
             "'x = bytearray(100_000_000); import time; time.sleep(0.5)'])"  # fmt: skip
    wait = waiting.command("-c", hungry)
    assert wait.peak_mb > 100
    assert wait.seconds > 0.5
    with pytest.raises(waiting.subprocess.CalledProcessError):
        waiting.command("-c", "raise SystemExit(3)")


# ---- goals --------------------------------------------------------------------------------------


def test_goals_follow_from_the_results(everything):
    met = verdicts(everything)
    assert met["MLP: at most 1.5 times the floor, on one core each"] is False  # 2
    assert met["MLP: ahead of every peer, as they come"] is True
    assert met[f"CNN: 3 times as fast as {cnn_epoch.USUAL[0]}"] is True  # 3.5
    assert met[f"CNN: 3 times as fast as {cnn_epoch.USUAL[2]}"] is False  # 2.5
    assert met["CNN: ahead of every peer, as they come"] is False
    assert met["CNN: ahead of every peer, on one core each"] is True
    assert met["CNN, ours: at most 2.5 times as long with a core taken"] is False  # 3
    assert met["notebook 1: first picture, from the start of the first cell, in 5 s"] is True
    assert met["CNN on a GPU: 50 epochs in 15 s"] is None
    everything["gpu"]["timings"][AS_IT_COMES][OURS] = [0.1, 0.2, 0.25]
    assert verdicts(everything)["CNN on a GPU: 50 epochs in 15 s"] is True


def test_no_peer_is_overlooked(everything):
    peers = set(mlp_epoch.ENTRIES) - mlp_epoch.NO_PEERS - {OURS}
    for peer in peers:
        everything["mlp"]["timings"][ONE_CORE][peer] = [0.1, 0.1, 0.1]
        assert verdicts(everything)["MLP: ahead of every peer, on one core each"] is False
        everything["mlp"]["timings"][ONE_CORE][peer] = [90.0, 90.0, 90.0]


def test_goals_without_results_are_not_measured():
    assert set(verdicts({}).values()) == {None}


# ---- slopes -------------------------------------------------------------------------------------


def test_slope_is_the_exponent():
    sizes = [1.0, 4.0, 16.0, 64.0]
    assert cost.slope(sizes, [3 * size**1.5 for size in sizes]) == pytest.approx(1.5)
    assert cost.slope(sizes, [7.0] * 4) == pytest.approx(0)


def test_slopes_are_told_for_both_halves():
    points = [
        {"value": n, "seconds": max(n, 8) / 100, "peak_mb": 5.0} for n in (1, 2, 4, 8, 16, 32, 64)
    ]
    said = report.slopes("batch", points)
    assert "from 1 to 8 images in a batch time goes with the power 0.00" in said.lower()
    assert "from 8 to 64 images in a batch time goes with the power 1.00" in said
    assert said.count("memory with the power 0.00") == 2


# ---- report, figures, files ---------------------------------------------------------------------


def test_report_tells_everything(everything):
    text = report.to_markdown(everything)
    for title in report.TITLES.values():
        assert f"## {title}" in text
    assert "| torch.compile | 1.50 s | 0.50 | 4.50 s | 1.50 |" in text
    assert "| ours, a thread on each core | 4.50 s | 1.50 | – | – |" in text
    assert "a, b: no GPU." in text
    assert "nobody: not installed (nothing)." in text
    assert "Not measured yet" not in text
    for goal in goals.all_goals(everything):
        assert f"| {goal.text} | {goal.figure} | {goal.verdict} |" in text


def test_report_of_nothing_says_so():
    assert report.to_markdown({}).count("Not measured yet.") == len(report.TITLES)


def test_figures_say_what_they_show(everything, tmp_path):
    figures.draw(everything, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"epochs.png", "cost.png"}
    epochs = figures.epochs_figure({"cnn": everything["cnn"]})
    shown = [tick.get_text() for tick in epochs.axes[0].get_yticklabels()]
    assert shown[:2] == ["torch.compile", OURS]  # the fastest at the top
    assert "torch.compile 1.50 s" in epochs.get_label()
    alt = figures.cost_figure(everything["size"]).get_label()
    assert "16,000 images: 4.00 s, 100 MB" in alt


def test_results_are_read_as_written_and_rounded(tmp_path):
    file = tmp_path / "results.json"
    assert results.read(file) == {}
    results.write(file, {"mlp": {"seconds": [1 / 3, 2], "deep": {"x": [[1e-9 / 3]]}}})
    assert results.read(file) == {"mlp": {"seconds": [0.33333, 2], "deep": {"x": [[3.3333e-10]]}}}
    for damage in ("{", "[]"):
        file.write_text(damage)
        with pytest.raises(ValueError, match="measure again"):
            results.read(file)


def test_a_section_measured_again_leaves_the_others(everything, tmp_path):
    results.write(tmp_path / "results.json", everything)
    gpu = {"timings": {AS_IT_COMES: {}}, "missing": {"ours": "it is being repaired"}}
    __main__.publish(tmp_path, "gpu", gpu)
    now = results.read(tmp_path / "results.json")
    assert now.pop("gpu")["missing"] == gpu["missing"]
    everything.pop("gpu")
    assert now == results.rounded(everything)
    assert "it is being repaired" in (tmp_path / "results.md").read_text("utf-8")


def test_readme_quotes_the_results_on_file():
    readme = (ROOT / "README.md").read_text("utf-8")
    assert readme == report.update_readme(readme, results.read(results.FILE))


def test_report_on_file_is_that_of_the_results_on_file():
    measured = results.read(results.FILE)
    assert measured.keys() <= __main__.SECTIONS.keys()
    text = results.FILE.with_suffix(".md").read_text("utf-8")
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
