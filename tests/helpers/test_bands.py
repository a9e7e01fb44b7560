"""Bands and the sanitizers made of them: they must let through what is right, and nothing else."""

import json
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from nbval.plugin import get_sanitize_patterns

import benchmarks.bands
from benchmarks.bands import (
    RUNS,
    bands_to_json,
    results_by_seed,
    to_band,
    varies_by_factors,
    width,
)
from helpers.bands import Band, load_bands, verdict
from helpers.mnist import DATA_SETS
from tests.notebooks.sanitizers import sanitizer, sanitizer_file

BAND = Band(mean=96.9, sd=0.1, seeds=20)  # 96.5 to 97.3
# Where training takes long and no mark depends on it.
FEWER_SEEDS = {("Fashion-MNIST", "CNN full"): 4, ("Fashion-MNIST", "CNN mini"): 4}
ALL_BANDS = [
    (source, name, band) for source, bands in load_bands().items() for name, band in bands.items()
]


@pytest.fixture(scope="module")
def sanitize():
    return sanitizer()


@pytest.mark.parametrize(
    ("value", "word"),
    [(96.4949, "TOO LOW"), (96.4951, "ok"), (97.0, "ok"), (97.304, "ok"), (97.306, "TOO HIGH"),
     (float("nan"), "TOO LOW")],
)  # fmt: skip
def test_verdict_says_where_the_value_lies(value, word):
    assert BAND.verdict("test", value).endswith(f"expected 96.5 to 97.3: {word}")


def test_unknown_bands_are_named():
    with pytest.raises(KeyError, match=r"no band called 'x' .* on MNIST.* MLP full, gap"):
        verdict("x", 1.0, "MNIST")


def test_all_data_sets_have_the_same_results_each_over_enough_seeds():
    noun_of = {row.name: row.classes.noun for row in DATA_SETS} | {"stand-in": "digit"}
    assert load_bands().keys() == noun_of.keys()
    for source, bands in load_bands().items():
        digits = {name.replace(f"hardest {noun_of[source]}", "hardest digit") for name in bands}
        assert digits == load_bands()["MNIST"].keys()
    for source, name, band in ALL_BANDS:
        assert band.seeds >= FEWER_SEEDS.get((source, name.split(",")[0]), 20)
    assert all(0 <= b.low <= b.mean <= b.high <= 100 for _, _, b in ALL_BANDS)


def test_the_bands_exclude_a_network_that_learned_too_little():
    # The fault of a published tutorial, a wrong gradient that "works", cost a few percent.
    for source in ("MNIST", "stand-in"):
        assert load_bands()[source]["MLP full, test accuracy"].low > 94


def test_to_band_spans_four_standard_deviations_rounded_outwards():
    away = (19 / 20) ** 0.5  # so that the standard deviation is 1
    band = to_band(10 * [91 - away, 91 + away])
    assert (band.low, band.high, band.mean, band.sd, band.seeds) == (87.0, 95.0, 91.0, 1.0, 20)
    assert to_band([99.9, 99.5, 99.7]).high == 100.0


def test_what_varies_by_factors_has_a_band_in_logarithms():
    """Of such results, as many lie in the band of others as of those that vary by sums."""
    rng = np.random.default_rng(0)
    values = np.expm1(rng.normal(2, 0.3, size=(5_000, 21)))
    bands = [to_band(list(row), in_logs=True) for row in values[:, :20]]
    off = [
        not band.low <= value <= band.high for band, value in zip(bands, values[:, 20], strict=True)
    ]
    assert np.mean(off) == pytest.approx(9e-4, abs=9e-4)
    assert to_band([0.0, 0.0, 1.0], in_logs=True).low == 0


def test_fewer_seeds_make_a_wider_band():
    """Of bands from n seeds, as many hold one more value as of those from 20."""
    rng = np.random.default_rng(0)
    for n, wanted in ((20, 4.0), (4, 14.7)):
        assert width(n) == pytest.approx(wanted, abs=0.1)
        values = rng.normal(size=(20_000, n + 1))
        off = np.abs(values[:, n] - values[:, :n].mean(1)) / values[:, :n].std(1, ddof=1)
        assert (off > width(n)).mean() == pytest.approx(9e-4, abs=7e-4)


