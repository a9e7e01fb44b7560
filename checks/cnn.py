"""The checks of the second notebook: Net, its training loop and its evaluation."""

import contextlib
import math
import weakref
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from itertools import zip_longest
from types import SimpleNamespace
from typing import Any, NamedTuple
from unittest import mock

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from checks import crowd
from checks.asking import StudentError, ask, quiet
from checks.check import Part, check
from checks.comparison import CLOSE, describe, distance
from checks.faults import NOTHING_RETURNED, RAISED, VAGUE, Fault, Sample, asked_why
from checks.functions import N_SAMPLES
from checks.history import (
    MEANS_OF_BATCHES,
    PERCENTAGE_FAULTS,
    ROUNDED,
    judge_history,
    judge_interrupted,
    judge_others,
    judge_undecided,
    with_example,
)
from checks.source import beside, made_anew, plain_function
from checks.spies import (
    DIGITS,
    FIRST_VALIDATION,
    OWN_GRADIENT,
    PIXELS,
    Album,
    Easy,
    Finding,
    LabelledImages,
    Note,
    Plan,
    Spy,
    Step,
    album_of,
    changed_pixels,
    judge_seed,
    judge_steps,
    judge_stopping,
    numbers_of,
    other_batches,
    require_all_seen,
    step_of,
    untouched,
)
from checks.training import percentage, plan_of, right_accuracy
from checks.verdicts import Exercise, Verdict

NET = Exercise("net", "Net")
TRAIN_NN = Exercise("trainNN")
EVALUATION = Exercise("evaluation", "test_accuracy")


# Net

# What each layer's weights look like, from the table of shapes in the notebook.
WEIGHTS = ((6, 1, 5, 5), (16, 6, 5, 5), (120, 256), (84, 120), (10, 84))
NAMES = ("conv1", "conv2", "fc1", "fc2", "fc3")
LIST = [*NAMES, *(f"relu{n}" for n in (1, 2, 3, 4)), "pool1", "pool2", "flatten"]
KINDS: dict[str, Callable[..., nn.Module]] = {
    "conv": nn.Conv2d, "pool": lambda: nn.MaxPool2d(2), "relu": nn.ReLU, "flatten": nn.Flatten,
    "fc": nn.Linear,
}  # fmt: skip
FOLLOW = "Follow the shapes: 28 → 24 → 12 → 8 → 4 pixels a side, and 16 channels at the end."
FLATTEN = Fault(
    "flatten size", "the first fully connected layer expects another number of values than the "
    "pools deliver.", FOLLOW,
)  # fmt: skip
KEEP_FIRST = "Keep the first axis: x.flatten(start_dim=1) leaves one row an image."
NOT_REGISTERED = Fault(
    "layers not found", "PyTorch finds no layer in this network: it looks in attributes, "
    "nn.Sequential and nn.ModuleList, and not into plain lists and dictionaries.",
    "Make `self.layers` an nn.Sequential of an OrderedDict.",
)  # fmt: skip
BIASES = Fault(
    "biases missing", "the weights are right, and the biases are not: `bias=False` leaves them "
    "out.", "Make each layer with its biases, as the table counts them.",
)  # fmt: skip
MIXES_IMAGES = Fault(
    "images mixed", "the reshape before the first fully connected layer cuts across images.",
    KEEP_FIRST,
)  # fmt: skip
FLATTENED_BATCH = Fault(
    "batch flattened", "the batch axis is flattened with the others.", KEEP_FIRST
)
TOO_MANY = Fault(
    "layer too many", "all layers of the table are here, and others besides.",
    "Leave out what is not in the table: its weights would be saved and counted, too.",
)  # fmt: skip
LAYER_SIZES = Fault(
    "layer sizes", "not every layer of the table has its weights here, in the sizes that it should "
    "have.", "Compare each layer's weights with the table of shapes in the notebook.",
)  # fmt: skip


OTHER_WAY = Fault(
    "way through the layers",
    "all layers have the right weights, and still no ten numbers come out for an image: forward "
    "ends before the last layer, or goes another way.",
    "Print the shape after each layer, and compare it with the table.",
)


class Wiring(NamedTuple):
    """How the layers are joined: what stands between them, and what comes after the last."""

    hidden: Callable[[Tensor], Tensor] = torch.relu
    pool: Callable[[Tensor, int], Tensor] = functional.max_pool2d
    output: Callable[[Tensor], Tensor] = torch.clone
    linear_from: int = 5  # the number of the first layer whose activation is left out
    without: int | None = None  # the number of one layer whose activation is left out


def wired(weights: Sequence[tuple[Tensor, Tensor]], x: Tensor, wiring: Wiring) -> Tensor:
    """Return what PyTorch's own functions make of `x` with these weights, so joined."""
    for number, (weight, bias) in enumerate(weights):
        if weight.ndim == 4:
            x = wiring.pool(functional.conv2d(x, weight, bias), 2)
        else:
            x = functional.linear(x.flatten(1), weight, bias)
        if number < min(len(weights) - 1, wiring.linear_from) and number != wiring.without:
            x = wiring.hidden(x)
    return wiring.output(x)


def _row(key: str, likely: str, step: str, wiring: Wiring) -> Fault:
    return Fault(key, likely, step, lambda weights, x: wired(weights, x, wiring).numpy())


RAW = "Return the last layer's numbers as they are: the loss function applies softmax itself."
RELU = "Send the result of every layer but the last through relu."
NET_FAULTS = (
    _row("relu on logits", "the logits go through ReLU.", RAW, Wiring(output=torch.relu)),
    _row("softmax in Net", "the logits go through softmax.", RAW,
         Wiring(output=lambda a: a.softmax(dim=1))),
    _row("softmax in Net", "the logits go through log_softmax.", RAW,
         Wiring(output=lambda a: a.log_softmax(dim=1))),
    _row("relu missing", "no layer has its ReLU.", RELU, Wiring(linear_from=0)),
    _row("relu missing", "the fully connected layers have no ReLU.", RELU, Wiring(linear_from=2)),
    *(_row("relu missing", f"there is no ReLU after {name}.", RELU, Wiring(without=number))
      for number, name in enumerate(("conv1", "conv2", "fc1", "fc2"))),
    _row("another activation", "the layers use the sigmoid.", RELU, Wiring(hidden=torch.sigmoid)),
    _row("another activation", "the layers use tanh.", RELU, Wiring(hidden=torch.tanh)),
    _row("mean pooling", "the pools take the mean of four pixels.",
         "Use max-pooling, which takes the largest.", Wiring(pool=functional.avg_pool2d)),
)  # fmt: skip


def differences(layers: Mapping[str, nn.Module]) -> Iterator[str]:
    """Say where layers differ from those of the docstring: by their kinds or their settings."""
    sizes = {name: (*s[1::-1], *s[2:3]) for name, s in zip(NAMES, WEIGHTS, strict=True)}
    if missing := [name for name in LIST if name not in layers]:
        yield f"{', '.join(missing)} {'are' if missing[1:] else 'is'} missing in layers"
    for name, layer in layers.items():
        kind = KINDS.get(name.rstrip("1234"))
        if kind is None or (name in NAMES) != (kind in (nn.Conv2d, nn.Linear)):
            continue
        right: Any = kind(*sizes.get(name, ()))
        kinds = [type(each).__name__ for each in (layer, right)]
        if kinds[0] != kinds[1]:
            yield f"{name} is made by {kinds[0]}, and not by {kinds[1]}"
            continue
        settings = sorted({*right.__constants__} - {"inplace", "ceil_mode"}, key=_is_number_of)
        for setting in settings:
            found, wanted = (_plain(getattr(each, setting, None)) for each in (layer, right))
            if found != wanted:
                yield f"{name} has the {setting} {found}, and not {wanted}"


def _is_number_of(setting: str) -> tuple[bool, str]:
    return setting.startswith(("in_", "out_")), setting


def _plain(value: Any) -> Any:
    """Return (2, 2) as 2."""
    return value[0] if isinstance(value, tuple) and len({*value}) == 1 else value


