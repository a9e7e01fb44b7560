"""New training images: each one turned, slanted, shifted and bent in its own way.

Source: Simard, Steinkraus, Platt, "Best practices for convolutional neural networks applied to
visual document analysis", ICDAR 2003.
"""

from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional as F

SIDE, CONTROLS = 28, 5
PIXEL = 2 / SIDE  # grid_sample measures an image from -1 to 1


@dataclass(frozen=True)
class Deformation:
    """How far images are deformed: each image differently, every time."""

    matrix: float  # each entry of a 2x2 matrix differs from the identity's by up to this
    shift: float  # pixels, at most, in x and in y
    bend: float  # pixels, standard deviation of the moves of 5x5 control points

    def scaled(self, strength: float) -> "Deformation":
        return Deformation(strength * self.matrix, strength * self.shift, strength * self.bend)


STRONG = Deformation(matrix=0.18, shift=2.0, bend=0.9)  # what the CNN's record was trained with


def deform(images: Tensor, generator: torch.Generator, deformation: Deformation) -> Tensor:
    """Return `images` (B, 1, 28, 28), each under a random `deformation` of its own.

    The matrix turns, scales and slants a digit, the shift moves it, and the control points, between
    which their moves are interpolated, bend it. Everything happens on the images' device, which
    must be the `generator`'s too.
    """
    device, n = images.device, len(images)
    noise = 2 * torch.rand(n, 2, 3, generator=generator, device=device) - 1
    reach = [deformation.matrix, deformation.matrix, deformation.shift * PIXEL]
    maps = torch.eye(2, 3, device=device) + noise * torch.tensor(reach, device=device)
    moves = torch.randn(n, 2, CONTROLS**2, generator=generator, device=device)
    places = torch.cat([maps, deformation.bend * PIXEL * moves], dim=2) @ _surfaces(device)
    return _drawn_at(images, places.view(n, 2, SIDE, SIDE).permute(0, 2, 3, 1))


def moved(images: Tensor, right: float, down: float) -> Tensor:
    """Return `images` (B, 1, 28, 28), each moved by so many pixels to the `right` and `down`."""
    way = torch.tensor([[0, 0, right], [0, 0, down]], device=images.device)
    maps = (torch.eye(2, 3, device=images.device) - way * PIXEL).expand(len(images), 2, 3)
    return _drawn_at(images, F.affine_grid(maps, [*images.shape], align_corners=False))


def _drawn_at(images: Tensor, grid: Tensor) -> Tensor:
    """Return the images whose pixels are those of `images` at the places `grid` (B, 28, 28, 2)."""
    # Bicubic keeps strokes as sharp as they are in the images that the network will read.
    return F.grid_sample(images, grid, mode="bicubic", align_corners=False).clamp(0, 1)


@cache
def _surfaces(device: torch.device) -> Tensor:
    """Return (28, 784): each pixel's x, y and 1, and what a move of each control point is there."""
    pixels = F.affine_grid(torch.eye(2, 3)[None], [1, 1, SIDE, SIDE], align_corners=False)
    plane = torch.cat([pixels.view(-1, 2).T, torch.ones(1, SIDE**2)])
    points = torch.eye(CONTROLS**2).view(-1, 1, CONTROLS, CONTROLS)
    bends = F.interpolate(points, size=SIDE, mode="bicubic", align_corners=True)
    return torch.cat([plane, bends.view(-1, SIDE**2)]).to(device)
