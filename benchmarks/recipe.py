"""The recipe for the record: new deformations of every image, and a step size that rises and falls.

Sources: deformed training images are from Simard, Steinkraus, Platt, "Best practices for
convolutional neural networks applied to visual document analysis", ICDAR 2003; the step size's
course from Smith, Topin, "Super-convergence: very fast training of neural networks using large
learning rates", 2018; a large network's probabilities as targets of a small one from Hinton,
Vinyals, Dean, "Distilling the knowledge in a neural network", 2015.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn, optim
from torch.nn import functional as F
from tqdm.auto import tqdm

from helpers.cnn import Net, as_tensors, evaluate, fully_connected, place
from helpers.deformation import STRONG, Deformation, deform
from helpers.mlp import MLP
from helpers.training import LabelledImages, stop_if_diverged
from machine.gpu import recorded
from machine.threads import few_threads, on_fastest_threads

PART = 2000  # images that are deformed at once: what lies between then stays within the cache


@dataclass(frozen=True)
class Recipe:
    """How to train a network; what is the same for all stands in `train_recipe`."""

    make_network: Callable[[int], nn.Module]  # from a seed
    make_optimizer: Callable[..., optim.Optimizer]  # from parameters and lr, a tensor
    rate: float  # the largest step size
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
        partial(optim.SGD, momentum=0.9, nesterov=True, weight_decay=1e-5, fused=True),
        rate=0.5,
        epochs=800,
        deformation=Deformation(matrix=0.12, shift=1.0, bend=0.8),
        final_strength=0.5,
        label_smoothing=0.0,
        batch_size=200,
        temperature=0.5,
    ),
    "CNN": Recipe(
        lambda seed: Net(seed=seed),
        partial(optim.AdamW, weight_decay=0.05, fused=True, capturable=True),
        rate=0.006,
        epochs=60,
        deformation=STRONG,
        final_strength=0.4,
        label_smoothing=0.1,
        batch_size=100,
    ),
}


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
    networks = nn.ModuleList(recipe.make_network(seed) for seed in seeds).train()
    device = place(networks)
    if teacher is not None:
        place(teacher)
    data = as_tensors(train, None, device)
    generator = torch.Generator(device).manual_seed(seeds[0])
    rate = torch.tensor(recipe.rate, device=device)
    optimizer = recipe.make_optimizer(networks.parameters(), lr=rate)
    n_steps = recipe.epochs * math.ceil(len(data[0]) / recipe.batch_size)
    schedule = optim.lr_scheduler.LambdaLR(optimizer, partial(_rise_and_fall, n_steps=n_steps))
    step = recorded(partial(_step, networks, optimizer, recipe.label_smoothing))
    strengths = np.linspace(1, recipe.final_strength, recipe.epochs).tolist()
    with few_threads(), tqdm(strengths, unit="epoch") as progress:
        for strength in on_fastest_threads(progress, optimizer):
            lessons = _lessons(recipe, *data, generator, strength, teacher)
            loss = _train_epoch(step, schedule, lessons, recipe.batch_size) / len(networks)
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
) -> tuple[Tensor, Tensor]:
    """Return all images once, shuffled and deformed, with their targets."""
    order = torch.randperm(len(images), generator=generator, device=images.device)
    deformation = recipe.deformation.scaled(strength)
    parts = [deform(images[rows], generator, deformation) for rows in order.split(PART)]
    if teacher is None or recipe.temperature is None:
        return torch.cat(parts), labels[order]
    logits = torch.cat([evaluate(teacher, part) for part in parts])
    return torch.cat(parts), (logits / recipe.temperature).softmax(dim=1)


def _step(
    networks: nn.ModuleList,
    optimizer: optim.Optimizer,
    label_smoothing: float,
    images: Tensor,
    targets: Tensor,
) -> tuple[Tensor]:
    """Let all networks learn from one batch; return the sum of their losses."""
    optimizer.zero_grad()
    # No two networks share a parameter, so the sum trains each as its own loss would.
    each = [
        F.cross_entropy(network(images), targets, label_smoothing=label_smoothing)
        for network in networks
    ]
    loss = torch.stack(each).sum()
    loss.backward()
    optimizer.step()
    return (loss.detach(),)


def _train_epoch(
    step: Callable[..., tuple[Tensor, ...]],
    schedule: optim.lr_scheduler.LRScheduler,
    lessons: tuple[Tensor, Tensor],
    batch_size: int,
) -> float:
    """Take one step with each batch; return the mean loss of a step."""
    batches = list(zip(*(part.split(batch_size) for part in lessons), strict=True))
    total_loss = torch.zeros((), device=lessons[0].device)
    for images, targets in batches:
        total_loss += step(images, targets)[0]
        schedule.step()
    mean_loss = float(total_loss) / len(batches)
    stop_if_diverged(mean_loss, float(schedule.get_last_lr()[0]))
    return mean_loss