def _with_differences(fault: Fault, network: nn.Module) -> Fault:
    """Add to what is told how the layers differ from the list; only that, if nothing is known."""
    inner = getattr(network, "layers", None)
    told = [*differences(dict(inner.named_children()))] if isinstance(inner, nn.Module) else []
    if not told or not asked_why():
        return fault
    likely = f"{'; '.join(told[:4])}{' …' if len(told) > 4 else ''}."
    if fault.key in VAGUE:
        return Fault("other layers", likely, "Compare with the layers in the docstring of Net.")
    return fault._replace(likely=f"{fault.likely} ({likely[:-1]}.)")


def _judged(part: str, samples: list[Sample], network: nn.Module) -> Verdict:
    verdict = NET.judge(part, samples, NET_FAULTS if samples[0].inputs else ())
    cause = Fault(verdict.cause or "", verdict.likely, verdict.step)
    return verdict if verdict.passed else verdict.by(_with_differences(cause, network))


LAZY = Fault(
    "lazy layer",
    "a lazy layer makes its weights when it sees the first image, and not by the seed.",
    "Say how many inputs the layer has: nn.Linear, nn.Conv2d.",
)


@check(NET, goes_on=True)
def check_net(Net: Callable[[], nn.Module], *, seed: int = 0) -> Iterator[Verdict | Part]:
    """Compare the layers of `Net` with the table of shapes, and its logits with PyTorch's."""
    network = ask("Net()", Net)
    ask("eval()", network.eval)
    if any(isinstance(values, nn.UninitializedParameter) for values in network.parameters()):
        yield NET.wrong("layers", "a layer without weights.", "weights from the start.", LAZY)
        return
    state = {
        name: values.detach().cpu()
        for name, values in ask("state_dict()", network.state_dict).items()
    }
    yield from _layers(state, network)
    verdicts = list(_logits(network, state, seed))
    yield from verdicts
    if all(verdict.passed for verdict in verdicts):
        yield partial(_walked, network)
        yield partial(_same_in_training, network, seed)
        for part in UNUSUAL:
            yield partial(_unusual, network, state, part, seed)
    yield partial(_net_seeds, Net, seed)


def _net_seeds(Net: Callable[..., nn.Module], seed: int) -> Iterator[Verdict]:
    """See that initial weights come from the seed."""
    networks = [ask("Net(seed=…)", Net, seed=each) for each in (seed, seed, seed + 1)]
    first, again, other = (network.state_dict() for network in networks)
    if not all(torch.equal(first[name], again[name]) for name in first):
        yield NET.wrong("seed", "other weights for the same seed.", "the same.", NET_SEED)
    elif any(torch.equal(v, other[name]) for name, v in first.items() if v.ndim > 1):
        yield NET.wrong("seed", "the same weights for different seeds.", "others.", NET_SEED)
    places = [v.data_ptr() for each in (first, again, other) for v in each.values()]
    if len({*places}) < len(places):
        told = "two networks with the same parameters in memory.", "a network's own in each."
        yield NET.wrong("parameters", *told, SHARED_WEIGHTS)


NET_SEED = Fault(
    "seed ignored", "the initial weights do not come from the argument seed.",
    "Make the layers after `torch.manual_seed(seed)`, and set no other seed.",
)  # fmt: skip
SHARED_WEIGHTS = Fault(
    "shared weights", "what one network learns changes another one, since both have the same "
    "layers.", "Make new layers in each call of __init__, and keep none of them elsewhere.",
)  # fmt: skip
NOT_NAMED = Fault(
    "layers not named",
    "the network has no `layers` with these names, which the notebook walks through.",
    "Make `self.layers` an nn.Sequential of an OrderedDict with the names of the docstring.",
)
SHARED_LAYER = Fault(
    "shared layer", "one layer stands under several names, of which PyTorch lists only the first.",
    "Make a new layer for each name, also those without weights: nn.ReLU() each time.",
)  # fmt: skip
RANDOM = Fault(
    "random in training", "something in the network is random in training mode, as dropout is.",
    "Use the layers of the table alone.",
)  # fmt: skip


