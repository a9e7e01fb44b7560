"""The drawings of the benchmark: what is drawn, and that the page's networks read it."""

import numpy as np
import pytest

from benchmarks.drawings import FORMS, STYLES, drawing, drawings, table
from benchmarks.page import beliefs, page_content


@pytest.mark.parametrize("style", STYLES)
def test_each_form_is_a_picture_of_its_own_in_any_style(style):
    rng = np.random.default_rng(0)
    pictures = np.stack([drawing(form, STYLES[style], rng) for form in FORMS.values()])
    assert pictures.shape == (len(FORMS), 784)
    assert (pictures.sum(axis=1) > 10).all()
    assert len(np.unique(pictures, axis=0)) == len(FORMS)


def test_a_thicker_pen_leaves_more_ink_and_each_hand_draws_anew():
    def ink(style, seed):
        rng = np.random.default_rng(seed)
        return sum(drawing(form, STYLES[style], rng) for form in FORMS.values())

    assert ink("thin", 0).sum() < ink("normal", 0).sum() < ink("thick", 0).sum()
    assert not np.array_equal(ink("normal", 0), ink("normal", 1))


def test_all_digits_are_drawn_and_every_style_as_often_as_another():
    forms, styles, images = drawings(60)
    assert len(images) == len(forms) == len(styles) == 60
    assert {form[0] for form in forms} == set("0123456789")
    assert [styles.count(style) for style in STYLES] == [6] * len(STYLES)


def test_the_table_counts_each_group_and_all():
    right = {"mlp": np.array([True, False, True]), "record": np.array([False, False, True])}
    lines = table("how", ["a", "b", "a"], right)
    assert lines[0].startswith("how | how many | MLP | CNN")
    assert lines[2:] == ["a | 2 | 2 | 1", "b | 1 | 0 | 0", "all | 3 | 2 | 1"]


def test_the_cnn_that_learned_from_deformed_digits_reads_drawings():
    forms, _, images = drawings(300)
    found = beliefs(page_content(), images)["record"].argmax(axis=1)
    assert np.mean(found == [int(form[0]) for form in forms]) > 0.95
