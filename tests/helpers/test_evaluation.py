import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from helpers.evaluation import (
    about_as_hard,
    compare_gaps,
    confusion_matrix,
    hardest_digits,
    worst_mistakes,
)
from helpers.mnist import Classes
from helpers.training import History


@given(pairs=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9))))
def test_the_confusion_matrix_is_scikit_learns(pairs):
    labels, predicted = np.array(pairs, dtype=int).reshape(-1, 2).T
    wanted = np.zeros((10, 10))
    if pairs:
        wanted = metrics.confusion_matrix(labels, predicted, labels=range(10))
    np.testing.assert_array_equal(confusion_matrix(labels, predicted), wanted)


def test_a_confusion_matrix_wants_as_many_labels_as_predictions():
    with pytest.raises(ValueError, match=r"labels have shape \(2,\) and predicted \(3,\)"):
        confusion_matrix([1, 2], [1, 2, 3])


def test_hardest_digits_are_ranked_by_recall():
    counts = np.diag([50, 90, 70])
    counts[0, 1:] = 20, 30
    counts[1, 2] = 10
    counts[2, 0] = 30
    ranking = hardest_digits(counts)
    assert [entry.digit for entry in ranking] == [0, 2, 1]
    assert str(ranking[0]) == "digit 0: 50.0 % right, most often taken for 2 (30 images)"


def test_hardest_classes_are_called_by_their_names():
    counts, pets = [[5, 1, 0], [4, 4, 2], [0, 1, 9]], Classes("pet", ("cat", "dog", "eel"))
    ranking = hardest_digits(counts, pets)
    assert str(ranking[0]) == "pet dog: 40.0 % right, most often taken for cat (4 images)"


@pytest.mark.parametrize("counts", [np.zeros((3, 3)), np.ones((3, 4)), np.ones(3)])
def test_hardest_digits_refuses_what_is_no_confusion_matrix(counts):
    with pytest.raises(ValueError, match="counts has shape"):
        hardest_digits(counts)


def test_a_claim_about_the_hardest_is_as_strong_as_its_standard_error():
    counts = np.array([[900, 100, 0], [75, 925, 0], [30, 0, 970]])
    told = about_as_hard(counts)
    assert told.startswith(
        "0 is right in 90.0 % of 1,000 images, ± 0.9 points (one standard error)"
    )
    assert told.endswith("of the difference: 1.")  # 2.5 points, where two standard errors are 2.5
    assert about_as_hard(10 * counts).endswith("of the difference: none.")
    pets = Classes("pet", ("cat", "dog", "eel"))
    assert about_as_hard(counts, pets).startswith("cat is right")


@given(st.integers(0, 2**32 - 1))
def test_classes_that_are_truly_alike_are_seldom_told_apart(seed):
    rng = np.random.default_rng(seed)
    right = rng.binomial(1000, [0.9, 0.9])
    told = about_as_hard(np.array([[right[0], 1000 - right[0]], [1000 - right[1], right[1]]]))
    apart = abs(right[0] - right[1]) > 2 * np.sqrt((right * (1 - right / 1000)).sum())
    assert told.endswith("none.") == apart


def test_worst_mistakes_are_the_surest_wrong_ones():
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.3, 0.7]])
    labels = np.array([1, 1, 1, 0])
    assert worst_mistakes(probabilities, labels, 2).tolist() == [0, 3]
    assert worst_mistakes(probabilities, labels, 9).tolist() == [0, 3, 2]
    with pytest.raises(ValueError, match=r"\(4, 2\).*\(3,\)"):
        worst_mistakes(probabilities, labels[:3], 1)


@pytest.mark.parametrize(("mini", "more"), [(80.0, "mini"), (98.5, "full")])
def test_compare_gaps_names_the_training_that_over_fits_more(mini, more):
    text = compare_gaps(History([0.1], [99.0], [mini]), History([0.1], [99.0], [97.0]))
    assert text.startswith(f"{more} over-fits more: it is {99 - min(mini, 97.0):.1f} points")