def _walked(network: nn.Module) -> Iterator[Verdict]:
    """See that one layer after the other, by name, gives what the network gives."""
    inner = getattr(network, "layers", nn.Sequential())
    layers = dict(inner.named_children())
    if not set(NAMES) <= set(layers):
        found = f"{', '.join(layers) or 'no layers'}."
        yield NET.wrong("names", found, f"{', '.join(NAMES)} among others.", NOT_NAMED)
        return
    if isinstance(inner, nn.Sequential) and len(inner) > len(layers):
        found, wanted = f"{', '.join(layers)}.", "each name with a layer of its own."
        yield NET.wrong("names", found, wanted, SHARED_LAYER)
        return
    x = torch.rand(1, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    whole, walked = ask("Net()(x)", network, x), x
    for name, layer in layers.items():
        walked = ask(f"layers.{name}(x)", layer, walked)
    sample = Sample(walked, NET.numbers("logits", whole), ())
    yield _judged("layers, one by one", [sample], network)


NO_GRADIENTS = Fault(
    "gradients off", "no gradient reaches these parameters, so they can't be trained: forward cuts "
    "it off.", "Leave `no_grad`, `detach` and `inference_mode` to those who evaluate.",
)  # fmt: skip
SEEDED_IN_FORWARD = Fault(
    "generator changed", "forward draws random numbers, or sets the seed, of PyTorch's own "
    "generator, on which the rest of the program counts.",
    "Let forward compute with x and the weights alone.",
)  # fmt: skip
MODE_CHANGED = Fault(
    "mode changed", "forward changes the mode of the network.",
    "Leave `train()` and `eval()` to those who train and evaluate.",
)  # fmt: skip


def _learnable(network: nn.Module, logits: Tensor) -> Iterator[Verdict]:
    """See that the logits' gradients reach all parameters, in another process at least one."""
    parameters = dict(network.named_parameters()) if isinstance(network, nn.Module) else {}
    if logits.requires_grad:
        logits.sum().backward()
    left = [name for name, values in parameters.items() if values.grad is None]
    if left or not logits.requires_grad:
        found = f"none for {', '.join(left) or 'any'}."
        yield NET.wrong("gradients", found, "gradients for all parameters.", NO_GRADIENTS)


def _same_in_training(network: nn.Module, seed: int) -> Iterator[Verdict]:
    """Compare the logits of both modes, and see what becomes of gradients and mode."""
    x = torch.rand(4, 1, 28, 28, generator=torch.Generator().manual_seed(seed))
    network.eval()
    with torch.random.fork_rng(devices=[]):
        before = torch.manual_seed(seed + 4711).get_state()  # a seed that nobody sets
        evaluated = NET.numbers("logits", ask("Net()(x)", network, x))
        is_left = torch.equal(torch.random.get_rng_state(), before)
    if not is_left:
        told = "random numbers go on elsewhere than before.", "no change."
        yield NET.wrong("PyTorch's generator, after Net()(x)", *told, SEEDED_IN_FORWARD)
    network.train()
    logits = ask("Net()(x) in training mode", network, x)
    trained = NET.numbers("logits", logits)
    yield from _learnable(network, logits)
    if not network.training:
        yield NET.wrong("mode", "evaluation mode.", "training mode, as before.", MODE_CHANGED)
    if not distance(trained, evaluated) < CLOSE:
        yield NET.wrong("training mode", describe(trained), describe(evaluated), RANDOM)


def _logits(network: nn.Module, state: Mapping[str, Tensor], seed: int) -> Iterator[Verdict]:
    """Judge the logits of weights that are drawn here, on images of random numbers."""
    samples = []
    for number in range(N_SAMPLES):
        drawn, x, wanted = _case(_form(state), seed + 100 * number)
        ask("load_state_dict(state)", network.load_state_dict, drawn)
        try:
            found = NET.numbers("logits", ask("Net()(x) for a batch of 4", network, x.clone()))
        except StudentError as error:
            fault = _net_error_cause(network) if asked_why() else RAISED
            yield NET.error(error, _with_differences(fault, network))
            return
        if found.shape != (4, DIGITS):
            NET.halt(
                "logits", f"the shape {found.shape}.", f"(4, {DIGITS}).", _shape_cause(found.shape)
            )
        samples.append(Sample(found, wanted, (_ordered(drawn), x)))
    yield _judged("logits", samples, network)


Form = tuple[tuple[str, tuple[int, ...], torch.dtype], ...]  # of parameters, by name
State = dict[str, Tensor]
Change = Callable[[State, Tensor], tuple[State, Tensor]]


@lru_cache(maxsize=20)
def _case(form: Form, seed: int) -> tuple[dict[str, Tensor], Tensor, NDArray[np.float32]]:
    """Return parameters of this form, images, and the logits that PyTorch makes of them.

    The parameters are such that the numbers stay about 1 from layer to layer.
    """
    generator, state = torch.Generator().manual_seed(seed), {}
    for name, shape, dtype in form:
        scale = math.prod(shape[1:]) ** -0.5 if len(shape) > 1 else 0.1
        state[name] = (scale * torch.randn(shape, generator=generator)).to(dtype)
    largest = torch.tensor([1, 1, 10, 10]).view(4, 1, 1, 1)  # 10 shows what cuts off large values
    x = largest * torch.rand(4, 1, 28, 28, generator=generator)
    return state, x, wired(_ordered(state), x, Wiring()).numpy()


def _unusual(
    network: nn.Module, state: Mapping[str, Tensor], part: str, seed: int
) -> Iterator[Verdict]:
    """See that logits stay right when weights and images are changed; told only if they don't."""
    change, fault = UNUSUAL[part]
    drawn, x = change(*_case(_form(state), seed)[:2])
    ask("load_state_dict(state)", network.load_state_dict, drawn, assign=True)
    try:
        found = NET.numbers(part, ask("Net()(x)", network, x))
    except StudentError as error:
        yield NET.error(error, fault)
        return
    wanted = wired(_ordered(drawn), x, Wiring()).numpy()
    verdict = _judged(part, [Sample(found, wanted, (_ordered(drawn), x))], network)
    if not verdict.passed:
        yield verdict


def _enlarged(state: State, x: Tensor) -> tuple[State, Tensor]:
    """Make the logits large, to see that nothing cuts them off."""
    return state, 1000 * x


def _laid_out(state: State, x: Tensor) -> tuple[State, Tensor]:
    """Lay weights and images in memory pixel by pixel, as trainNN does on a CPU."""
    layout = torch.channels_last
    laid = {n: v.contiguous(memory_format=layout) if v.ndim == 4 else v for n, v in state.items()}
    return laid, x.contiguous(memory_format=layout)


OTHER_LAYOUT = Fault(
    "layout",
    "`view` wants numbers that lie in memory in the order of their axes, and trainNN lays them out "
    "otherwise, channels last.",
    "Use nn.Flatten, `flatten` or `reshape`, which take any layout.",
)
# What becomes of weights and images, and what an exception means that comes of it.
UNUSUAL: dict[str, tuple[Change, Fault]] = {
    "large logits": (_enlarged, RAISED),
    "logits, channels last": (_laid_out, OTHER_LAYOUT),
}


def _form(state: Mapping[str, Tensor]) -> Form:
    return tuple((name, tuple(values.shape), values.dtype) for name, values in state.items())


def _net_error_cause(network: nn.Module) -> Fault:
    """Try other inputs: what fits tells what is wrong with the way to the first full layer."""
    if _runs(network, (1, 1, 28, 28)):
        return FLATTENED_BATCH
    fitting = next((side for side in range(14, 80) if _runs(network, (4, 1, side, side))), None)
    if fitting is None:
        return RAISED
    much = "little: a pool is missing, or there is padding" if fitting < 28 else "much"
    return Fault(
        "shrinks differently",
        f"the images shrink too {much}. Pictures of {fitting} x {fitting} pixels fit, 28 x 28 "
        "don't.",
        FOLLOW,
    )


def _runs(network: nn.Module, shape: tuple[int, ...]) -> bool:
    try:
        ask("Net()(x)", network, torch.zeros(shape))
    except (StudentError, NotImplementedError):
        return False
    return True


def _shape_cause(shape: tuple[int, ...]) -> Fault:
    if shape == (DIGITS,) or shape[:1] == (1,):
        return FLATTENED_BATCH
    return MIXES_IMAGES if shape[-1:] == (DIGITS,) else OTHER_WAY


def _layers(state: Mapping[str, Tensor], network: nn.Module) -> Iterator[Verdict]:
    """Judge the shapes of the weights."""
    found = [tuple(values.shape) for values in state.values() if values.ndim > 1]
    if sorted(found) == sorted(WEIGHTS) and _biases_fit(state):
        yield NET.right("layers")
        return
    NET.halt(
        "layers",
        f"weights of the shapes {', '.join(map(str, found)) or 'none'}.",
        f"{', '.join(map(str, WEIGHTS))}, each with its biases.",
        _with_differences(_layers_fault(found, _runs(network, (1, 1, 28, 28))), network),
    )


def _layers_fault(found: Sequence[tuple[int, ...]], runs: bool) -> Fault:
    """Say what is wrong with the weights of a network, which `runs` for a picture or not."""
    missing = [*(Counter(WEIGHTS) - Counter(found)).elements()]
    others = [*(Counter(found) - Counter(WEIGHTS)).elements()]
    if not found:
        return NOT_REGISTERED
    if not missing and not others:
        return BIASES
    if missing == [(120, 256)] and len(others) == 1 and others[0][0] == 120:
        side = (others[0][1] / 16) ** 0.5
        return _other_side(f"{side:g} x {side:g}") if runs and side.is_integer() else FLATTEN
    if not missing:
        return TOO_MANY
    named = [NAMES[WEIGHTS.index(shape)] for shape in missing]
    likely = f"no layer has the weights that {', '.join(named)} should have by the table."
    return Fault("layer sizes", likely, LAYER_SIZES.step)


def _other_side(pixels: str) -> Fault:
    likely = (
        f"the maps that arrive at fc1 have {pixels} pixels, not 4 x 4: there is padding, another"
    )
    return Fault("shrinks differently", f"{likely} kernel, or a pool more or less.", FOLLOW)


def _biases_fit(state: Mapping[str, Tensor]) -> bool:
    found = sorted(len(values) for values in state.values() if values.ndim == 1)
    return found == sorted(shape[0] for shape in WEIGHTS)


def _ordered(state: Mapping[str, Tensor]) -> list[tuple[Tensor, Tensor]]:
    """Return weights and biases in the order of the layers, whatever their names."""
    by_shape = {tuple(values.shape): values for values in state.values()}
    return [(by_shape[shape], by_shape[shape[:1]]) for shape in WEIGHTS]


# Spies for trainNN and test_accuracy

STEEP = 40  # how much a logit grows with its weight: gradients are so long that a cut shows
START = 64.0  # what all weights are: a penalty on their size shows


class SpyNet(nn.Module, Spy):
    """Stands in for Net: its logits depend on images, steps so far, and ten weights."""

    def __init__(self, album: Album) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((DIGITS,), START))
        # Without effect: it counts the steps, so that weights of an earlier one are told apart.
        self.bias = nn.Parameter(torch.zeros(1))
        self.inner = nn.Identity()  # has a mode of its own, which eval() and train() reach
        self.album = album
        self.notes: list[Note] = []
        self.known: dict[bytes, int] = {}  # the image of each row of logits, -1 if of several

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, 10), and note the images and the mode."""
        if x.ndim != 4 or x.shape[1:] != (1, 28, 28):
            raise ValueError(f"x has shape {tuple(x.shape)}; wanted (B, 1, 28, 28).")
        if x.dtype != self.weight.dtype:  # as a convolution says it
            kinds = f"Input type ({x.dtype}) and weight type ({self.weight.dtype})"
            raise RuntimeError(f"{kinds} should be the same")
        pixels = x.detach().cpu().float().numpy()
        numbers = numbers_of(pixels)
        modes = {self.training, self.inner.training}
        mode = "partly" if len(modes) > 1 else "training" if self.training else "evaluating"
        changed = changed_pixels(pixels)
        self.notes.append(Note("forward", tuple(numbers.tolist()), state=mode, changed=changed))
        logits = logits_of(self.album, numbers, self.n_steps).to(x.device)
        # A layer that gives back what it gets, in 32 bits; in fewer, digits are lost.
        finite = logits.to(x.dtype).nan_to_num(neginf=0)  # as 0 times infinity is NaN
        passed = functional.linear(finite, torch.eye(DIGITS).to(x))
        logits = torch.where(logits.isfinite(), passed, logits.to(passed.dtype))
        for row, number in zip(_rows(logits), numbers.tolist(), strict=True):
            self.known[row] = number if self.known.get(row, number) == number else -1
        return logits + STEEP * (self.weight - START) + 0 * self.bias

    @property
    def n_steps(self) -> int:
        """The number of steps in the notes."""
        return sum(note.call == "step" for note in self.notes)

    @property
    def is_changed(self) -> bool:
        """Whether weights are others than in the beginning, or not those of the last step."""
        weight, bias = self.weight.detach(), self.bias.detach()
        return bool((weight != START).any() or (bias != self.n_steps).any())

    def __deepcopy__(self, memo: Any) -> "SpyNet":
        """Return a copy that takes the same notes: a copy may be evaluated in its place."""
        twin = type(self)(self.album).train(self.training)
        twin.load_state_dict(self.state_dict())
        twin.notes, twin.known = self.notes, self.known
        return twin


def _rows(logits: Tensor) -> list[bytes]:
    return [row.tobytes() for row in np.atleast_1d(logits.detach().cpu().float().numpy())]


def logits_of(album: Album, numbers: Any, n_steps: int) -> Tensor:
    """Return the logits (B, 10) that a SpyNet with its first weights gives after so many steps.

    They are logarithms of probabilities but for a constant, so that log_softmax changes them.
    """
    return torch.from_numpy(np.log(album.probabilities(numbers, n_steps)) + 1.5).float()


class Marked(torch.autograd.Function):
    """Changes nothing; as long as what was computed from its result is kept, its context lives."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        """Return a copy."""
        return value.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        """Return the gradient as it came."""
        return gradients[0]


class SpyLoss(Spy):
    """Stands in for the criterion: cross-entropy that notes what it is given, and of which images.

    `n_kept` is the largest number of losses whose history was in memory at once.
    """

    def __init__(self, network: SpyNet) -> None:
        self.notes, self.known, self.n_kept = network.notes, network.known, 0
        self._histories: list[weakref.ref[Any]] = []

    def __call__(self, input: Tensor, target: Tensor, learns: bool | None = None) -> Tensor:
        """Return the mean cross-entropy; PyTorch calls logits and labels so.

        Whether a gradient can be had of it is told by `learns` where the tensors are copies.
        """
        logits, labels = input, target
        learns = input.requires_grad or target.requires_grad if learns is None else learns
        swapped = not logits.is_floating_point() and logits.ndim == 1
        given, state = logits.detach(), "swapped" if swapped else "logits"
        if given.ndim == 2 and not swapped:
            sums, logarithms = given.sum(dim=1), given.exp().sum(dim=1)
            ones = torch.ones_like(sums)
            if torch.allclose(sums, ones, atol=1e-4):
                state = "probabilities"
            elif torch.allclose(logarithms, ones, atol=1e-4):
                state = "logarithms"
        numbers = labels.argmax(dim=-1) if labels.ndim == 2 and not swapped else labels
        targets = () if swapped else tuple(int(n) for n in numbers.detach().cpu().flatten())
        if labels.ndim == 2 and not swapped:
            state = "one-hot"
        images = tuple(self.known.get(row, -1) for row in _rows(logits))
        known = () if -1 in images else images
        # Without gradients it only measures, and no step comes of it.
        call = "criterion" if learns else "measure"
        self.notes.append(Note(call, known, targets, state=state))
        loss = functional.cross_entropy(*((labels, logits) if swapped else (logits, labels)))
        return self._marked(loss) if loss.requires_grad else loss

    def _marked(self, loss: Tensor) -> Tensor:
        marked: Tensor = Marked.apply(loss)
        self._histories = [history for history in self._histories if history() is not None]
        self._histories.append(weakref.ref(marked.grad_fn))
        self.n_kept = max(self.n_kept, len(self._histories))
        return marked


RATE = 0.01


class SpyOptimizer(torch.optim.Optimizer, Spy):
    """Stands in for the optimizer: takes no steps, and keeps every gradient that it was to use.

    The weights stay, so that all steps can be compared, but for one that counts them. What
    PyTorch's own class makes of itself would import half of PyTorch, and cannot be sent to another
    process.
    """

    register_step_post_hook = None  # type: ignore[assignment]  # no hooks, so no threads are tried

    def __init__(self, params: Iterable[Tensor], lr: float = RATE, **settings: Any) -> None:
        self.params = list(params)
        self.weight = self.params[0]
        self.notes: list[Note] | None = None  # without them it is another one, made by the student
        self.param_groups = [{"params": [*self.params], "lr": lr, **SETTINGS, **settings}]
        self.state = defaultdict(dict, {self.weight: {"momentum_buffer": None}})
        self.gradients: list[list[float] | None] = []

    @classmethod
    def of(cls, network: SpyNet) -> "SpyOptimizer":
        """Return one that takes its notes where the network does."""
        optimizer = cls(network.parameters())
        optimizer.notes = network.notes
        return optimizer

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    def __repr__(self) -> str:
        return "the optimizer"

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradient."""
        for values in self.params:
            values.grad = None if set_to_none else torch.zeros_like(values)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Note the gradient; `closure` may compute it first."""
        loss = closure() if closure else None
        gradient = self.weight.grad
        if self.notes is None:
            self.weight.data += 1  # which tells that it was at work
            return loss
        self.gradients.append(None if gradient is None else gradient.detach().cpu().tolist())
        self.notes.append(Note("step", rate=float(self.param_groups[0]["lr"])))
        self.params[1].data += 1
        return loss


SETTINGS = {"momentum": 0.0, "weight_decay": 0.0}


# trainNN

SOFTMAX_FIRST = Fault(
    "softmax before loss", "softmax is applied before the cross-entropy, which applies it itself.",
    "Pass the network's logits to the criterion as they are.",
)  # fmt: skip
SWAPPED = Fault(
    "arguments swapped", "logits and labels are swapped.", "The order is criterion(logits, labels)."
)
ONE_HOT_TARGETS = Fault(
    "one-hot targets",
    "the criterion is given rows of numbers in place of labels, which not every criterion takes.",
    "Pass the labels on as they come.",
)
UNSEEDED = Fault(
    "unseeded", "the order does not come from a generator made with the seed.",
    "Shuffle with `torch.Generator().manual_seed(seed)`, made once before the loop.",
)  # fmt: skip
NO_EVAL = Fault(
    "eval forgotten", "the network is still in training mode when it is evaluated.",
    "Call network.eval() before the evaluation.",
)  # fmt: skip
NO_TRAIN = Fault(
    "train forgotten", "the network is still in evaluation mode when it is trained.",
    "Call network.train() at the start of each epoch.",
)  # fmt: skip
PARTLY = Finding("a network and a layer of it in different modes.", "one mode for both.", Fault(
    "mode of layers",
    "the parts of the network differ in mode, as `network.training = …` reaches no layer in it.",
    "Call `network.train()` and `network.eval()`, which reach all layers.",
))  # fmt: skip
NO_ZERO_GRAD = Fault(
    "no zero_grad", "the gradients hold those of the batches before: zero_grad is missing.",
    "Call optimizer.zero_grad() for each batch, before loss.backward().",
)  # fmt: skip
ORDER = "Order: zero_grad, forward, loss, backward, step."
NO_BACKWARD = Fault(
    "no backward", "the step finds no gradient: backward is missing or comes later, or zero_grad "
    "stands between.", ORDER,
)  # fmt: skip
STEP_FIRST = Fault(
    "step before backward",
    "the step uses the gradient of the batch before: it comes before backward.", ORDER,
)  # fmt: skip
OTHER_OPTIMIZER = Fault(
    "another optimizer",
    "the weights are changed by something else than the optimizer that was passed in.",
    "Call `optimizer.step()` of the argument; make no optimizer here, and change no weights.",
)
HISTORY_KEPT = Fault(
    "history kept", "a loss is kept as the tensor that `backward` was called on, and with it its "
    "whole history.", "Add up `loss.item()`, or `loss.detach()` times the number of images.",
)  # fmt: skip
OTHER_SETTINGS = Fault(
    "property", "settings or memory of the optimizer are changed: they belong to the one who made "
    "it.", "Leave `optimizer.param_groups` and `optimizer.state` as they came.",
)  # fmt: skip
MINI = 2000


@check(TRAIN_NN)
def check_trainNN(trainNN: Callable[..., Any], *, seed: int = 0) -> Iterator[Verdict | Part]:
    """Train a spy in place of Net, and read from its notes what the loop did."""
    plan = plan_of(seed, RATE)
    given = plan.data()
    network, optimizer, criterion, history = _train(trainNN, plan, seed, data=given)
    yield from untouched(TRAIN_NN, given, plan.data())
    steps = net_steps(network.notes, _mixes(network, optimizer))
    findings = (
        _loss_input(network.notes), _strangers_step(network, optimizer), _gradient_finding(steps)
    )  # fmt: skip
    if finding := next(filter(None, findings), None):
        yield TRAIN_NN.wrong("steps", *finding)
    yield from judge_steps(TRAIN_NN, network.notes, steps, plan)
    yield _modes(network.notes)
    memory = _memory(criterion)
    if not memory.passed:
        yield memory  # such losses are often no numbers for the history either
    retrain = partial(_retrain, trainNN, seed)
    yield partial(judge_history, TRAIN_NN, history, plan, steps, retrain)
    again = partial(_steps_again, trainNN)
    yield partial(judge_seed, TRAIN_NN, partial(again, plan=plan), seed, UNSEEDED)
    yield partial(judge_others, TRAIN_NN, plan, retrain)
    yield memory
    yield partial(_sizes, trainNN, seed)
    yield judge_stopping(TRAIN_NN, retrain, plan, seed)
    yield partial(judge_interrupted, TRAIN_NN, trainNN, retrain, plan, seed)
    yield partial(_train_epoch, trainNN, plan)
    yield partial(_by_default, trainNN, plan, seed)
    if crowd.is_due(trainNN, seed):
        yield partial(crowd.judge_crowd, TRAIN_NN, partial(_count, trainNN), N_COUNTED)


N_COUNTED = 11_003  # images, in 501 steps: a DataLoader takes its time for each


class CountingNet(nn.Module, Spy):
    """Stands in for Net where there are very many steps: it recognizes all images."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(DIGITS))
        self.n_seen = 0  # images that went forward

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, 10)."""
        self.n_seen += len(x)
        self.numbers = numbers_of(x.detach().cpu().float().numpy(), crowd.SHADES)
        logits = torch.from_numpy(np.log(crowd.probabilities(self.numbers))).to(x)
        return logits + self.weight

    def __deepcopy__(self, memo: Any) -> "CountingNet":
        """Return itself: a copy may be evaluated in its place, and is counted, too."""
        return self


class CountingOptimizer(SpyOptimizer):
    """Counts how often each image takes part in a step: those that went forward last."""

    def __init__(self, network: CountingNet) -> None:
        super().__init__(network.parameters())
        self.network, self.times = network, np.zeros(N_COUNTED, int)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Count the images."""
        loss = closure() if closure else None
        np.add.at(self.times, self.network.numbers, 1)
        return loss


