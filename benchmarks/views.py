"""A network that looks at an image more than once: as it is, and moved a little each way.

Source: several crops of each test image, and the mean of what the network says to them, are from
Krizhevsky, Sutskever, Hinton, "ImageNet classification with deep convolutional neural networks",
2012.
"""

import torch
from torch import Tensor, nn

from helpers.deformation import moved

DISTANCE = 1.0  # pixels; chosen by validation, see record.md


class FiveViews(nn.Module):
    """Adds up what `network` says of an image, and of the image moved up, down, left and right."""

    def __init__(self, network: nn.Module, distance: float = DISTANCE) -> None:
        super().__init__()
        self.network = network
        moves = [(0, 0), (distance, 0), (-distance, 0), (0, distance), (0, -distance)]
        self.moves: list[tuple[float, float]] = moves

    def forward(self, images: Tensor) -> Tensor:
        """Return the sums of the logits, (B, 10), for `images` (B, 1, 28, 28)."""
        return torch.stack([self.network(moved(images, *move)) for move in self.moves]).sum(dim=0)
