"""The recipe for the record: new deformations of every image, and a step size that rises and falls.

Sources: deformed training images are from Simard, Steinkraus, Platt, "Best practices for
convolutional neural networks applied to visual document analysis", ICDAR 2003; the step size's
course from Smith, Topin, "Super-convergence: very fast training of neural networks using large
learning rates", 2018.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
import torch
from torch import Tensor, nn, optim
from torch.nn import functional as F
from tqdm.auto import tqdm

from helpers.cnn import Net, as_tensors, fully_connected, place, train_epoch
from helpers.mlp import MLP
from helpers.threads import few_threads, on_fastest_threads
from helpers.training import LabelledImages

SIDE, CONTROLS = 28, 5
PIXEL = 2 / SIDE  # grid_sample measures an image from -1 to 1
BATCH_SIZE = 100


@dataclass(frozen=True)
class Deformation:
    """How far images are deformed: each image differently, every time."""

    matrix: float  # each entry of a 2x2 matrix differs from the identity's by up to this
    shift: float  # pixels, at most, in x and in y
    bend: float  # pixels, standard deviation of the moves of 5x5 control points

    def scaled(self, strength: float) -> "Deformation":
        return Deformation(strength * self.matrix, strength * self.shift, strength * self.bend)


@dataclass(frozen=True)
class Recipe:
    """How to train one network; what is the same for all stands in `train_recipe`."""

    make_network: Callable[[int], nn.Module]  # from a seed
    make_optimizer: Callable[[nn.Module], optim.Optimizer]
    epochs: int
    deformation: Deformation
    final_strength: float  # the share of the deformation that is left in the last epoch
    label_smoothing: float


def perceptron(seed: int = 0) -> nn.Sequential:
    """Return notebook 1's perceptron in PyTorch: (B, 1, 28, 28) → logits (B, 10)."""
    return fully_connected(len(MLP().b1), activation=nn.Sigmoid, seed=seed)


RECIPES = {
    "MLP": Recipe(
        perceptron,
        lambda network: optim.SGD(
            network.parameters(), lr=0.3, momentum=0.9, nesterov=True, weight_decay=1e-5
        ),
        epochs=80,
        deformation=Deformation(matrix=0.12, shift=1.0, bend=0.8),
        final_strength=1.0,
        label_smoothing=0.0,
    ),
    "CNN": Recipe(
        lambda seed: Net(seed=seed),
        lambda network: optim.AdamW(network.parameters(), lr=0.006, weight_decay=0.05),
        epochs=60,
        deformation=Deformation(matrix=0.18, shift=2.0, bend=0.9),
        final_strength=0.4,
        label_smoothing=0.1,
    ),
}


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
    grid = places.view(n, 2, SIDE, SIDE).permute(0, 2, 3, 1)
    # Bicubic keeps strokes as sharp as they are in the images that the network will read.
    deformed = F.grid_sample(images, grid, mode="bicubic", align_corners=False)
    return deformed.clamp(0, 1)


@cache
def _surfaces(device: torch.device) -> Tensor:
    """Return (28, 784): each pixel's x, y and 1, and what a move of each control point is there."""
    pixels = F.affine_grid(torch.eye(2, 3)[None], [1, 1, SIDE, SIDE], align_corners=False)
    plane = torch.cat([pixels.view(-1, 2).T, torch.ones(1, SIDE**2)])
    points = torch.eye(CONTROLS**2).view(-1, 1, CONTROLS, CONTROLS)
    bends = F.interpolate(points, size=SIDE, mode="bicubic", align_corners=True)
    return torch.cat([plane, bends.view(-1, SIDE**2)]).to(device)


def train_recipe(recipe: Recipe, train: LabelledImages, *, seed: int = 0) -> nn.Module:
    """Return a network trained by `recipe` on `train`, images (N, 784) and labels (N,).

    The step size rises over the first tenth of all steps and then falls to nothing; the
    deformations weaken from epoch to epoch. It runs on `choose_device()`; the same seed gives the
    same result on one CPU, with OMP_NUM_THREADS set.

    Raises DivergenceError if the loss becomes NaN or infinite, ValueError for bad data.
    """
    network = recipe.make_network(seed)
    device = place(network)
    images, labels = as_tensors(train, None, device)
    generator = torch.Generator(device).manual_seed(seed)
    optimizer = recipe.make_optimizer(network)
    n_steps = recipe.epochs * math.ceil(len(images) / BATCH_SIZE)
    schedule = optim.lr_scheduler.LambdaLR(optimizer, partial(_rise_and_fall, n_steps=n_steps))
    criterion = nn.CrossEntropyLoss(label_smoothing=recipe.label_smoothing)
    strengths = np.linspace(1, recipe.final_strength, recipe.epochs).tolist()
    with few_threads(), tqdm(strengths, unit="epoch") as progress:
        for strength in on_fastest_threads(progress, optimizer):
            deformation = recipe.deformation.scaled(strength)
            batches = _deformed_batches(images, labels, generator, deformation, schedule)
            loss, _ = train_epoch(network, optimizer, criterion, batches)
            progress.set_postfix(loss=f"{loss:.4f}")
    return network.eval()


def _rise_and_fall(step: int, n_steps: int) -> float:
    """Return the share of the full step size: up for a tenth of all steps, then down to 0."""
    return min((step + 1) / (0.1 * n_steps), (n_steps - step) / (0.9 * n_steps))


def _deformed_batches(
    images: Tensor,
    labels: Tensor,
    generator: torch.Generator,
    deformation: Deformation,
    schedule: optim.lr_scheduler.LRScheduler,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield all images once, shuffled and deformed; `schedule` takes a step after each batch."""
    order = torch.randperm(len(images), generator=generator, device=images.device)
    for rows in order.split(BATCH_SIZE):
        yield deform(images[rows], generator, deformation), labels[rows]
        schedule.step()
