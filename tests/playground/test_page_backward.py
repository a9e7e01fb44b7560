"""What the page computes backward, and a training step in it, against NumPy and PyTorch."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from helpers.mlp import MLP, PARAMETERS
from helpers.mnist import load_mnist
from helpers.training import one_hot_encode
from playground.export import _describe_cnn
from tests.playground.playground_reference import unpack

seeds = st.integers(0, 2**32 - 1)
few = settings(max_examples=25, deadline=None)


def packed(**arrays: np.ndarray) -> dict:
    return {
        name: {"values": values.ravel().tolist(), "shape": values.shape}
        for name, values in arrays.items()
    }


def packed_mlp(mlp: MLP) -> dict:
    return packed(**{name: getattr(mlp, name) for name in PARAMETERS})


class Drawn:
    """A perceptron and labelled images, all random."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.size = int(rng.integers(1, 9))
        self.mlp = MLP(784, int(rng.integers(1, 20)), seed=rng, dtype=np.float64)
        self.mlp.b1, self.mlp.b2 = (rng.normal(size=b.shape) for b in (self.mlp.b1, self.mlp.b2))
        self.images = rng.random((self.size, 784)) * (rng.random((self.size, 784)) < 0.3)
        self.labels = rng.integers(0, 10, self.size)

    def data(self) -> str:
        """JavaScript for the images and labels, as the page has them."""
        return "({images: Float64Array.from(xs.flat()), labels})"

    def given(self) -> dict:
        return {
            "net": packed_mlp(self.mlp),
            "xs": self.images.tolist(),
            "labels": self.labels.tolist(),
        }


@few
@given(seeds)
def test_gradients_of_a_batch_are_those_of_numpy(javascript, seed):
    drawn = Drawn(seed)
    mlp, y = drawn.mlp, one_hot_encode(drawn.labels)
    mlp.forward(drawn.images)
    mlp.update_grad(y)
    found = javascript(f"batchGradients(net, {drawn.data()}, labels.keys())", **drawn.given())
    for name in PARAMETERS:
        wanted = getattr(mlp, f"{name}_grad").ravel()
        np.testing.assert_allclose(found[name], wanted, atol=1e-9, err_msg=name)
    assert found["loss"] == pytest.approx(mlp.loss(y))
    assert found["right"] == (mlp.y_hat.argmax(axis=1) == drawn.labels).sum()


@few
@given(seeds)
def test_every_factor_on_the_way_back_is_that_of_pytorch(javascript, seed):
    drawn = Drawn(seed)
    W1, b1, W2, b2, x = (
        torch.tensor(values, requires_grad=True)
        for values in (*(getattr(drawn.mlp, name) for name in PARAMETERS), drawn.images[0])
    )
    a1 = W1 @ x + b1
    z1 = torch.sigmoid(a1)
    a2 = W2 @ z1 + b2
    loss = nn.functional.cross_entropy(a2, torch.tensor(drawn.labels[0]))
    slopes = torch.autograd.grad(loss, (a2, z1, a1, x))
    given_, call = drawn.given(), "backMlp(net, xs[0], labels[0])"
    found = javascript(f"({{...{call}, pixels: goBack(net.W1, {call}.delta1)}})", **given_)
    names = ("delta2", "arriving", "delta1", "pixels")
    for name, wanted in zip(names, slopes, strict=True):
        np.testing.assert_allclose(found[name], wanted, atol=1e-9, err_msg=name)
    assert found["loss"] == pytest.approx(loss.item())


