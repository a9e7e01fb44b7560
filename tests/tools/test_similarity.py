"""Copies are found whatever they are called, given code is not, and code stays text."""

import re
import sys

import pytest

from grading.collect.source import functions_of
from grading.exam import read_exam
from grading.report import write_reports
from tests.checks.mutants import FORMS
from tests.grading.hand_ins.catalogue import modules
from tools import similarity
from tools.similarity import given_code, own_code, similar

EVIL = "\n\ndef sigmoid(a):\n    return '</pre><script>alert(1)</script>'  # <b>\n"


def code_of(text):
    """Return what is compared of a student who wrote all of notebook 1 into one file."""
    return own_code(functions_of({"mlp.py": text.encode(), "training.py": text.encode()}))


def renamed(text):
    """Return a copy with other names of variables, other comments and empty lines."""
    for old in ("a1", "z1", "a2", "y_hat", "batch", "order", "rng"):
        text = re.sub(rf"\b{old}\b", f"my_{old}", text)
    return text.replace("\n    return", "\n\n    # that is it\n    return")


@pytest.fixture(scope="module")
def pairs():
    forms = {
        name: (FORMS / f"{name}.py").read_text("utf-8") for name in ("plain", "loops", "einsum")
    }
    texts = forms | {"copy": renamed(forms["loops"])}
    return similar({name: code_of(text) for name, text in texts.items()}, given_code(), 10)


def test_a_copy_is_found_whatever_its_names(pairs):
    assert set(pairs[0]["names"]) == {"loops", "copy"}
    assert pairs[0]["share"] > 80
    assert all(pair["share"] < pairs[0]["share"] - 20 for pair in pairs[1:])


def test_what_is_given_is_not_similar():
    assert similar({"a": given_code(), "b": given_code()}, given_code(), 10) == []


def test_code_stays_text(tmp_path, monkeypatch, capsys):
    source = functions_of(modules(mlp=(FORMS / "plain.py").read_text("utf-8") + EVIL))
    exam = read_exam()
    page = {"points": 1.0, "maximum": exam.maximum, "exercises": [], "problems": [], "seed": 1,
            "source": source}  # fmt: skip
    write_reports([page | {"name": name} for name in ("<b>x", "y")], exam, tmp_path)
    monkeypatch.setattr(sys, "argv", ["similarity", str(tmp_path)])
    similarity.main()
    text = (tmp_path / "similar.html").read_text("utf-8")
    assert "<script" not in text
    assert "<b>" not in text
    assert "&lt;/pre&gt;&lt;script&gt;" in text
    assert "<mark>" in text
    assert "1 pairs of 2 students" in capsys.readouterr().out
