"""The check of Net: its layers by their names and shapes, its logits, and what can be learned."""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from checks.album import DIGITS
from checks.asking import StudentError, ask
from checks.check import Part, check
from checks.comparison import CLOSE, describe, distance
from checks.contract import other_seeds, seed_fault
from checks.faults import RAISED, VAGUE, Fault, Sample, asked_why
from checks.functions import N_SAMPLES
from checks.verdicts import Exercise, Verdict

NET = Exercise("net", "Net")

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
    yield partial(_net_seeds, Net)


def _net_seeds(Net: Callable[..., nn.Module]) -> Iterator[Verdict]:
    """See that initial weights come from the seed."""
    seeds = other_seeds(Net)
    networks = [ask("Net(seed=…)", Net, seed=each) for each in (0, 0, *seeds)]
    first, again, *others = (network.state_dict() for network in networks)
    if not all(torch.equal(first[name], again[name]) for name in first):
        yield NET.wrong("seed", "other weights for the same seed.", "the same.", NET_SEED)
    same = (any(torch.equal(first[n], v) for n, v in o.items() if v.ndim > 1) for o in others)
    if fault := seed_fault(NET_SEED, seeds, same):
        yield NET.wrong("seed", "the same weights for different seeds.", "others.", fault)
    places = [v.data_ptr() for each in (first, again, *others) for v in each.values()]
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
GRADIENTS_OFF = Fault(
    "gradients switched", "forward switches gradients off, and they stay so: nothing can be "
    "trained any more.", NO_GRADIENTS.step,
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
    if not torch.is_grad_enabled():
        torch.set_grad_enabled(True)
        told = "switched off, in the whole program.", "on, as before."
        yield NET.wrong("gradients, after Net()(x)", *told, GRADIENTS_OFF)
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