@pytest.mark.parametrize("mean", [False, True])
def test_steps_of_training_equal_those_of_numpy(javascript, mean):
    train = load_mnist().train.first(100)
    choice = {
        "units": 64,
        "rate": 0.01,
        "batchSize": 64,
        "mean": mean,
        "zero": False,
        "seed": 3,
        "course": 1,
    }
    # After 64 images of 100 come the other 36, which end the epoch.
    found = javascript(
        """(() => {
            const train = {images: Float32Array.from(xs.flat()), labels};
            const told = [];
            const post = (progress) => told.push(JSON.parse(JSON.stringify(progress, lists)));
            const training = new Training({train, validation: train}, choice, post);
            const batches = [];
            training.step(); batches.push([...training.order]); training.step();
            return {told, batches};
        })()""",
        xs=train.images.tolist(),
        labels=train.labels.tolist(),
        choice=choice,
    )
    rest = found["batches"][0]
    first = np.setdiff1d(np.arange(100), rest)
    mlp = MLP()
    for name in PARAMETERS:
        values = found["told"][0]["mlp"][name]
        setattr(mlp, name, np.array(values["values"], np.float32).reshape(values["shape"]))
    assert [told["epochs"] for told in found["told"]] == [0, 0.64, 1]
    for told, batch in zip(found["told"][1:], (first, rest), strict=True):
        mlp_right = np.argmax(mlp.forward(train.images[batch]), axis=1) == train.labels[batch]
        assert told["evaluations"][-1]["train"] == pytest.approx(mlp_right.mean())
        y = one_hot_encode(train.labels[batch])
        mlp.reset_grad()
        mlp.forward(train.images[batch])
        assert told["losses"] == [pytest.approx(mlp.loss(y) / len(batch), abs=1e-5)]
        mlp.update_grad(y)
        mlp.update_params(0.01 / len(batch) if mean else 0.01)
        for name in PARAMETERS:
            values = told["mlp"][name]["values"]
            np.testing.assert_allclose(values, getattr(mlp, name).ravel(), atol=1e-5)


def test_initial_weights_are_those_of_the_notebook_or_zero(javascript):
    mlp = javascript("newMlp(64, false, randomNumbers(1))")
    for name in ("W1", "W2"):
        values = np.array(mlp[name]["values"])
        assert values.mean() == pytest.approx(0, abs=0.4 / len(values) ** 0.5)
        assert values.std() == pytest.approx(0.1, rel=3 / len(values) ** 0.5)
    assert not np.any(mlp["b1"]["values"] + mlp["b2"]["values"])
    assert not np.any(javascript("newMlp(5, true, randomNumbers(1))")["W1"]["values"])


def drawn_cnn(seed: int) -> nn.Sequential:
    """Convolutions, pools and ReLUs as they fall, then one or two fully connected layers."""
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    layers: list[nn.Module] = []
    channels, height, width = 1, 28, 28
    for _ in range(rng.integers(0, 3)):
        filters, rows, columns = (int(n) for n in rng.integers(1, 6, 3))
        layers.append(nn.Conv2d(channels, filters, (rows, columns)))
        channels, height, width = filters, height - rows + 1, width - columns + 1
        extra = [nn.ReLU(), nn.MaxPool2d(2)][: rng.integers(0, 3)]
        layers += extra if rng.random() < 0.5 else extra[::-1]
        if any(isinstance(layer, nn.MaxPool2d) for layer in extra):
            height, width = height // 2, width // 2
    size = channels * height * width
    layers += [nn.Flatten(), nn.Linear(size, 12), nn.ReLU(), nn.Linear(12, 10)]
    return nn.Sequential(*layers).double()


def described(layers: nn.Sequential) -> list:
    holder = nn.Module()
    holder.layers = layers
    return unpack(_describe_cnn(holder))


@few
@given(seeds)
def test_slopes_of_any_cnn_are_those_of_pytorch(javascript, seed):
    layers, rng = drawn_cnn(seed), np.random.default_rng(seed)
    digit, rival = (int(k) for k in rng.permutation(10)[:2])
    layers = layers.float().double()  # the page holds 32 bits a weight
    steps = [torch.tensor(rng.random((1, 1, 28, 28)), requires_grad=True)]
    for layer in layers:
        steps.append(layer(steps[-1]))
    lead = steps[-1][0, digit] - steps[-1][0, rival]
    wanted = torch.autograd.grad(lead, steps[:-1])
    image = steps[0].detach().numpy().ravel().tolist()
    given_ = {"net": described(layers), "x": image, "k": digit, "r": rival}
    found = javascript("backCnn(net, runCnn(net, x).steps, duel(k, r))", **given_)
    for found_slopes, slopes in zip(found, wanted, strict=False):
        np.testing.assert_allclose(found_slopes, slopes.ravel(), atol=1e-9)
    added = javascript("cnnLead(net, runCnn(net, x), k, r)", **given_)
    np.testing.assert_allclose(added["pixels"], (steps[0] * wanted[0]).detach().ravel(), atol=1e-9)
    last = max((k for k, layer in enumerate(layers) if isinstance(layer, nn.Conv2d)), default=None)
    if last is not None:
        products = (steps[last + 1] * wanted[last + 1]).detach().sum(dim=(0, 2, 3))
        np.testing.assert_allclose(added["maps"], products, atol=1e-9)


