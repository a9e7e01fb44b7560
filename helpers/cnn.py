"""A small convolutional network in the manner of LeNet-5, in PyTorch: training, use and saving.

Images travel as one tensor (N, 1, 28, 28) on the device: MNIST fits there whole, which spares a
DataLoader and its per-image transforms, on one CPU core a third of the time of the usual loop.

Source of the method: LeCun, Bottou, Bengio, Haffner, "Gradient-based learning applied to document
recognition", Proceedings of the IEEE 86, 1998.
"""

import os
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterator
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from textwrap import shorten

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from helpers.mnist import load_mnist
from helpers.training import History, LabelledImages, accuracy, epochs_of, stop_if_diverged
from machine.files import atomic_write, read_file, require_undamaged, sealed
from machine.gpu import recorded
from machine.threads import few_threads, on_fastest_threads

Criterion = Callable[[Tensor, Tensor], Tensor]

MINI_SIZE = 2000
PREDICTION_BATCH = 500
IMAGE_SHAPES = ((784,), (28, 28), (1, 28, 28))


def convolve(
    picture: ArrayLike, weights: ArrayLike, biases: ArrayLike, stride: int = 1, padding: int = 0
) -> NDArray[np.float64]:
    """Return the maps (C_out, height, width) that filters make of a `picture` (C_in, h, w).

    `weights` (C_out, C_in, k, k) hold one filter for each map, `biases` (C_out,) what is added to
    all of its values. The picture gets a frame of `padding` zeros on all four sides; then windows
    of k x k pixels are taken every `stride` pixels, as many as fit: height is
    (h + 2 padding - k) // stride + 1, and width likewise. NumPy only. Raises ValueError for shapes
    that don't fit each other.
    """
    picture, weights, biases = np.asarray(picture), np.asarray(weights), np.asarray(biases)
    _require_fitting(picture.shape, weights.shape, biases.shape, stride, padding)
    ### BEGIN SOLUTION
    picture = np.pad(picture, ((0, 0), (padding, padding), (padding, padding)))
    k = weights.shape[-1]
    height, width = ((side - k) // stride + 1 for side in picture.shape[1:])
    maps = np.empty((len(weights), height, width))
    for i in range(height):
        for j in range(width):
            top, left = i * stride, j * stride
            window = picture[:, top : top + k, left : left + k]
            maps[:, i, j] = (weights * window).sum(axis=(1, 2, 3)) + biases
    return maps
    ### END SOLUTION


def _require_fitting(
    picture: tuple[int, ...], weights: tuple[int, ...], biases: tuple[int, ...], stride: int,
    padding: int,
) -> None:  # fmt: skip
    """Raise ValueError unless these are the shapes and settings of a convolution."""
    k = weights[-1] if weights else 0
    wanted = len(picture) == 3 and weights[1:] == (picture[0], k, k) and biases == weights[:1]
    if not wanted or stride < 1 or padding < 0 or not 1 <= k <= min(picture[1:]) + 2 * padding:
        raise ValueError(
            f"picture {picture}, weights {weights}, biases {biases}, {stride=}, {padding=}; wanted "
            "(C_in, h, w), (C_out, C_in, k, k) and (C_out,), stride from 1, padding from 0, and a "
            "window that fits into the padded picture."
        )


class Net(nn.Module):
    """Two convolutions and three fully connected layers, 44,426 parameters. (Assignment, part 2.)

    The shapes on the way, for a batch of B images:

        conv1 1→6, 5x5, then 2x2 max-pool   (B, 1, 28, 28) → (B, 6, 24, 24) → (B, 6, 12, 12)
        conv2 6→16, 5x5, then 2x2 max-pool  (B, 6, 12, 12) → (B, 16, 8, 8) → (B, 16, 4, 4)
        fc1, fc2, fc3                       (B, 256) → (B, 120) → (B, 84) → (B, 10)

    `layers` is an nn.Sequential with the names conv1, pool1, relu1, conv2, pool2, relu2, flatten,
    fc1, relu3, fc2, relu4, fc3: the notebook follows an image through it. The same `seed` gives the
    same initial weights; PyTorch's global generator is left alone.
    """

    def __init__(self, *, seed: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            ### BEGIN SOLUTION
            # Pooling before ReLU gives the same values and leaves ReLU a quarter of the work.
            self.layers = nn.Sequential(
                OrderedDict(
                    conv1=nn.Conv2d(1, 6, kernel_size=5),
                    pool1=nn.MaxPool2d(2),
                    relu1=nn.ReLU(),
                    conv2=nn.Conv2d(6, 16, kernel_size=5),
                    pool2=nn.MaxPool2d(2),
                    relu2=nn.ReLU(),
                    flatten=nn.Flatten(),
                    fc1=nn.Linear(16 * 4 * 4, 120),
                    relu3=nn.ReLU(),
                    fc2=nn.Linear(120, 84),
                    relu4=nn.ReLU(),
                    fc3=nn.Linear(84, 10),
                )
            )
            ### END SOLUTION

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits (B, 10) of images `x` (B, 1, 28, 28).

        Raises ValueError if `x` has another shape.
        """
        _require_images(x)
        ### BEGIN SOLUTION
        logits: Tensor = self.layers(x)
        return logits
        ### END SOLUTION


def _require_images(x: Tensor) -> None:
    if x.ndim != 4 or x.shape[1:] != (1, 28, 28):
        raise ValueError(
            f"x has shape {tuple(x.shape)}; wanted (B, 1, 28, 28): B images, one grey channel, "
            "28 x 28 pixels. x.reshape(-1, 1, 28, 28) makes that of flat images."
        )


def fully_connected(
    *hidden: int, activation: Callable[[], nn.Module] = nn.ReLU, seed: int = 0
) -> nn.Sequential:
    """Return a network of fully connected layers alone: (B, 1, 28, 28) → logits (B, 10).

    `hidden` are the numbers of hidden units, each layer with its `activation`. Seeded as `Net`.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        pairs = pairwise((28 * 28, *hidden))
        layers = [part for n_in, n in pairs for part in (nn.Linear(n_in, n), activation())]
        return nn.Sequential(nn.Flatten(), *layers, nn.Linear(hidden[-1], 10))


def choose_device() -> torch.device:
    """Return where networks run: an accelerator (CUDA, Apple MPS, …) if there is one, else the CPU.

    The environment variable DIGITS_DEVICE (say, `cpu` or `cuda:1`) overrides the choice. Raises
    ValueError if it names a device that this computer does not have.
    """
    wanted = os.environ.get("DIGITS_DEVICE", "").strip()
    if not wanted:
        return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
    try:
        torch.ones(1, device=wanted).item()
    except (RuntimeError, AssertionError) as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(
            f"DIGITS_DEVICE is {wanted!r}, which cannot be used here ({reason}). Wanted cpu, cuda "
            "or mps; without the variable the best device is found by itself."
        ) from error
    return torch.device(wanted)


def trainNN(
    network: nn.Module, optimizer: torch.optim.Optimizer, epochs: int, criterion: Criterion,
    full_data: bool = True, *, train: LabelledImages | None = None,
    validation: LabelledImages | None = None, batch_size: int = 64, seed: int = 0,
) -> History:  # fmt: skip
    """Train `network` on all of `train` or, if not `full_data`, on its first 2,000 images.

    `train` and `validation` are pairs of images (N, 784) and labels (N,), those of `load_mnist()`
    unless given; `criterion` gives a batch's mean loss. The network, which comes without gradients,
    moves to `choose_device()`. The same seed gives the same order; on one CPU, with OMP_NUM_THREADS
    set, also the same last digits.

    Training loss and accuracy are taken along the way, just before each step. Those of the network
    after the epoch are right as well; looking at all images again would cost a third more. Ctrl-C,
    DivergenceError and ValueError are as with `train_network`. (Assignment, 2.)
    """
    _check_arguments(network, optimizer, epochs, batch_size)
    device = place(network)
    (images, labels), held_out = _prepare(train, validation, full_data, device)
    history, generator = History(), torch.Generator().manual_seed(seed)
    with epochs_of(history, epochs) as numbers:
        for _ in on_fastest_threads(numbers, optimizer):
            ### BEGIN SOLUTION
            order = torch.randperm(len(images), generator=generator).to(device)
            batches = ((images[rows], labels[rows]) for rows in order.split(batch_size))
            loss, train_accuracy = train_epoch(network, optimizer, criterion, batches)
            predicted = evaluate(network, held_out[0]).argmax(dim=1)
            history.record(loss, train_accuracy, _percent_right(predicted, held_out[1]))
            ### END SOLUTION
    return history


def train_epoch(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    criterion: Criterion,
    batches: Iterator[tuple[Tensor, Tensor]],
) -> tuple[float, float]:
    """Take one step for each batch; return the mean loss and the accuracy in percent.

    Both are summed on the device and fetched once: asking after every step would make a GPU wait.
    There `@recorded` spares giving a step's commands one by one; on a CPU it changes nothing.
    """
    ### BEGIN SOLUTION
    network.train()
    n_images = 0
    total_loss: Tensor | float = 0.0
    n_correct: Tensor | int = 0

    @recorded
    def step(images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        optimizer.zero_grad()
        logits = network(images)
        loss = criterion(logits, labels)
        loss.backward()
        optimizer.step()
        return loss.detach() * len(labels), (logits.argmax(dim=1) == labels).sum()

    for images, labels in batches:
        loss, n_right = step(images, labels)
        n_images += len(labels)
        total_loss += loss
        n_correct += n_right
    mean_loss = float(total_loss) / n_images
    stop_if_diverged(mean_loss, optimizer.param_groups[0]["lr"])
    return mean_loss, 100 * float(n_correct) / n_images
    ### END SOLUTION


def evaluate(network: nn.Module, images: ArrayLike | Tensor) -> Tensor:
    """Return the logits (N, 10) of `images`, on the network's device and without gradients.

    `images` as in predict_probabilities. The network computes in evaluation mode, and is left in
    the mode, training or evaluation, in which it came, also after an error. Raises ValueError for
    another shape or type.
    """
    parts = _as_images(images).split(PREDICTION_BATCH)
    ### BEGIN SOLUTION
    device, was_training = next(network.parameters()).device, network.training
    network.eval()
    try:
        with few_threads(), torch.inference_mode():
            return torch.cat([network(part.to(device)) for part in parts])
    finally:
        network.train(was_training)
    ### END SOLUTION


def predict_probabilities(network: nn.Module, images: ArrayLike | Tensor) -> NDArray[np.float32]:
    """Return the probabilities (N, 10) of the digits on `images`.

    `images` are NumPy (N, 784), (N, 28, 28) or (N, 1, 28, 28), or a tensor of such a shape, of real
    numbers. The network is left in the mode, training or evaluation, in which it came.

    Raises ValueError for images of another shape or type, or if NaN or infinity comes out.
    """
    probabilities = evaluate(network, images).softmax(dim=1).cpu().numpy()
    if not np.isfinite(probabilities).all():
        raise ValueError("The network gave NaN or infinity; look for them in images and weights.")
    return probabilities


def predict(network: nn.Module, images: ArrayLike | Tensor) -> NDArray[np.int64]:
    """Return the most probable digit (N,) of each image; `images` as in predict_probabilities."""
    return predict_probabilities(network, images).argmax(axis=1)


def feature_maps(network: Net, picture: ArrayLike) -> dict[str, NDArray[np.float32]]:
    """Return what both convolutions make of one `picture` (28, 28), after ReLU and before pooling.

    "conv1" gives (6, 24, 24) and "conv2" (16, 8, 8). Raises ValueError for another shape.
    """
    x = _as_images(np.asarray(picture)[np.newaxis]).to(next(network.parameters()).device)
    maps = {}
    with torch.inference_mode():
        for name, layer in network.layers.named_children():
            x = layer(x)
            if name.startswith("conv"):
                maps[name] = x[0].relu().cpu().numpy()
    return maps


def test_accuracy(
    network: nn.Module, images: ArrayLike | Tensor, labels: ArrayLike | Tensor
) -> float:
    """Return the accuracy in percent on `images` with `labels` (N,).

    `images` as in predict_probabilities. The network may be left in evaluation mode, since training
    sets its own. Raises ValueError unless there is one label an image.
    """
    ### BEGIN SOLUTION
    return _percent_right(predict(network, images), labels)
    ### END SOLUTION


test_accuracy.__test__ = False  # type: ignore[attr-defined]  # pytest would take it for a test


def save_network(network: nn.Module, path: str | Path) -> None:
    """Write the parameters (the `state_dict`) to `path`, say `myNet_full.pth`, all or nothing.

    They are saved as CPU tensors, whatever the device, with a checksum at the end that
    `load_network` looks at. Raises OSError if the folder cannot be written.
    """
    state = {name: values.cpu() for name, values in network.state_dict().items()}
    content = BytesIO()
    torch.save(state, content)
    with atomic_write(Path(path)) as file:
        file.write(sealed(content.getvalue()))


def load_network(path: str | Path) -> Net:
    """Return a new `Net` with the parameters that `save_network` wrote, ready to predict.

    Nothing in the file is run. Raises OSError if it cannot be read (FileNotFoundError if there is
    none), ValueError if it is damaged or holds anything but finite float32 parameters of a `Net`.
    """
    network, content = Net(), read_file(Path(path))
    try:
        require_undamaged(content)
        with warnings.catch_warnings(action="ignore"):  # the error below says what matters
            state = torch.load(BytesIO(content), map_location="cpu", weights_only=True)
    except Exception:  # which one depends on where the damage is
        # PyTorch's message advises to run what the file holds if it looks trustworthy: not shown.
        raise _unusable(path, "it cannot be read as tensors") from None
    try:
        _require_same_types(state, network.state_dict())
        network.load_state_dict(state)
    except Exception as error:
        raise _unusable(path, shorten(str(error), 300)) from error
    if not all(values.isfinite().all() for values in network.state_dict().values()):
        raise ValueError(f"{path} holds NaN or infinite parameters; all must be finite.")
    place(network)
    return network.eval()


def load_network_if_any(path: str | Path) -> Net | None:
    """Return what `load_network` does, or None if there is no file at `path`, or none that fits.

    Says why a file that is there was left out: it may hold a `Net` of other layers.
    """
    try:
        return load_network(path)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        print(f"Left out: {error}")
        return None


def _require_same_types(state: dict[str, Tensor], wanted: dict[str, Tensor]) -> None:
    """Raise ValueError for a parameter of another type, which loading would silently convert."""
    for name in state.keys() & wanted.keys():
        if state[name].dtype != wanted[name].dtype:
            raise ValueError(f"{name} is {state[name].dtype}, wanted {wanted[name].dtype}")


def _unusable(path: str | Path, reason: str) -> ValueError:
    return ValueError(
        f"{path} does not hold the parameters of a Net ({reason}). It is damaged or was not "
        "written by save_network; train and save the network again."
    )


def place(network: nn.Module) -> torch.device:
    """Move `network` to `choose_device()`, which is returned, in the layout that is fastest there.

    On a CPU that is channels last, in which training takes 13 % less time and prediction 27 %.
    """
    device = choose_device()
    on_cpu = device.type == "cpu"
    layout = torch.channels_last if on_cpu else torch.contiguous_format
    network.to(device)
    network.to(memory_format=layout)
    return device


def _percent_right(predicted: ArrayLike | Tensor, labels: ArrayLike | Tensor) -> float:
    arrays = [v.cpu() if isinstance(v, Tensor) else v for v in (predicted, labels)]
    return round(accuracy(*arrays), 2)


def _as_images(images: ArrayLike | Tensor) -> Tensor:
    """Return `images`, flat or not, as float32 (N, 1, 28, 28)."""
    # torch.tensor copies: load_mnist's arrays may be read-only, which as_tensor warns about.
    values = images if isinstance(images, Tensor) else torch.tensor(np.asarray(images))
    if tuple(values.shape[1:]) not in IMAGE_SHAPES or len(values) == 0:
        raise ValueError(
            f"images have shape {tuple(values.shape)}; wanted (N, 784), (N, 28, 28) or "
            "(N, 1, 28, 28), with at least one image."
        )
    if not values.is_floating_point():
        raise ValueError(
            f"images are {values.dtype}; wanted real numbers from 0 to 1. Whole numbers from 0 to "
            "255 become that by dividing by 255."
        )
    return values.float().reshape(-1, 1, 28, 28)


def as_tensors(
    data: LabelledImages, size: int | None, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Return the first `size` images (N, 1, 28, 28) and labels (N,) on the device."""
    images, labels = _as_images(data[0][:size]), torch.tensor(np.asarray(data[1][:size]))
    if len(data[0]) != len(data[1]) or labels.ndim != 1 or labels.is_floating_point():
        raise ValueError(
            f"{len(data[0])} images came with labels of shape {np.shape(data[1])} and type "
            f"{labels.dtype}; wanted one whole number an image. argmax(axis=1) makes that of "
            "one-hot rows."
        )
    if not 0 <= labels.min() <= labels.max() <= 9:
        raise ValueError(f"labels run from {labels.min()} to {labels.max()}; wanted 0 to 9.")
    return images.to(device), labels.long().to(device)


def _prepare(
    train: LabelledImages | None,
    validation: LabelledImages | None,
    full_data: bool,
    device: torch.device,
) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Return training and validation data as tensors on the device, by default of MNIST."""
    if train is None or validation is None:
        digits = load_mnist()
        train, validation = train or digits.train, validation or digits.validation
    size = None if full_data else MINI_SIZE
    return as_tensors(train, size, device), as_tensors(validation, None, device)


def _check_arguments(
    network: nn.Module, optimizer: torch.optim.Optimizer, epochs: int, batch_size: int
) -> None:
    for name, value in (("epochs", epochs), ("batch_size", batch_size)):
        if value < 1:
            raise ValueError(f"{name} is {value}; wanted at least 1.")
    stepped = {id(values) for group in optimizer.param_groups for values in group["params"]}
    if stepped.isdisjoint(id(values) for values in network.parameters()):
        raise ValueError(
            "The optimizer holds no parameter of this network, which could not learn. Make a new "
            "optimizer for each new network."
        )
