"""Digits for those who can't reach MNIST: scikit-learn's bundled handwriting, redrawn at 28x28.

The 1,797 originals are 8x8 images by 43 writers (E. Alpaydin and C. Kaynak, "Optical Recognition of
Handwritten Digits", UCI Machine Learning Repository, 1998). Each is drawn many times, every time
with another tilt, slant, size and position, until there are as many images as in MNIST.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

SIZES = (50_000, 10_000, 10_000)  # images for training, validation and test
VERSION = 1  # of what make_stand_in draws: a cache of another version is drawn anew
ZOOM = 4  # each original is enlarged once, smoothly, so that its drawings are cheap
CENTRE = np.array([13.5, 13.5])  # of a 28x28 image, in pixels


def make_stand_in(
    sizes: tuple[int, ...] = SIZES, seed: int = 0
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Draw the stand-in: always the same digits for the same `sizes` and `seed`.

    Returns:
        images, uint8 (sum(sizes), 28, 28), and labels, uint8 (sum(sizes),), part after part.
        No original is drawn in more than one part.
    """
    from sklearn.datasets import load_digits

    digits = load_digits()
    rng = np.random.default_rng(seed)
    parts = part_originals(digits.target, len(sizes), rng)
    chosen = np.concatenate(
        [rng.permutation(np.resize(part, size)) for part, size in zip(parts, sizes, strict=True)]
    )
    images = _draw([_enlarge(image) for image in digits.images], chosen, rng)
    return images, digits.target[chosen].astype(np.uint8)


def part_originals(
    labels: NDArray[np.int64], parts: int, rng: np.random.Generator
) -> list[NDArray[np.int64]]:
    """Deal out the originals: of every digit, one in seven to each part but the first.

    Returns:
        One array of indices into `labels` (N,) per part; each index occurs in exactly one of them.
    """
    shuffled = rng.permutation(len(labels))
    by_digit = shuffled[np.argsort(labels[shuffled], kind="stable")]
    hand = np.arange(len(labels)) % 7
    dealt = np.where(hand < parts - 1, hand + 1, 0)
    return [rng.permutation(by_digit[dealt == part]) for part in range(parts)]


def _enlarge(image: NDArray[np.float64]) -> NDArray[np.float32]:
    """Turn an 8x8 image of values 0 to 16 into one of 48x48 and 0 to 255, with an empty margin.

    Smooth enlarging blurs: the contrast is raised until paper is 0 and strokes are as crisp as
    MNIST's.
    """
    padded = np.pad(image / 16, 2)
    smooth = ndimage.zoom(padded, ZOOM, order=3, grid_mode=True, mode="grid-constant")
    return (255 * (smooth - 0.4) / 0.4).clip(0, 255).astype(np.float32)


def _draw(
    originals: list[NDArray[np.float32]], chosen: NDArray[np.int64], rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Draw the chosen originals, (N, 28, 28), each centred as in MNIST and then moved at random."""
    centres = [np.array(ndimage.center_of_mass(original)) for original in originals]
    matrices = _random_matrices(len(chosen), rng)
    targets = CENTRE + rng.normal(0, 0.6, (len(chosen), 2)).clip(-1.5, 1.5)
    drawn = np.empty((len(chosen), 28, 28), np.uint8)
    for image, original, matrix, target in zip(drawn, chosen, matrices, targets, strict=True):
        offset = centres[original] - matrix @ target
        ndimage.affine_transform(originals[original], matrix, offset, output=image, order=1)
    return drawn


def _random_matrices(n: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Random turn, slant and size, (N, 2, 2): from a step in the drawing to one in the original."""
    turn = rng.normal(0, 0.1, n)
    slant = rng.normal(0, 0.12, n)
    sizes = rng.normal(np.array([[1.0], [0.9]]), 0.06, (2, n)).clip(0.75, 1.15)
    height, width = sizes * ZOOM * 8 / 20  # the 8 rows of an original become about 20
    cos, sin, zero = np.cos(turn), np.sin(turn), np.zeros(n)
    rotate = np.array([[cos, -sin], [sin, cos]])
    stretch = np.array([[height, zero], [slant * width, width]])
    return np.einsum("ijn,jkn->nik", rotate, stretch)
