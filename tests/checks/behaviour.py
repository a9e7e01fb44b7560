"""What a module does, as plain data: two modules that do the same on many fresh inputs are alike.

Nothing here is taken from the checks but the limit of time, so that it can judge them.
"""

import contextlib
import copy
import io
import tempfile
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from scipy.stats import kstest

from checks.asking import StudentError, ask

Rng = np.random.Generator
PARAMETERS = ("W1", "b1", "W2", "b2")
GRADIENTS = tuple(f"{name}_grad" for name in PARAMETERS)


def alike(one: Any, other: Any) -> bool:
    """Whether two results are the same, but for rounding."""
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(map(alike, one, other))
    if isinstance(one, (list, tuple)) != isinstance(other, (list, tuple)):
        return False  # with a list nothing can be computed
    if isinstance(one, str) or isinstance(other, str) or one is None or other is None:
        return bool(type(one) is type(other) and one == other)
    try:
        a, b = np.asarray(one), np.asarray(other)
    except ValueError:  # rows of different lengths, which an array never has
        return False
    if a.shape != b.shape or (a.dtype.kind == "b") != (b.dtype.kind == "b"):
        return False
    return bool(np.allclose(a, b, rtol=1e-6, atol=1e-12, equal_nan=True))


def attempt(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Return a result, and the arguments as they are afterwards; or the type of the error."""
    args = tuple(value.copy() if isinstance(value, np.ndarray) else value for value in args)
    try:
        result = function(*args, **kwargs)
        return plain(result), [plain(value) for value in args if isinstance(value, np.ndarray)]
    except Exception as error:
        return type(error).__name__


def percentage(function: Callable[..., Any], *args: Any) -> Any:
    """Return what `attempt` does, a percentage rounded to one decimal: who prints it rounds it."""
    told = attempt(function, *args)
    is_number = isinstance(told, tuple) and isinstance(told[0], (float, np.number))
    return (np.round(told[0], 1), told[1]) if is_number else told


def plain(value: Any) -> Any:
    """Return what can be compared of a value."""
    if isinstance(value, torch.Tensor):
        return ["asks for gradients" if value.requires_grad else "", value.detach().numpy().copy()]
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    if value is None or isinstance(value, (str, int, float, np.ndarray, np.generic)):
        return copy.copy(value)
    return type(value).__name__


def states(thing: Any, names: tuple[str, ...]) -> list[Any]:
    """Return the attributes of these names, None for what is missing."""
    return [plain(getattr(thing, name, None)) for name in names]


def _functions(draw: Callable[[Rng], tuple[Any, ...]], name: str) -> Any:
    return lambda m, rng: [attempt(getattr(m, name), *draw(rng)) for _ in range(8)]


def _logits(rng: Rng) -> Any:
    scale = rng.choice([1, 3, 900])
    shape = [(5,), (3, 4), (1, 6), (4, 4)][rng.integers(4)]
    return rng.normal(0, scale, shape)


def _with_targets(rng: Rng) -> Any:
    a = _logits(rng)
    return a, np.eye(a.shape[-1])[rng.integers(a.shape[-1], size=a.shape[:-1])]


def _probabilities(rng: Rng) -> Any:
    a, y = _with_targets(rng)
    e = np.exp(a - a.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True), y


def _hidden(rng: Rng) -> Any:
    B, K, H = rng.integers(1, 6, 3)
    return rng.normal(size=(B, K)), rng.normal(size=(K, H)), rng.uniform(0, 1, (B, H))


def _hidden_values(rng: Rng) -> Any:
    values = rng.uniform(size=(3, 2))
    values.flat[rng.integers(6, size=2)] = 0, 1  # the sigmoid is saturated
    return values


def _layer(rng: Rng) -> Any:
    B, K, H = rng.integers(1, 6, 3)
    return rng.normal(size=(B, K)), rng.normal(size=(B, H))


def _labels(rng: Rng) -> Any:
    n = int(rng.integers(2, 12))
    return rng.integers(n, size=int(rng.integers(1, 20))), n


def _guesses(rng: Rng) -> Any:
    n = int(rng.integers(1, 40))
    return rng.integers(4, size=n), rng.integers(4, size=n)


def _picture(rng: Rng) -> Any:
    c, o, k, stride, padding = (int(rng.integers(*ends)) for ends in
                                ((1, 4), (1, 4), (1, 4), (1, 4), (0, 3)))  # fmt: skip
    picture = rng.normal(0, 5, (c, *rng.integers(4, 9, 2)))
    picture = np.rint(picture).astype(int) if rng.integers(2) else picture
    return picture, rng.normal(size=(o, c, k, k)), rng.normal(size=o), stride, padding


def _mlp(m: ModuleType, rng: Rng, dtype: type = np.float64) -> Any:
    sizes = rng.integers(2, 7, 3)
    network = m.MLP(*map(int, sizes), seed=3, dtype=dtype)
    for name in PARAMETERS:
        values = rng.normal(0, 1, getattr(network, name).shape).astype(dtype)
        setattr(network, name, values)
    return network, sizes


def _initialization(m: ModuleType, rng: Rng) -> Iterator[Any]:
    """Shapes and types, whether the seed decides, and how the weights are spread."""
    seed = int(rng.integers(1000))
    for dtype in (np.float32, np.float64):
        sizes = rng.integers(2, 9, 3).tolist()
        networks = [m.MLP(*sizes, seed=each, dtype=dtype) for each in (seed, seed, seed + 1)]
        held = sorted(vars(networks[0]).items())
        yield [[name, str(v.dtype), v.shape] for name, v in held if np.ndim(v)]
        states_of = [states(network, PARAMETERS) for network in networks]
        yield [alike(states_of[0], other) for other in states_of[1:]]
        yield states(networks[0], GRADIENTS)
    network = m.MLP(seed=seed)
    for values in (network.W1, network.W2):
        scaled = values.ravel() / 0.1
        yield [values.shape, bool(kstest(scaled, "norm").pvalue > 1e-6), len(set(scaled)) > 600]
    yield [*states(network, ("b1", "b2")), alike(network.W1.flat[:640], network.W2.flat)]


def _network(m: ModuleType, rng: Rng) -> Iterator[Any]:
    """Passes, gradients, steps: whatever the methods leave in the network."""
    for dtype in (np.float64, np.float32):
        network, sizes = _mlp(m, rng, dtype)
        for batch in ((), (4,), (1,), (sizes[1],)):
            x = rng.normal(size=(*batch, sizes[0])).astype(dtype)
            y = np.eye(sizes[2])[rng.integers(sizes[2], size=batch)]
            yield attempt(network.forward, x)
            yield states(network, ("a1", "z1", "a2", "y_hat"))
            yield attempt(network.update_grad, y)
            if batch == (4,):
                yield attempt(network.update_params, 0.1)
                yield states(network, (*PARAMETERS, *GRADIENTS))
                for name in GRADIENTS:
                    np.asarray(getattr(network, name)).flat[-1] = np.nan
                yield attempt(network.reset_grad)
                yield [str(getattr(network, name).dtype) for name in GRADIENTS]
        yield states(network, (*PARAMETERS, *GRADIENTS))


def _images(rng: Rng, n: int) -> tuple[np.ndarray, np.ndarray]:
    return rng.uniform(0, 1, (n, 784)).astype(np.float32), rng.integers(10, size=n)


def _test_network(m: ModuleType, rng: Rng) -> Iterator[Any]:
    for n in (1, 9, 130):
        network = m.MLP(784, 5, 10, seed=n)
        network.forward(_images(rng, n)[0])  # whose probabilities are no longer wanted
        yield percentage(m.test_network, network, *_images(rng, n))
        yield states(network, PARAMETERS)


def _train_network(m: ModuleType, rng: Rng) -> Iterator[Any]:
    for value in (0.5, np.nan):
        network, data = m.MLP(784, 5, 10, seed=1), (_images(rng, 23), _images(rng, 11))
        data[0][0][7, 5] = value
        options = {"learning_rate": 0.01, "n_epochs": 3, "batch_size": 5, "seed": 4}
        yield from _trained(m.train_network, network, data, options)
        yield states(network, (*PARAMETERS, *GRADIENTS))


def _trained(train: Any, network: Any, data: Any, options: dict[str, Any]) -> Iterator[Any]:
    before = copy.deepcopy(data)
    try:
        history = train(network, *data, **options)
        told = ("loss", "train_accuracy", "validation_accuracy")
        yield states(history, told)
    except Exception as error:
        yield type(error).__name__
    yield [alike(now, then) for now, then in zip(plain(data), plain(before), strict=True)]


def _saving(m: ModuleType, rng: Rng) -> Iterator[Any]:
    with tempfile.TemporaryDirectory() as folder:
        network, sizes = _mlp(m, rng, np.float32)
        prefix = Path(folder, "a.b")
        yield attempt(m.save_weights, network, prefix)
        yield sorted(path.name for path in Path(folder).iterdir())
        yield [plain(np.load(f"{prefix}_{name}.npy")) for name in PARAMETERS]
        spoilers: tuple[Callable[[Path], Any], ...] = (
            lambda path: None, lambda path: path.write_bytes(path.read_bytes()[:-3]),
            lambda path: np.save(path, np.load(path) + 1),
            lambda path: np.save(path, np.load(path).astype(float)), Path.unlink,
        )  # fmt: skip
        for spoil in spoilers:
            attempt(m.save_weights, network, prefix)
            spoil(Path(f"{prefix}_b2.npy"))
            other = m.MLP(*map(int, sizes), seed=9)
            yield attempt(m.load_weights, other, prefix)
            yield states(other, PARAMETERS)
            yield [str(getattr(other, name).dtype) for name in PARAMETERS]
        attempt(m.save_weights, m.MLP(*map(int, sizes), dtype=np.float64), prefix)
        yield [str(np.load(f"{prefix}_{name}.npy").dtype) for name in PARAMETERS]
        yield attempt(m.load_weights, other, prefix)


def _net(m: ModuleType, rng: Rng) -> Iterator[Any]:
    """What becomes of images with drawn weights, and whether initial weights are the seed's."""
    x = torch.tensor(rng.uniform(0, 1, (3, 1, 28, 28)).astype(np.float32))
    networks = [m.Net(seed=seed) for seed in (1, 1, 2)]
    yield [alike(*(plain(n(x)) for n in (networks[0], other))) for other in networks[1:]]
    network, generator = networks[0], torch.Generator().manual_seed(int(rng.integers(99)))
    state = network.state_dict()
    yield [[name, list(values.shape)] for name, values in state.items()]
    network.load_state_dict(
        {n: torch.randn(v.shape, generator=generator) / v[0].numel() ** 0.5
         for n, v in state.items()}
    )  # fmt: skip
    yield attempt(network.train(), x)
    yield attempt(network.eval(), x[:1])
    for name, layer in network.layers.named_children():
        x = layer(x)
        yield name if len(list(layer.parameters())) else ""
    yield plain(x)


def _small_net(rng: Rng) -> Any:
    torch.manual_seed(int(rng.integers(1000)))
    layers = (torch.nn.Conv2d(1, 1, 1), torch.nn.Flatten(), torch.nn.Dropout(0.3),
              torch.nn.Linear(784, 10))  # fmt: skip
    return torch.nn.Sequential(*layers)


class _Fails(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        raise KeyError("no")


def _evaluation(m: ModuleType, rng: Rng) -> Iterator[Any]:
    for n in (1, 40, 1100):
        for training in (True, False):
            network, (images, labels) = _small_net(rng).train(training), _images(rng, n)
            yield attempt(m.evaluate, network, images)
            yield [each.training for each in network.modules()]
            yield [values.requires_grad for values in network.parameters()]
            yield percentage(m.test_accuracy, network.train(), images, labels)
    broken = _Fails()
    yield [attempt(m.evaluate, broken, images), broken.training]


def _train_nn(m: ModuleType, rng: Rng) -> Iterator[Any]:
    for value, full, n in ((0.5, True, 23), (np.nan, True, 23), (0.5, False, 2020)):
        network, data = _small_net(rng), (_images(rng, n), _images(rng, 11))
        data[0][0][7, 5] = value
        optimizer = torch.optim.SGD(network.parameters(), lr=0.05)
        options = {
            "train": data[0], "validation": data[1], "batch_size": 5 if n < 99 else 700, "seed": 2,
        }  # fmt: skip
        arguments = (network, optimizer, 2, torch.nn.CrossEntropyLoss(), full)
        torch.manual_seed(5)  # for dropout
        train = partial(m.trainNN, *arguments, **options)
        yield from _trained(lambda *_, train=train: train(), network, data, {})
        yield [values.numpy().copy() for values in network.state_dict().values()]
        yield network.training


def _one_hot_encode(m: ModuleType, rng: Rng) -> Iterator[Any]:
    for _ in range(8):
        yield attempt(m.one_hot_encode, *_labels(rng))
        yield attempt(m.one_hot_encode, rng.integers(10, size=3))


OBSERVERS: dict[str, Callable[[ModuleType, Rng], Any]] = {
    "one_hot_encode": _one_hot_encode,
    "sigmoid": _functions(lambda rng: (_logits(rng),), "sigmoid"),
    "softmax": _functions(lambda rng: (_logits(rng),), "softmax"),
    "initialization": _initialization,
    "forward": _network,
    "accuracy": _functions(_guesses, "accuracy"),
    "test_network": _test_network,
    "cross_entropy": _functions(_with_targets, "cross_entropy"),
    "cross_entropy_derivative": _functions(_probabilities, "cross_entropy_derivative"),
    "weight_gradient": _functions(_layer, "weight_gradient"),
    "sigmoid_derivative": _functions(lambda rng: (_hidden_values(rng),), "sigmoid_derivative"),
    "hidden_delta": _functions(_hidden, "hidden_delta"),
    "update_grad": _network,
    "update_params": _network,
    "train_network": _train_network,
    "saving": _saving,
    "convolve": _functions(_picture, "convolve"),
    "net": _net,
    "evaluation": _evaluation,
    "trainNN": _train_nn,
}


def behaviour(exercise: str, module: ModuleType, seed: int) -> list[Any]:
    """Return what the functions of an exercise do with inputs drawn from `seed`, as plain data."""
    seen: list[Any] = []
    with warnings.catch_warnings(), np.errstate(all="ignore"), io.StringIO() as nowhere:
        warnings.simplefilter("ignore")
        with contextlib.redirect_stdout(nowhere):
            try:
                rng = np.random.default_rng(seed)
                ask(exercise, lambda: seen.extend(OBSERVERS[exercise](module, rng)))
            except StudentError as error:
                seen.append(type(error.error).__name__)
    return seen


def same(exercise: str, one: ModuleType, other: ModuleType, seeds: tuple[int, ...]) -> bool:
    """Whether two modules do the same for all of these seeds, and come to an end."""
    for seed in seeds:
        first, second = behaviour(exercise, one, seed), behaviour(exercise, other, seed)
        if not alike(first, second) or "TooLong" in str(first):
            return False
    return True