def _count(trainNN: Callable[..., Any], train: LabelledImages) -> tuple[Any, NDArray[np.integer]]:
    network = CountingNet()
    optimizer, few = CountingOptimizer(network), crowd.images_of(crowd.N_VALIDATION)
    history = ask(
        "trainNN(network, optimizer, epochs, criterion, …)",
        trainNN, network, optimizer, 1, nn.CrossEntropyLoss(),
        train=train, validation=few, batch_size=22,
    )  # fmt: skip
    return history, optimizer.times


OF_MNIST = Fault(
    "no data given", "the training goes wrong where no data are passed in, and those of "
    "`load_mnist` take their place.", "Use the tensors that the given lines have prepared, in "
    "place of the arguments `train` and `validation`.",
)  # fmt: skip


def _by_default(trainNN: Callable[..., Any], plan: Plan, seed: int) -> Iterator[Verdict]:
    """See that a training without data is one of what load_mnist gives."""
    plain = plain_function(trainNN)
    if plain is None or "load_mnist" not in plain.__globals__:
        return
    train, validation = plan.data()
    digits = SimpleNamespace(train=train, validation=validation)
    with mock.patch.dict(plain.__globals__, load_mnist=lambda: digits):
        try:
            network, *_ = _train(trainNN, plan, seed, data=(None, None))
        except StudentError as error:
            yield TRAIN_NN.error(error, OF_MNIST)
            return
    for verdict in judge_steps(TRAIN_NN, network.notes, net_steps(network.notes), plan):
        if not verdict.passed:
            yield replace(verdict.by(OF_MNIST), part=f"{verdict.part}, with no data passed in")
            return


