"""The training loop of PyTorch's tutorials."""

from collections.abc import Callable, Iterable

from torch import Tensor, nn, optim


def usual_epoch(
    network: Callable[[Tensor], Tensor],
    optimizer: optim.Optimizer,
    criterion: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
) -> float:
    """Take one step for each batch and return the sum of their losses."""
    total_loss = 0.0
    for images, labels in batches:
        optimizer.zero_grad()
        loss = criterion(network(images), labels)
        loss.backward()
        optimizer.step()
        total_loss += loss.item()
    return total_loss