@few
@given(seeds)
def test_the_lead_of_a_digit_adds_up_to_the_difference_of_logits(javascript, seed):
    drawn = Drawn(seed)
    digit, rival = (int(k) for k in np.random.default_rng(seed).permutation(10)[:2])
    drawn.mlp.forward(drawn.images[0])
    z1, a2, b2 = drawn.mlp.z1.tolist(), drawn.mlp.a2, drawn.mlp.b2
    net = packed_mlp(drawn.mlp)
    found = javascript("lead(net, z1, k, r)", net=net, z1=z1, k=digit, r=rival)
    assert sum(found) == pytest.approx(a2[digit] - a2[rival] - b2[digit] + b2[rival])
    alone = javascript("lead(net, z1, k, null)", net=net, z1=z1, k=digit)
    assert sum(alone) == pytest.approx(a2[digit] - b2[digit])


@few
@given(seeds)
def test_every_number_is_made_of_its_factors(javascript, seed):
    drawn = Drawn(seed)
    rng = np.random.default_rng(seed)
    mlp, y = drawn.mlp, one_hot_encode(drawn.labels[:1])
    mlp.forward(drawn.images[:1])
    mlp.update_grad(y)
    unit = int(rng.integers(len(mlp.b1)))
    slopes = {
        "delta2": mlp.b2_grad,
        "slopesW2": mlp.W2_grad.ravel(),
        "delta1": mlp.b1_grad,
        "slopesW1": mlp.W1_grad[unit],
        "pixels": mlp.b1_grad @ mlp.W1,
    }
    given_ = drawn.given() | {"unit": unit}
    way = """{mlp: net, image: xs[0], digit: labels[0], unit,
              back: backMlp(net, xs[0], labels[0])}"""
    for name, wanted in slopes.items():
        at = int(rng.integers(len(wanted)))
        call = (
            f"(({{values, explain}}, way) => [values(way), explain(way, at)])(QUANTITIES[q], {way})"
        )
        values, explained = javascript(call, **given_, at=at, q=name)
        np.testing.assert_allclose(values, wanted, atol=1e-12, err_msg=name)
        assert explained["value"] == pytest.approx(wanted[at], abs=1e-12)
        assert result_of(explained, name) == pytest.approx(wanted[at], abs=1e-12)


def result_of(explained: dict, name: str) -> float:
    """What a reader with a pocket calculator gets from the rows that are shown."""
    rows = explained["rows"]
    if name == "delta2":
        return rows[0][1] - rows[1][1]
    if len(rows[0]) == 2:
        return rows[0][1] * rows[1][1]
    total = sum(first * second for _, first, second, _ in rows)
    return total * explained["after"][2][1] if "after" in explained else total


@few
@given(seeds, st.floats(0, 1))
def test_a_step_changes_each_pixel_by_its_size_and_stays_in_range(javascript, seed, size):
    rng = np.random.default_rng(seed)
    x, slopes = rng.random(784).astype(np.float32), rng.normal(size=784)
    found = javascript("adversarialStep(x, s, e)", x=x.tolist(), s=slopes.tolist(), e=size)
    np.testing.assert_allclose(found, np.clip(x - size * np.sign(slopes), 0, 1), atol=1e-6)


def test_the_smallest_step_is_the_smallest_that_fools(javascript):
    image = load_mnist().test.images[0].tolist()
    call = """[(() => {
        const slopes = goBack(mlp.W1, backMlp(mlp, x, 3).delta1);
        const read = (x) => indexOfLargest(runMlp(mlp, x).probabilities);
        const size = smallestStep(x, slopes, 3, read);
        const after = (size) => read(adversarialStep(x, slopes, size));
        return [size, after(size - 0.01), after(size)];
    })()][0]"""
    size, before, after = javascript(call, x=image)
    assert 0 < size < 0.5
    assert before != 3
    assert after == 3