USED_UP = Fault(
    "batches used up", "all batches are taken from the iterator, which gives each of them only "
    "once, and no image goes forward.", "Take the step of each batch in the one loop over "
    "`batches`, and count the images there.",
)  # fmt: skip
OTHER_BATCHES = Fault(
    "property", "the batches that `batches` gives are not those of the steps.",
    "Let each turn of the loop over `batches` take one step, with what it gives.",
)  # fmt: skip


def _train_epoch(trainNN: Callable[..., Any], plan: Plan) -> Iterator[Verdict]:
    """See that train_epoch takes its batches from any iterator."""
    arguments = ("network", "optimizer", "criterion", "batches")
    train_epoch = beside(trainNN, "train_epoch", arguments)
    if train_epoch is None:
        return
    network, (images, labels) = SpyNet(plan.album).eval(), plan.data()[0]
    pictures, digits = torch.tensor(images).reshape(-1, 1, 28, 28), torch.tensor(labels)
    rows = torch.arange(len(images)).split(plan.batch_size)
    batches = ((pictures[each], digits[each]) for each in rows)
    spies = network, SpyOptimizer.of(network), SpyLoss(network)
    with quiet(), contextlib.suppress(NotImplementedError):
        ask("train_epoch(network, optimizer, criterion, batches)", train_epoch, *spies, batches)
        steps = net_steps(network.notes)
        all_taken = next(batches, None) is None
        fault = USED_UP if all_taken and not network.notes else OTHER_BATCHES
        if finding := other_batches(steps, [each.tolist() for each in rows], fault):
            yield TRAIN_NN.wrong("train_epoch", *finding)


def _steps_again(trainNN: Callable[..., Any], seed: int, plan: Plan) -> list[Step]:
    torch.rand(7)  # a training that draws from the global generator differs after this
    return _retrain(trainNN, seed, plan)[1]


def _retrain(
    trainNN: Callable[..., Any],
    seed: int,
    plan: Plan,
    full_data: bool = True,
    afresh: bool = False,
) -> tuple[Any, list[Step]]:
    trainNN = made_anew(trainNN) if afresh else trainNN
    network, _, _, history = _train(trainNN, plan, seed, full_data)
    return history, net_steps(network.notes)


