"""The record: what is on file stays, what is missing is trained, the table tells what was tried."""

import json
from dataclasses import replace

import pytest
import torch

from benchmarks import record, record_trials
from benchmarks.recipe import RECIPES
from benchmarks.record_trials import START, VARIANTS


@pytest.fixture
def trained(monkeypatch, tmp_path):
    """Let a training with a seed "give" an accuracy of that seed; return the seeds trained."""
    seeds = []
    monkeypatch.setattr(record, "record_file", lambda name: tmp_path / f"{name}.json")
    monkeypatch.setattr(record, "train", lambda recipe, missing: seeds.extend(missing) or missing)
    monkeypatch.setattr(record, "measure", lambda seed: {"validation": 90.0, "test": float(seed)})
    return seeds


def test_only_the_missing_seeds_are_trained(trained, tmp_path):
    (tmp_path / "MLP.json").write_text(json.dumps({"1": {"validation": 98.0, "test": 98.5}}))
    runs = record.complete("MLP", 3)
    assert trained == [0, 2]
    assert [run["test"] for run in runs] == [0.0, 98.5, 2.0]
    assert record.complete("MLP", 3) == runs
    assert trained == [0, 2]


@pytest.mark.parametrize("name", list(RECIPES))
def test_a_recipe_with_a_temperature_gets_the_cnn_of_the_page(monkeypatch, name):
    given = {}
    monkeypatch.setattr(record, "train_recipe", lambda *_, **settings: given.update(settings) or [])
    monkeypatch.setattr(record, "digits_of", lambda _: type("Digits", (), {"train": None}))
    record.train(RECIPES[name], [0])
    assert (given["teacher"] is None) == (RECIPES[name].temperature is None)


def test_each_variant_is_a_recipe_of_its_own():
    changes = [change for variants in VARIANTS.values() for change in variants.values()]
    for change in changes:
        recipe = replace(START, **change)
        assert not change or recipe != START
        optimizer = recipe.make_optimizer(
            recipe.make_network(0).parameters(), lr=torch.tensor(recipe.rate)
        )
        assert isinstance(optimizer, torch.optim.Optimizer)


def test_the_best_variant_stands_first():
    runs = {
        "a": {"validation": [98.0, 98.2], "views": {"0.5": [98.0, 98.4]}, "seconds": 1.5},
        "b": {"validation": [98.4], "seconds": 2.0},
    }
    assert record_trials.table(36, runs).splitlines()[3:] == [
        "b | 98.40 | 98.40 | – | 2.0",
        "a | 98.10 | 98.00, 98.20 | 98.20 | 1.5",
    ]
