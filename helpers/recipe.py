"""The recipe for the record: new deformations of every image, and a step size that rises and falls.

Sources: deformed training images are from Simard, Steinkraus, Platt, "Best practices for
convolutional neural networks applied to visual document analysis", ICDAR 2003; the step size's
course from Smith, Topin, "Super-convergence: very fast training of neural networks using large
learning rates", 2018; a large network's probabilities as targets of a small one from Hinton,
Vinyals, Dean, "Distilling the knowledge in a neural network", 2015.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
import torch
from torch import Tensor, nn, optim
from torch.nn import functional as F
from tqdm.auto import tqdm

from helpers.cnn import Net, as_tensors, evaluate, fully_connected, place
from helpers.mlp import MLP
from helpers.threads import few_threads, on_fastest_threads
from helpers.training import LabelledImages, stop_if_diverged

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


@dataclass(frozen=True)
class Recipe:
    """How to train a network; what is the same for all stands in `train_recipe`."""

    make_network: Callable[[int], nn.Module]  # from a seed
    make_optimizer: Callable[[nn.Module], optim.Optimizer]
    epochs: int
    deformation: Deformation
    final_strength: float  # the share of the deformation that is left in the last epoch
    label_smoothing: float
    batch_size: int
    temperature: float | None = None  # what a teacher's logits are divided by; None: no teacher


def perceptron(seed: int = 0) -> nn.Sequential:
    """Return notebook 1's perceptron in PyTorch: (B, 1, 28, 28) → logits (B, 10)."""
    return fully_connected(len(MLP().b1), activation=nn.Sigmoid, seed=seed)


RECIPES = {
    "MLP": Recipe(
        perceptron,
        lambda network: optim.SGD(
            network.parameters(), lr=0.5, momentum=0.9, nesterov=True, weight_decay=1e-5, fused=True
        ),
        epochs=200,
        deformation=Deformation(matrix=0.12, shift=1.0, bend=0.8),
        final_strength=1.0,
        label_smoothing=0.0,
        batch_size=200,
        temperature=0.5,
    ),
    "CNN": Recipe(
        lambda seed: Net(seed=seed),
        lambda network: optim.AdamW(network.parameters(), lr=0.006, weight_decay=0.05),
        epochs=60,
        deformation=Deformation(matrix=0.18, shift=2.0, bend=0.9),
        final_strength=0.4,
        label_smoothing=0.1,
        batch_size=100,
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


def train_recipe(
    recipe: Recipe,
    train: LabelledImages,
    *,
    seeds: Sequence[int] = (0,),
    teacher: nn.Module | None = None,
) -> list[nn.Module]:
    """Return one network for each of `seeds`, trained on `train`: images (N, 784), labels (N,).

    The seeds give different initial weights; all networks see the same deformed images in the same
    order, which the first seed decides. A `teacher` network's probabilities for these images, at
    the recipe's temperature, take the place of the labels. The step size rises over the first tenth
    of all steps and then falls to nothing; the deformations weaken from epoch to epoch. It runs on
    `choose_device()`; the same seeds give the same result on one CPU, with OMP_NUM_THREADS set.

    Raises DivergenceError if the loss becomes NaN or infinite, ValueError for bad data, or for a
    teacher without a temperature and the other way round.
    """
    if (teacher is None) != (recipe.temperature is None):
        raise ValueError(
            f"teacher is a {type(teacher).__name__}, temperature {recipe.temperature}; wanted a "
            "network and a number, or None twice."
        )
    networks = nn.ModuleList(recipe.make_network(seed) for seed in seeds)
    device = place(networks)
    if teacher is not None:
        place(teacher)
    images, labels = as_tensors(train, None, device)
    generator = torch.Generator(device).manual_seed(seeds[0])
    optimizer = recipe.make_optimizer(networks)
    n_steps = recipe.epochs * math.ceil(len(images) / recipe.batch_size)
    schedule = optim.lr_scheduler.LambdaLR(optimizer, partial(_rise_and_fall, n_steps=n_steps))
    strengths = np.linspace(1, recipe.final_strength, recipe.epochs).tolist()
    with few_threads(), tqdm(strengths, unit="epoch") as progress:
        for strength in on_fastest_threads(progress, optimizer):
            lessons = _lessons(recipe, images, labels, generator, strength, teacher)
            loss = _train_epoch(networks, optimizer, schedule, recipe.label_smoothing, lessons)
            progress.set_postfix(loss=f"{loss:.4f}")
    return list(networks.eval())


def _rise_and_fall(step: int, n_steps: int) -> float:
    """Return the share of the full step size: up for a tenth of all steps, then down to 0."""
    return min((step + 1) / (0.1 * n_steps), (n_steps - step) / (0.9 * n_steps))


def _lessons(
    recipe: Recipe,
    images: Tensor,
    labels: Tensor,
    generator: torch.Generator,
    strength: float,
    teacher: nn.Module | None,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield all images once in batches, shuffled and deformed, with their targets."""
    order = torch.randperm(len(images), generator=generator, device=images.device)
    for rows in order.split(recipe.batch_size):
        deformed = deform(images[rows], generator, recipe.deformation.scaled(strength))
        if teacher is None or recipe.temperature is None:
            yield deformed, labels[rows]
        else:
            yield deformed, (evaluate(teacher, deformed) / recipe.temperature).softmax(dim=1)


def _train_epoch(
    networks: nn.ModuleList,
    optimizer: optim.Optimizer,
    schedule: optim.lr_scheduler.LRScheduler,
    label_smoothing: float,
    lessons: Iterator[tuple[Tensor, Tensor]],
) -> float:
    """Take one step with each batch; return the mean loss of a network."""
    networks.train()
    losses = []
    for images, targets in lessons:
        optimizer.zero_grad()
        # No two networks share a parameter, so the sum trains each as its own loss would.
        each = [
            F.cross_entropy(network(images), targets, label_smoothing=label_smoothing)
            for network in networks
        ]
        loss = torch.stack(each).sum()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.detach())
    mean_loss = float(torch.stack(losses).mean()) / len(networks)
    stop_if_diverged(mean_loss, float(schedule.get_last_lr()[0]))
    return mean_loss