def _train(
    trainNN: Callable[..., Any],
    plan: Plan,
    seed: int,
    full_data: bool = True,
    data: tuple[LabelledImages | None, LabelledImages | None] | None = None,
) -> tuple[SpyNet, SpyOptimizer, SpyLoss, Any]:
    train, validation = data or plan.data()
    network = SpyNet(plan.album).eval()  # a loop that forgets train() is seen at once
    optimizer, criterion = SpyOptimizer.of(network), SpyLoss(network)
    with quiet():
        history = ask(
            "trainNN(network, optimizer, epochs, criterion, …)",
            trainNN, network, optimizer, plan.n_epochs, criterion, full_data,
            train=train,
            validation=validation,
            batch_size=plan.batch_size,
            seed=seed,
        )  # fmt: skip
    return network, optimizer, criterion, history


def net_steps(notes: Sequence[Note], mixes: Sequence[Any] = ()) -> list[Step]:
    """Read the steps of a training from the notes of a SpyNet, its loss and its optimizer.

    `mixes` tell how often each takes the gradient of each call of the criterion, if that is known.
    """
    steps: list[Step] = []
    calls = _calls(notes)
    for (stop, n_before, n_calls), mix in zip_longest(_stops(notes, calls), mixes):
        clean = (0.0,) * n_before + (1.0,) * (n_calls - n_before)
        pairs = [(call.images, call.labels) for call in calls[:n_calls]]
        mixed = mix if mixes else clean
        steps.append(step_of(pairs, n_before, mixed, notes[stop].rate, ""))
    return steps


class LossCall(NamedTuple):
    """A call of the criterion: its place in the notes, its images and labels, the steps before."""

    place: int
    images: tuple[int, ...]
    labels: tuple[int, ...]
    n_steps: int


def _calls(notes: Sequence[Note]) -> list[LossCall]:
    calls: list[LossCall] = []
    images: tuple[int, ...] = ()
    n_steps = steps_before = 0
    for place, note in enumerate(notes):
        n_steps += note.call == "step"
        if note.call == "forward":
            images, steps_before = note.images, n_steps
        elif note.call == "criterion":
            calls.append(LossCall(place, note.images or images, note.labels, steps_before))
    return calls


def _stops(notes: Sequence[Note], calls: Sequence[LossCall]) -> Iterator[tuple[int, int, int]]:
    """Yield the place of each step, and how many calls came up to the step before and to it."""
    n_before = 0
    for place, note in enumerate(notes):
        if note.call == "step":
            n_calls = sum(call.place < place for call in calls)
            yield place, n_before, n_calls
            n_before = n_calls


def _mixes(network: SpyNet, optimizer: SpyOptimizer) -> list[tuple[float, ...] | None]:
    """Return, for each step, how often it takes the gradient of each call, None if nobody knows."""
    calls, mixes = _calls(network.notes), []
    own = np.array([_gradient(network.album, call) for call in calls]).reshape(-1, DIGITS)
    stops = _stops(network.notes, calls)
    for (_, n_before, n_calls), gradient in zip(stops, optimizer.gradients, strict=True):
        used = np.zeros(DIGITS) if gradient is None else np.array(gradient)
        sizes = [len(call.images) for call in calls[n_before:n_calls]]
        mixes.append(_mix(used, own[:n_calls], sizes))
    return mixes


N_MIXED = 8  # gradients, one less than can be told apart by ten numbers whose sum is 0


def _mix(used: NDArray[Any], parts: NDArray[Any], sizes: Sequence[int]) -> tuple[float, ...] | None:
    """Return the numbers by which gradients are multiplied to give the one used.

    Of the last calls, whose `sizes` are those of the step's own, the mean over all images is 1 of
    each.
    """
    n_calls, n_own = len(parts), len(sizes)
    each, last = np.eye(n_calls)[::-1], parts[-N_MIXED:]
    shares = np.zeros(n_calls)
    shares[n_calls - n_own :] = np.array(sizes) / max(1, sum(sizes))
    for mix in (*each[:n_own], shares, *np.cumsum(each, axis=0)):
        if _alike(used, mix @ parts):
            # The sum over pieces of a batch is so much more than the mean over its images.
            more = mix.sum() if mix.sum() == n_own > 1 else 1.0
            return tuple(np.where(mix > 0, more, 0.0).tolist())
    mix = np.round(np.linalg.lstsq(last.T, used, rcond=None)[0], 3)
    if not _alike(used, mix @ last):
        return None
    return tuple(np.append(np.zeros(n_calls - len(last)), mix).tolist())


def _loss_input(notes: Sequence[Note]) -> Finding | None:
    """See that the criterion was given logits and labels."""
    states = {note.state for note in notes if note.call == "criterion"}
    if "swapped" in states:
        return Finding("labels in place of the logits.", "criterion(logits, labels).", SWAPPED)
    if states & {"probabilities", "logarithms"}:
        found = "rows that were through softmax already."
        return Finding(found, "the logits of the network.", SOFTMAX_FIRST)
    if "one-hot" in states:
        return Finding("a row of targets for each image.", "the labels (B,).", ONE_HOT_TARGETS)
    return None


def _strangers_step(network: SpyNet, optimizer: SpyOptimizer) -> Finding | None:
    """See that nothing else changes weights or settings; the one passed in leaves them."""
    if network.is_changed:
        return Finding(
            "steps of another optimizer.", "steps of the one passed in.", OTHER_OPTIMIZER
        )
    group = optimizer.param_groups[0]
    changed = [name for name, value in SETTINGS.items() if group.get(name) != value]
    if changed or len(optimizer.param_groups) > 1 or len(optimizer.state) != 1:
        found = f"other settings: {', '.join(changed) or 'more parameters, or another state'}."
        return Finding(found, "the settings of the optimizer as they came.", OTHER_SETTINGS)
    return None


def _gradient_finding(steps: Sequence[Step]) -> Finding | None:
    """See that each step used the gradient of its own batch, and of no other."""
    if not all(step.images for step in steps):
        return None  # a step without a loss of its own, of which the steps tell more
    stories = [step.gradient for step in steps]
    if "reset" in stories:
        found = f"no gradient in {stories.count('reset')} of {len(steps)} steps."
        late = "late" in stories
        return Finding(found, OWN_GRADIENT, STEP_FIRST if late else NO_BACKWARD)
    if "added to" in stories:
        found = "gradients that grow from step to step."
        return Finding(found, OWN_GRADIENT, NO_ZERO_GRAD)
    return None


def _gradient(album: Album, call: LossCall) -> Any:
    """Return the gradient (10,) of the mean cross-entropy of a batch, by autograd."""
    if not call.images or len(call.images) != len(call.labels):
        return np.zeros(DIGITS)
    weight = torch.zeros(DIGITS, requires_grad=True)
    logits = logits_of(album, np.array(call.images), call.n_steps) + STEEP * weight
    loss = functional.cross_entropy(logits, torch.tensor(call.labels))
    return torch.autograd.grad(loss, weight)[0].numpy()


def _alike(found: Any, wanted: Any) -> bool:
    return distance(found, np.asarray(wanted)) < 1e-4


def _modes(notes: Sequence[Note]) -> Verdict:
    """See that the network trains in training mode and is evaluated in evaluation mode."""
    trained = False
    for number, note in enumerate(notes):
        following = notes[number + 1 : number + 3]
        trains = [each.call for each in following] == ["criterion", "step"]
        validates = note.call == "forward" and note.images[0] >= FIRST_VALIDATION
        if note.call == "forward" and note.state == "partly" and (trains or validates):
            return TRAIN_NN.wrong("mode", *PARTLY)
        if note.call == "forward" and trains and note.state == "evaluating":
            return TRAIN_NN.wrong("mode", "evaluation mode in training.", "train().", NO_TRAIN)
        if validates and note.state == "training":
            return TRAIN_NN.wrong("mode", "training mode in evaluation.", "eval().", NO_EVAL)
        trained = trained or trains
    return TRAIN_NN.right("mode")


def _memory(criterion: SpyLoss) -> Verdict:
    """See that a loss is let go once its batch is done; the one before may still be there."""
    if criterion.n_kept <= 2:
        return TRAIN_NN.right("memory")
    found = f"{criterion.n_kept} losses with their history at once."
    return TRAIN_NN.wrong("memory", found, "that of one batch at a time.", HISTORY_KEPT)


