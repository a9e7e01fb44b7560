import numpy as np
import pytest

from helpers.evaluation import compare_gaps, hardest_digits, worst_mistakes
from helpers.mnist import Classes
from helpers.training import History


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