@few
@given(seeds)
def test_a_value_of_a_map_is_the_sum_of_its_products(javascript, seed):
    layers, rng = drawn_cnn(seed), np.random.default_rng(seed)
    layers = layers.float().double()
    steps = [torch.tensor(rng.random((1, 1, 28, 28)))]
    for layer in layers:
        steps.append(layer(steps[-1]))
    convolutions = [k for k, layer in enumerate(layers) if isinstance(layer, nn.Conv2d)]
    for k in convolutions:
        at = int(rng.integers(steps[k + 1].numel()))
        given_ = {"net": described(layers), "x": steps[0].ravel().tolist(), "k": k, "at": at}
        place = javascript("explainPlace(net, runCnn(net, x).steps, k, at)", **given_)
        value = steps[k + 1].ravel()[at].item()
        sums = [np.dot(c["window"], c["filter"]) for c in place["channels"]]
        assert len(sums) == layers[k].in_channels
        assert [channel["sum"] for channel in place["channels"]] == pytest.approx(sums)
        assert place["value"] == pytest.approx(value)
        assert sum(sums) + place["bias"] == pytest.approx(value)
        for fate, (layer, below, above) in zip(
            place["fate"],
            zip(layers[k + 1 :], steps[k + 1 :], steps[k + 2 :], strict=False),
            strict=False,
        ):
            assert fate["kind"] == type(layer).__name__
            assert fate["value"] is None or np.isclose(above.detach(), fate["value"]).any()
            assert all(np.isclose(below.detach(), value).any() for value in fate["inputs"])
            if fate["kind"] == "MaxPool2d" and fate["value"] is not None:
                assert fate["value"] == max(fate["inputs"])


@few
@given(seeds)
def test_a_cut_unit_or_filter_adds_nothing_any_more(javascript, seed):
    drawn, rng = Drawn(seed), np.random.default_rng(seed)
    unit = int(rng.integers(len(drawn.mlp.b1)))
    cut = "(() => {cut(partsOf(net, null)[0], k); return runMlp(net, xs[0]).logits})()"
    found = javascript(cut, **drawn.given(), k=unit)
    drawn.mlp.W2[:, unit] = 0
    drawn.mlp.forward(drawn.images[0])
    np.testing.assert_allclose(found, drawn.mlp.a2, atol=1e-9)
    layers, x = drawn_cnn(seed).float().double(), torch.tensor(rng.random((1, 1, 28, 28)))
    weighted = [layer for layer in layers if hasattr(layer, "weight")]
    which = int(rng.integers(len(weighted)))
    piece = int(rng.integers(len(weighted[which].bias)))
    given_ = {"net": described(layers), "x": x.ravel().tolist(), "p": which, "k": piece}
    given_ |= {"mlp": drawn.given()["net"]}
    found = javascript(
        "(() => {cut(partsOf(mlp, net)[p + 2], k); return runCnn(net, x).logits})()", **given_
    )
    weighted[which].weight.data[piece] = 0
    weighted[which].bias.data[piece] = 0
    np.testing.assert_allclose(found, layers(x)[0].detach(), atol=1e-9)


@few
@given(seeds, st.floats(0, 3))
def test_noise_has_the_size_that_it_says_and_leaves_the_biases(javascript, seed, share):
    rng = np.random.default_rng(seed)
    part = packed(weight=rng.normal(0, 0.3, (20, 100)), bias=rng.normal(size=20))
    call = "(() => {addNoise(part, share, randomNumbers(seed)); return part})()"
    found = javascript(call, part=part, share=share, seed=seed)
    noise = np.subtract(found["weight"]["values"], part["weight"]["values"])
    typical = np.sqrt(np.mean(np.square(part["weight"]["values"])))
    assert noise.std() == pytest.approx(share * typical, rel=0.15)
    assert found["bias"] == {**part["bias"], "shape": [20]}