def test_every_sanitizer_survives_nbvals_parser():
    # nbval silently drops what it can't parse, and the notebook would then fail everywhere.
    assert len(get_sanitize_patterns(sanitizer_file())) == sanitizer_file().count("regex: ")


@pytest.mark.parametrize(("source", "name", "band"), ALL_BANDS)
def test_values_in_the_band_are_overlooked_and_others_are_not(source, name, band, sanitize):
    expected = f"expected {band.low:.1f} to {band.high:.1f}: ok"
    for value in (band.low, band.mean, band.high):
        assert sanitize(band.verdict(name, value)) == f"{name}: IN BAND"
    for value in (band.low - 0.01, band.high + 0.01, band.mean + 100):
        text = f"{name}: {value:.2f} %, {expected}"
        assert sanitize(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "W1_grad against autograd: relative difference 2.0e-07, right",
        "W1_grad against autograd: relative difference 2.0e-09, wrong",
        "W1_grad against autograd: relative difference nan, wrong",
        "epoch  17: loss nan, training 9.80 %, validation 9.91 %",
        "MLP full, test accuracy: 97.00 %, expected 96.0 to 98.0: TOO LOW",
        "mini over-fits more: it is 9.0 points better here than on others, full only -1.0 points.",
        "digit 8: 9.8 % right, most often taken for 0 (974 images)",
        "logits: approximate, relative difference 2.0e-05, close",
        "logits: different, relative difference 2.0e-03, suspicious",
        "W1_grad: approximate, relative difference 2.0e-07, close",
        "a batch: different, relative difference 5.0e-01, wrong",
        "one_hot_encode: not done yet",
    ],
)
def test_what_is_wrong_is_not_overlooked(text, sanitize):
    assert sanitize(text) == text


def test_rounding_on_another_cpu_is_overlooked_in_the_checks(sanitize):
    here = "logits: exact, relative difference 0.0e+00, right"
    assert sanitize(here) == sanitize("logits: approximate, relative difference 2.1e-07, close")
    for ours, theirs in (("0.0e+00", "5.6e-16"), ("1.9e-22", "3.1e-13")):
        line = "a batch: exact, relative difference {}, right"
        assert sanitize(line.format(ours)) == sanitize(line.format(theirs))


@pytest.mark.parametrize("file", sorted(RUNS.glob("*.json")), ids=lambda file: file.stem)
def test_bands_are_those_of_the_runs_on_file(file):
    """Where the runs were kept, nobody can widen a band without inventing all of them."""
    _, source = file.stem.split("_")
    runs = list(json.loads(file.read_text()).values())
    for name in runs[0]:
        values = [run[name] for run in runs]
        band = to_band(values, in_logs=varies_by_factors(name))
        assert load_bands()[source][name] == band, name


def test_json_is_read_back_as_it_was_written(tmp_path, monkeypatch):
    import helpers.bands

    monkeypatch.setattr(helpers.bands, "BANDS_FILE", tmp_path / "bands.json")
    helpers.bands.BANDS_FILE.write_text(bands_to_json({"MNIST": {"a": BAND}}))
    assert load_bands.__wrapped__() == {"MNIST": {"a": BAND}}


def test_a_measurement_goes_on_where_it_was_stopped(tmp_path, monkeypatch):
    class InThisProcess(ThreadPoolExecutor):
        def __init__(self, mp_context):
            super().__init__(max_workers=1)

    measured = []

    def measure(seed):
        measured.append(seed)
        return {"x": 90.0 + seed}

    monkeypatch.setattr(benchmarks.bands, "ProcessPoolExecutor", InThisProcess)
    monkeypatch.setattr(os, "environ", os.environ.copy())
    results_by_seed(tmp_path / "runs.json", measure, 2, "a test")
    results = results_by_seed(tmp_path / "runs.json", measure, 4, "a test")
    assert measured == [0, 1, 2, 3]
    assert [result["x"] for result in results] == [90, 91, 92, 93]