def _sizes(trainNN: Callable[..., Any], seed: int) -> Iterator[Verdict | Part]:
    """See that full_data chooses between all images and the first 2,000."""
    for full_data, wanted in ((False, MINI), (True, MINI + 80)):
        album = album_of(seed + 1) if full_data else Easy(seed + 1)
        plan = Plan(MINI + 80, 520, 1, RATE, album, n_validation=1010 if full_data else MINI + 90)
        network, optimizer, _, history = _train(trainNN, plan, seed, full_data)
        steps = net_steps(network.notes, _mixes(network, optimizer))
        used = {number for step in steps for number in step.images}
        if used != set(range(wanted)):
            cause = Fault(
                "full_data ignored",
                "the argument full_data does not choose the images.",
                "Take all images if full_data, else the first 2,000.",
            )
            found = f"{len(used)} images with full_data={full_data}."
            yield TRAIN_NN.wrong("full_data", found, f"the first {wanted}.", cause)
            return
        plan = plan._replace(n_images=wanted)
        for verdict in judge_steps(TRAIN_NN, network.notes, steps, plan):
            if not verdict.passed:
                yield replace(verdict, part=f"{verdict.part}, {wanted} images")
                return
        again = partial(_retrain, trainNN, seed, full_data=full_data)
        yield from judge_history(TRAIN_NN, history, plan, steps, again, f", {wanted} images")
    yield TRAIN_NN.right("full_data")


# evaluation

TRAINS = Fault(
    "trains", "the network's parameters are changed, as by a step of training.",
    "Call the network, nothing else.",
)  # fmt: skip
STILL_GRADIENTS = Fault(
    "gradients kept", "the result still carries what backward would need: gradients are not "
    "switched off.", "Compute it within `with torch.inference_mode():` or `torch.no_grad()`.",
)  # fmt: skip
GRADIENTS_OFF = Fault(
    "gradients switched off", "gradients are not as they were before evaluate: they stay switched "
    "off, so that nothing can be trained any more, or are on where they were off.",
    "Use `with torch.inference_mode():`, which ends with its block.",
)  # fmt: skip
SWITCHED = Finding(
    "gradients are switched, in the whole program.", "as before: on, or off.", GRADIENTS_OFF
)
FROZEN = Fault(
    "frozen",
    "`requires_grad` is switched for the network's parameters, and is another after evaluate.",
    "Compute within `with torch.inference_mode():`, which leaves the parameters as they are.",
)
MODE_LOST = Fault(
    "mode not restored", "the network is left in another mode than the one in which it came.",
    "Note `network.training` first, and set it again at the end, by `network.train(…)`.",
)  # fmt: skip
MODE_LOST_BY_ERROR = Fault(
    "mode not restored",
    "when the network raises an error, the line that would restore its mode is not reached.",
    "Restore the mode under `finally:`, which is run whatever happens under `try:`.",
)
LOGITS_FAULTS = (
    *(Fault("softmax in evaluate", f"the logits went through {name}.",
            "Return the network's logits as they are.",
            lambda logits, name=name: getattr(functional, name)(torch.tensor(logits), 1).numpy())
      for name in ("softmax", "log_softmax")),
    Fault("digits returned", "the digits are returned in place of their logits.",
          "Leave argmax to those who call evaluate.",
          lambda logits: logits.argmax(axis=1)),
)  # fmt: skip


def right_evaluate(network: nn.Module, images: Any) -> Tensor:
    """Stand in for evaluate."""
    values = torch.as_tensor(np.array(images), dtype=torch.float32).reshape(-1, 1, 28, 28)
    mode = network.training
    with torch.inference_mode():
        logits: Tensor = network.eval()(values.to(next(network.parameters()).device))
    network.train(mode)
    return logits


def right_test_accuracy(network: nn.Module, images: Any, labels: Any) -> float:
    """Stand in for test_accuracy."""
    predicted = right_evaluate(network, images).argmax(dim=1).cpu().numpy()
    return round(right_accuracy(predicted, labels), 2)


@check(EVALUATION, stand_ins={"evaluate": right_evaluate, "test_accuracy": right_test_accuracy})
def check_evaluation(
    evaluate: Callable[..., Any], test_accuracy: Callable[..., float], *, seed: int = 0
) -> Iterator[Verdict | Part]:
    """See that `evaluate` gives logits, and `test_accuracy` the percentage of right digits."""
    album = album_of(seed)
    try:
        for n in (23, 1, 1003) if asked_why() else (1, 501 + seed % 9):
            yield from _evaluations(evaluate, album, n)
        yield EVALUATION.right("logits")
        if plain_function(evaluate):  # a network's mode elsewhere does not come back with an error
            for first in (FAILS_AT - 4, FAILS_AT - 599):  # the first part fails, or a later one
                verdict = _after_error(evaluate, album, first)
                if not verdict.passed:
                    yield verdict
            yield EVALUATION.right("mode after an error")
        yield partial(_test_accuracy, test_accuracy, album, seed)
    finally:
        torch.set_grad_enabled(True)  # whatever was done to it


def _evaluations(evaluate: Callable[..., Any], album: Album, n: int) -> Iterator[Verdict]:
    """See what evaluate makes of images in both modes: flat ones first, then others as tensors."""
    for training, first in ((True, 2000), (False, 500)):
        network, (given, _) = SpyNet(album).train(training), album.images(first, n)
        network.bias.requires_grad_(training)  # the second time, it is frozen
        images = given.copy() if training else torch.tensor(given).reshape(-1, 1, 28, 28)
        call = "evaluate(network, images)" + ("" if training else " with images as a tensor")
        with torch.set_grad_enabled(training):  # the second time, they are off already
            logits = ask(call, evaluate, network, images)
            switched = torch.is_grad_enabled() != training
        yield from _evaluated(network, logits, album, np.arange(first, first + n), training)
        if switched:
            yield EVALUATION.wrong("gradients, afterwards", *SWITCHED)
        now = np.asarray(images).reshape(-1, PIXELS)
        yield from untouched(EVALUATION, [(now, now)], [(given, given)])
        yield from _asked_again(evaluate, network, images, logits)


STALE = Fault(
    "stale", "with other weights, the same images give the same logits as before: they are kept.",
    "Compute everything anew in each call, with the network as it is then.",
)  # fmt: skip


def _asked_again(
    evaluate: Callable[..., Any], network: SpyNet, images: Any, before: Any
) -> Iterator[Verdict]:
    """See that the very same images, after a step, give the logits of the new weights."""
    numbers = numbers_of(images)
    with torch.no_grad():
        network.bias.add_(1)  # as the step does
    network.notes[:] = [Note("step")]
    part, call = "logits, after a step", "evaluate(network, images), after a step"
    found = EVALUATION.numbers(part, ask(call, evaluate, network, images))
    if distance(found, EVALUATION.numbers(part, before)) < CLOSE:
        yield EVALUATION.wrong(part, "those from before the step.", "others.", STALE)
    require_all_seen(EVALUATION, network.notes, len(numbers))
    wanted = logits_of(network.album, numbers, 1).numpy()
    verdict = EVALUATION.judge(part, [Sample(found, wanted, (wanted,))], LOGITS_FAULTS)
    if not verdict.passed:
        yield verdict


NO_TENSOR = Fault(
    "no tensor", "the numbers are right, but no tensor comes back, which trainNN and "
    "predict_probabilities go on computing with.", "Return the logits as PyTorch's tensor, by "
    "`torch.cat`.",
)  # fmt: skip


