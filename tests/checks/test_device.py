"""Checks compute on the CPU, whatever device a student's computer has."""

import pytest

from helpers import cnn
from tests.checks.mutants import run_check


def test_a_check_looks_for_no_other_device(monkeypatch):
    monkeypatch.setenv("DIGITS_DEVICE", "cuda:99")
    with pytest.raises(ValueError, match="cannot be used here"):
        cnn.choose_device()
    assert run_check("trainNN", cnn).passed
