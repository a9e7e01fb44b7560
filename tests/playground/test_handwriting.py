"""What is made of handwriting: MNIST's own digits come back, photos become digits."""

import re

import numpy as np
import pytest
from PIL import Image

from helpers.mnist import load_mnist
from playground.handwriting import as_mnist, read_photo


@pytest.fixture
def five() -> np.ndarray:
    """A digit of 20 by 12 pixels, heavier at the top, on paper of 28 by 28."""
    digit = np.zeros((28, 28))
    digit[3:6, 8:20] = digit[3:13, 8:11] = digit[11:13, 8:20] = 1
    digit[11:23, 18:20] = digit[21:23, 8:20] = 0.5
    return as_mnist(digit).astype(float)


def enlarged(picture: np.ndarray, times: int) -> np.ndarray:
    return np.kron(picture, np.ones((times, times)))


def photo(picture: np.ndarray, paper=0.8, ink=0.2, shade=0.0, grain=0.0) -> Image.Image:
    """A picture of ink on paper of this brightness, darker to the right by `shade`."""
    grey = paper + (ink - paper) * enlarged(picture, 20)
    grey = grey - shade * np.linspace(0, 1, grey.shape[1])
    grey = grey + np.random.default_rng(0).normal(0, grain or 1e-9, grey.shape)
    return Image.fromarray((255 * grey.clip(0, 1)).astype(np.uint8))


def test_digits_of_mnist_come_back_as_they_are():
    digits = load_mnist()
    if digits.source != "MNIST":
        pytest.skip("the stand-in's digits are not centred as MNIST's are")
    pictures = digits.test.pictures[:1000]
    off = [np.abs(as_mnist(picture) - picture).max() for picture in pictures]
    assert np.mean(np.array(off) < 1e-6) >= 0.999


def test_size_and_place_do_not_matter(five):
    corner = np.zeros((400, 300))
    corner[260:400, 5:145] = enlarged(five, 5)
    for drawing in (five, enlarged(five, 10), corner, np.roll(five, (-3, 2), (0, 1))):
        np.testing.assert_allclose(as_mnist(drawing), five, atol=1e-6)


def test_the_longer_side_gets_20_pixels_and_the_shape_stays():
    wide = as_mnist(np.ones((30, 120)))
    assert (wide.any(axis=1).sum(), wide.any(axis=0).sum()) == (5, 20)


@pytest.mark.parametrize("seed", range(5))
def test_the_centre_of_mass_is_in_the_middle(seed):
    drawing = np.zeros((90, 90))
    drawing[20:80, 30:70] = np.random.default_rng(seed).random((60, 40)) ** 4
    seen = as_mnist(drawing)
    assert abs((seen.sum(axis=1) @ np.arange(28)) / seen.sum() - 14) <= 0.5 + 1e-5
    assert abs((seen.sum(axis=0) @ np.arange(28)) / seen.sum() - 14) <= 0.5 + 1e-5


def test_nothing_is_cut_off_a_digit_whose_mass_is_at_one_end():
    drawing = np.zeros((200, 200))
    drawing[:, 100], drawing[:20, 60:140] = 0.1, 1
    seen = as_mnist(drawing)
    assert seen.any(axis=1).sum() == 20


def test_an_empty_drawing_gives_an_empty_picture():
    assert not as_mnist(np.zeros((280, 280))).any()


@pytest.mark.parametrize("at", [(0, 0), (279, 279), (140, 3)])
def test_one_dot_fills_the_box(at):
    drawing = np.zeros((280, 280))
    drawing[at] = 1
    assert as_mnist(drawing).sum() == pytest.approx(400)


@pytest.mark.parametrize(
    ("drawing", "message"),
    [
        (np.zeros(784), r"shape (784,)"),
        (np.zeros((0, 5)), r"shape (0, 5)"),
        (np.full((28, 28), 255), "from 255 to 255"),
        (np.full((28, 28), np.nan), "from nan to nan"),
    ],
)
def test_what_is_no_drawing_is_refused(drawing, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        as_mnist(drawing)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"paper": 0.1, "ink": 0.9},
        {"shade": 0.3},
        {"grain": 0.02, "shade": 0.2},
        {"paper": 0.6, "ink": 0.3},
    ],
    ids=["pen", "chalk", "shadow", "grain", "pale"],
)
def test_a_photo_of_a_digit_is_read_as_the_digit(five, tmp_path, settings):
    photo(five > 0, **settings).save(tmp_path / "photo.png")
    seen, wanted = read_photo(tmp_path / "photo.png"), as_mnist(five > 0)
    assert np.abs(seen - wanted).mean() < 0.02


def test_transparent_paper_is_white_and_a_turned_photo_upright(five, tmp_path):
    ink = (255 * enlarged(five > 0, 10)).astype(np.uint8)
    layers = np.dstack([np.zeros((*ink.shape, 3), np.uint8), ink])
    Image.fromarray(layers, "RGBA").save(tmp_path / "drawing.png")
    turned = photo(five > 0).convert("RGB").transpose(Image.Transpose.ROTATE_90)
    orientation = Image.Exif()
    orientation[0x0112] = 6  # to be turned by 90 degrees clockwise
    turned.save(tmp_path / "turned.jpg", exif=orientation, quality=95)
    for name in ("drawing.png", "turned.jpg"):
        assert np.abs(read_photo(tmp_path / name) - as_mnist(five > 0)).mean() < 0.02


def test_files_without_a_digit_are_refused_by_name(tmp_path):
    (tmp_path / "notes.png").write_text("no picture")
    photo(np.zeros((28, 28)), grain=0.01).save(tmp_path / "blank.png")
    with pytest.raises(ValueError, match=r"notes\.png is no picture"):
        read_photo(tmp_path / "notes.png")
    with pytest.raises(ValueError, match=r"blank\.png shows no ink"):
        read_photo(tmp_path / "blank.png")
    with pytest.raises(FileNotFoundError):
        read_photo(tmp_path / "missing.png")