def _evaluated(
    network: SpyNet, found: Any, album: Album, numbers: NDArray[np.integer], training: bool
) -> Iterator[Verdict]:
    """See what evaluate returned, and how it left the network."""
    require_all_seen(EVALUATION, network.notes, len(numbers))
    logits = EVALUATION.numbers("logits", found)
    wanted = logits_of(album, numbers, 0).numpy()
    verdict = EVALUATION.judge("logits", [Sample(logits, wanted, (wanted,))], LOGITS_FAULTS)
    if not verdict.passed:
        yield verdict
    if not isinstance(found, Tensor):
        yield EVALUATION.wrong("logits", f"a {type(found).__name__}.", "a tensor.", NO_TENSOR)
    yield from _evaluation_mode([network])
    if getattr(found, "requires_grad", False):
        came = "logits that ask for gradients."
        yield EVALUATION.wrong("gradients", came, "none.", STILL_GRADIENTS)
    if network.is_changed or network.weight.dtype != torch.float32:
        came = "parameters with other values, or of another type."
        yield EVALUATION.wrong("parameters, afterwards", came, "as before.", TRAINS)
    if network.bias.requires_grad != training:
        came = "parameters that are frozen, or no longer so, unlike before."
        yield EVALUATION.wrong("gradients, afterwards", came, "as before.", FROZEN)
    if not network.weight.requires_grad:
        came = "parameters that can't be trained any more."
        yield EVALUATION.wrong("gradients, afterwards", came, "as before.", FROZEN)
    if {network.training, network.inner.training} != {training}:
        words = {True: "training mode.", False: "evaluation mode."}
        before = f"as before: {words[training]}"
        yield EVALUATION.wrong("mode, afterwards", words[not training], before, MODE_LOST)


def _evaluation_mode(networks: Iterable[SpyNet]) -> Iterator[Verdict]:
    """See that networks, with their layers, were in evaluation mode."""
    states = {note.state for network in networks for note in network.notes}
    if "partly" in states:
        yield EVALUATION.wrong("mode", *PARTLY)
    if "training" in states:
        yield EVALUATION.wrong("mode", "training mode.", "evaluation mode.", NO_EVAL)


ERROR_HIDDEN = Fault(
    "error hidden", "when the network raises an error, nobody hears of it: `return` in `finally` "
    "ends it, or an `except` without `raise`.", "Let errors through: `finally:` without `return`, "
    "and no `except`.",
)  # fmt: skip


class FailingNet(SpyNet):
    """A network that raises an error when it comes to one of the images."""

    def forward(self, x: Tensor) -> Tensor:
        """Raise an error, or return logits of other images."""
        if FAILS_AT in numbers_of(x.detach().cpu().numpy()):
            raise RuntimeError("this network fails, to see in which mode it is left")
        return super().forward(x)


FAILS_AT = 2599


def _after_error(evaluate: Callable[..., Any], album: Album, first: int) -> Verdict:
    """See that the network gets its mode back even if it raises an error."""
    network, part = FailingNet(album).train(), "mode after an error"
    with contextlib.suppress(StudentError):
        images, _ = album.images(first, FAILS_AT + 1 - first)
        ask("evaluate(network, images)", evaluate, network, images)
        found = "a result, though the network raised an error."
        return EVALUATION.wrong("an error", found, "that error.", ERROR_HIDDEN)
    if not torch.is_grad_enabled():
        found = "no gradients any more, in the whole program."
        return EVALUATION.wrong("gradients after an error", found, "as before.", GRADIENTS_OFF)
    if network.training and network.inner.training:
        return EVALUATION.right(part)
    came, wanted = "evaluation mode.", "training mode, as before."
    return EVALUATION.wrong(part, came, wanted, MODE_LOST_BY_ERROR)


TOO_FEW_LABELS = Fault(
    "too few labels", "nothing sees to it that there is one label for each image.",
    "Compare the shapes of digits and labels: `accuracy` does; `zip` doesn't, nor `==` with a "
    "single label.",
)  # fmt: skip
COLUMN = Fault(
    "column of labels", "labels of the shape (N, 1) are taken, and the result is not the accuracy: "
    "`==` compares each label of such a column with all digits of a row.",
    "Let labels of another shape than (N,) end in a ValueError.",
)  # fmt: skip


def _labels(test_accuracy: Callable[..., float], album: Album) -> Iterator[Verdict]:
    """See that other numbers of labels, and other shapes of them, give no wrong result."""
    images, labels = album.images(FIRST_VALIDATION, 23)
    right = percentage(album, 0, FIRST_VALIDATION, 23).wanted
    for given, fault in (
        (labels[:-1], TOO_FEW_LABELS), (labels[:1], TOO_FEW_LABELS), (labels[:, None], COLUMN)
    ):  # fmt: skip
        with contextlib.suppress(StudentError):
            value = ask("test_accuracy(…)", test_accuracy, SpyNet(album), images, given)
            if fault is COLUMN and distance(EVALUATION.numbers("labels", value), right) < ROUNDED:
                continue  # the column was taken for a row, which does no harm
            found = f"a result for 23 images and labels of the shape {given.shape}."
            yield EVALUATION.wrong(fault.key, found, "a ValueError.", fault)


# Forms of images and labels beside flat ones in NumPy's arrays, by what messages call them.
FORMS: dict[str, Callable[[Any, Any], tuple[Any, Any]]] = {
    "images (N, 28, 28)": lambda x, y: (x.reshape(-1, 28, 28), y),
    "images (N, 1, 28, 28)": lambda x, y: (x.reshape(-1, 1, 28, 28), y),
    "images as a tensor": lambda x, y: (torch.tensor(x), y),
    "images and labels as tensors": lambda x, y: (
        torch.tensor(x).reshape(-1, 1, 28, 28), torch.tensor(y)
    ),
}  # fmt: skip


# In marking nothing depends on this: nobody passes such images on.
OWN_FORMS = {"images of 64 bits": lambda x, y: (x.astype(float), y)}


def _forms(test_accuracy: Callable[..., float], album: Album) -> Iterator[Verdict]:
    """See that images and labels may come in all forms of the docstring."""
    own = plain_function(test_accuracy) is not None
    for words, form in {**FORMS, **(OWN_FORMS if own else {})}.items():
        data = form(*album.images(FIRST_VALIDATION, 23))
        value = ask(f"test_accuracy(…) with {words}", test_accuracy, SpyNet(album), *data)
        sample = percentage(album, value, FIRST_VALIDATION, 23)
        verdict = EVALUATION.judge(words, [sample], PERCENTAGE_FAULTS, ROUNDED)
        if not verdict.passed:
            yield verdict


def _test_accuracy(
    test_accuracy: Callable[..., float], album: Album, seed: int
) -> Iterator[Verdict]:
    samples, spies, call = [], [], "test_accuracy(network, images, labels)"
    for n in (23, 1003, 1) if asked_why() else (502 + seed % 9, 1):
        network, data = SpyNet(album).train(), album.images(FIRST_VALIDATION, n)
        value = ask(call, test_accuracy, network, *data)
        if value is None:
            EVALUATION.halt("images", "None.", "an accuracy in percent.", NOTHING_RETURNED)
        require_all_seen(EVALUATION, network.notes, n)
        yield from untouched(EVALUATION, [data], [album.images(FIRST_VALIDATION, n)])
        samples.append(percentage(album, value, FIRST_VALIDATION, n))
        spies.append(network)
        ask(call, test_accuracy, network.eval(), *data)
        if network.training or network.inner.training:
            told = "training mode.", "evaluation mode, as before."
            yield EVALUATION.wrong("mode after test_accuracy", *told, MODE_LOST)
    verdict = EVALUATION.judge(
        "images", samples, PERCENTAGE_FAULTS, ROUNDED, facts=MEANS_OF_BATCHES
    )
    yield with_example(verdict, lambda *data: test_accuracy(SpyNet(album), *data), album)
    if crowd.is_due(test_accuracy, seed):
        counting = CountingNet()
        value = ask(call, test_accuracy, counting, *crowd.images_of(crowd.N_IMAGES))
        yield from crowd.judge_test(EVALUATION, value, counting.n_seen)
    test = lambda album, *data: test_accuracy(SpyNet(album), *data)  # noqa: E731
    yield from judge_undecided(EVALUATION, call, test)
    yield from _labels(test_accuracy, album)
    yield from _forms(test_accuracy, album)
    yield from _evaluation_mode(spies)
    if any(network.is_changed for network in spies):
        yield EVALUATION.wrong("weights", "the weights changed.", "a test only.", TRAINS)
