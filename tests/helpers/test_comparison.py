"""Comparisons are checked on images so small in number that the answer is known by hand."""

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from helpers.evaluation import OUTCOMES, duel, permute_pixels, shift_accuracies, shift_images


@pytest.fixture
def images() -> NDArray[Any]:
    return np.random.default_rng(0).random((3, 784)).astype(np.float32)


def dot(row: int, column: int) -> NDArray[Any]:
    """Return one black image with a white pixel."""
    picture = np.zeros((1, 28, 28))
    picture[0, row, column] = 1
    return picture.reshape(1, 784)


# duel


def test_duel_tells_who_was_wrong() -> None:
    labels, mlp, cnn = [1, 2, 3, 4, 5], [1, 9, 3, 9, 5], [1, 2, 9, 8, 5]
    assert {name: list(rows) for name, rows in duel(mlp, cnn, labels).items()} == {
        "both right": [0, 4],
        "only MLP wrong": [1],
        "only CNN wrong": [2],
        "both wrong": [3],
    }


def test_every_image_has_one_outcome() -> None:
    mlp, cnn, labels = np.random.default_rng(0).integers(0, 3, (3, 200))
    outcomes = duel(mlp, cnn, labels)
    assert tuple(outcomes) == OUTCOMES
    np.testing.assert_array_equal(np.sort(np.concatenate([*outcomes.values()])), np.arange(200))


def test_duel_keeps_an_outcome_that_never_came() -> None:
    assert [len(rows) for rows in duel([1], [1], [1]).values()] == [1, 0, 0, 0]


# shift_images


@pytest.mark.parametrize(
    ("right", "down", "place"),
    [(3, 0, (10, 15)), (-3, 0, (10, 9)), (0, 2, (12, 12)), (0, -2, (8, 12)), (1, -1, (9, 13))],
)
def test_pixel_moves_where_it_should(right: int, down: int, place: tuple[int, int]) -> None:
    np.testing.assert_array_equal(shift_images(dot(10, 12), right, down), dot(*place))


@pytest.mark.parametrize(("right", "down"), [(1, 0), (0, 1), (28, 0), (0, 28), (99, 99)])
def test_nothing_wraps_around(right: int, down: int) -> None:
    assert not shift_images(dot(27, 27), right, down).any()
    assert not shift_images(dot(0, 0), -right, -down).any()


def test_shift_keeps_the_type_and_leaves_the_original(images: NDArray[Any]) -> None:
    before = images.copy()
    shifted = shift_images(images, 2, 0)
    shift_images(images, 0, 0)[:] = 7
    np.testing.assert_array_equal(images, before)
    assert (shifted.dtype, shifted.shape) == (images.dtype, images.shape)


# shift_accuracies


def test_accuracy_is_the_mean_of_four_directions() -> None:
    """A network that reads 1 only where the pixel is still in the upper half of the picture."""

    def predict(images: NDArray[Any]) -> NDArray[Any]:
        return images.reshape(-1, 28, 28)[:, :14].any(axis=(1, 2)).astype(int)

    assert shift_accuracies(predict, dot(12, 12), [1], shifts=[0, 1, 2]) == [100, 100, 75]
    assert shift_accuracies(predict, dot(12, 12), [1]) == [100, 100, 75, 75, 75, 75, 75]


def test_each_shift_is_predicted_four_times_but_0_once(images: NDArray[Any]) -> None:
    seen = []

    def predict(shifted: NDArray[Any]) -> NDArray[Any]:
        seen.append(shifted)
        return np.zeros(3)

    shift_accuracies(predict, images, [0, 0, 1], shifts=[0, 5])
    assert len(seen) == 1 + 4
    np.testing.assert_array_equal(seen[0], images)
    assert len({shifted.tobytes() for shifted in seen}) == 5


# permute_pixels


def test_every_image_is_permuted_alike(images: NDArray[Any]) -> None:
    permuted = permute_pixels(images)
    order = [int(np.flatnonzero(images[0] == pixel)[0]) for pixel in permuted[0]]
    assert sorted(order) == list(range(784)) != order
    np.testing.assert_array_equal(permuted, images[:, order])


def test_order_depends_on_the_seed_alone(images: NDArray[Any]) -> None:
    np.testing.assert_array_equal(permute_pixels(images)[:1], permute_pixels(images[:1]))
    assert (permute_pixels(images, seed=1) != permute_pixels(images)).any()


# bad input, and what must not happen


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: duel([1, 2], [1, 2], [1]),
            r"mlp_predictions have shape \(2,\), .* labels \(1,\); wanted the same \(N,\)",
        ),
        (lambda: duel([], [], []), "wanted .* at least one image"),
        (lambda: duel([[1]], [[1]], [[1]]), r"labels \(1, 1\); wanted"),
        (
            lambda: shift_images(np.zeros((1, 28, 28)), 1, 1),
            r"images have shape \(1, 28, 28\); wanted \(N, 784\)",
        ),
        (lambda: shift_images(dot(1, 1), 0.5, 0), "right: got 0.5, wanted a whole number"),
        (lambda: shift_images(dot(1, 1), 0, "1"), "down: got '1', wanted a whole number"),
        (
            lambda: shift_accuracies(len, np.zeros((2, 784)), [1]),
            r"labels have shape \(1,\); wanted \(2,\)",
        ),
        (
            lambda: shift_accuracies(len, dot(1, 1), [1], [-1]),
            r"shifts: got \[-1\], wanted none below 0",
        ),
        (lambda: permute_pixels(np.zeros(784)), r"images have shape \(784,\); wanted \(N, 784\)"),
        (lambda: permute_pixels(np.zeros((0, 784))), "N > 0"),
    ],
)
def test_bad_input_is_named(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_comparison_needs_no_torch() -> None:
    command = "import sys, helpers.evaluation; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", command], check=True)
