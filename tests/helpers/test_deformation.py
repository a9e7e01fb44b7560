"""What a deformation does to images."""

import pytest
import torch

from helpers.deformation import Deformation, deform

FAR = Deformation(matrix=0.12, shift=1.0, bend=0.8)


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def centre_of_mass(images: torch.Tensor) -> torch.Tensor:
    """Return the mean (row, column) of the ink of each image, (B, 2)."""
    places = torch.stack(torch.meshgrid(torch.arange(28.0), torch.arange(28.0), indexing="ij"))
    ink = images / images.sum(dim=(2, 3), keepdim=True)
    return (ink * places.unsqueeze(0)).sum(dim=(2, 3))


def blob(count: int) -> torch.Tensor:
    images = torch.zeros(count, 1, 28, 28)
    images[:, :, 10:18, 12:16] = 1
    return images


def test_without_strength_images_stay_as_they_are(generator):
    images = torch.rand(3, 1, 28, 28, generator=generator)
    torch.testing.assert_close(deform(images, generator, FAR.scaled(0)), images, atol=1e-5, rtol=0)


def test_every_image_is_deformed_in_its_own_way_and_stays_near_its_place(generator):
    images = blob(200)
    deformed = deform(images, generator, FAR)
    assert deformed.shape == images.shape
    assert len(torch.unique(deformed.flatten(1), dim=0)) == len(images)
    moves = centre_of_mass(deformed) - centre_of_mass(images)
    assert moves.mean(dim=0).abs().max() < 0.25  # to no side in particular
    assert 0.3 < moves.std() < 1.5
    assert moves.abs().max() < 4
    assert deformed.min() >= 0
    assert deformed.max() <= 1 + 1e-6


def test_deformations_weaken_with_their_strength(generator):
    images = blob(200)
    weak, strong = (
        deform(images, generator, FAR.scaled(strength)) - images for strength in (0.2, 1.0)
    )
    assert weak.abs().mean() < 0.5 * strong.abs().mean()


def test_deformations_repeat_with_the_generator():
    images = blob(4)
    first, again = (deform(images, torch.Generator().manual_seed(7), FAR) for _ in range(2))
    assert torch.equal(first, again)
