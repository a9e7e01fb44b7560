"""The hand-written network against three independent oracles, and against bad input."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from checks import (
    analytic_gradients,
    autograd_gradients,
    numerical_gradients,
    relative_difference,
)
from helpers.mlp import (
    MLP,
    PARAMETERS,
    cross_entropy,
    load_weights,
    save_weights,
    sigmoid,
    softmax,
)

seeds = st.integers(0, 2**32 - 1)
logits = arrays(np.float64, (3, 10), elements=st.floats(-1000, 1000))


def random_case(seed: int, batch: int | None = None, sizes: tuple[int, int, int] = (6, 5, 4)):
    """A float64 network, a batch of inputs in [0, 1] and one-hot targets (one image if None)."""
    rng = np.random.default_rng(seed)
    n_inputs, _, n_outputs = sizes
    x = rng.random((batch or 1, n_inputs))
    y = np.eye(n_outputs)[rng.integers(n_outputs, size=batch or 1)]
    network = MLP(*sizes, seed=rng, dtype=np.float64)
    network.b1 += rng.normal(size=network.b1.shape)  # zero biases would hide mistakes
    network.b2 += rng.normal(size=network.b2.shape)
    return network, *((x, y) if batch else (x[0], y[0]))


def assert_close(gradients, oracle, limit: float) -> None:
    for name in PARAMETERS:
        assert relative_difference(gradients[name], oracle[name]) <= limit, name


# ---- gradients ----------------------------------------------------------------------------------


def test_gradients_equal_central_differences_in_every_parameter_of_784_64_10():
    case = random_case(0, sizes=(784, 64, 10))
    assert_close(analytic_gradients(*case), numerical_gradients(*case), 1e-7)


@pytest.mark.parametrize("batch", [None, 1, 7])
def test_gradients_equal_central_differences_on_batches(batch):
    case = random_case(1, batch)
    assert_close(analytic_gradients(*case), numerical_gradients(*case), 1e-7)


@given(seeds, st.none() | st.integers(1, 20))
def test_gradients_equal_autograd(seed, batch):
    case = random_case(seed, batch)
    assert_close(analytic_gradients(*case), autograd_gradients(*case), 1e-12)


@given(seeds, st.integers(1, 8))
def test_a_batch_gives_the_sum_of_what_its_images_give(seed, batch):
    network, X, Y = random_case(seed, batch)
    whole = analytic_gradients(network, X, Y)
    whole_loss = network.loss(Y)
    network.reset_grad()
    loss = 0.0
    for x, y in zip(X, Y, strict=True):
        network.forward(x)
        loss += network.loss(y)
        network.update_grad(y)
    assert loss == pytest.approx(whole_loss)
    assert_close({n: getattr(network, f"{n}_grad") for n in PARAMETERS}, whole, 1e-12)


@given(seeds, st.integers(1, 4))
def test_update_grad_accumulates_until_reset(seed, times):
    network, x, y = random_case(seed)
    once = analytic_gradients(network, x, y)
    for _ in range(times):
        network.update_grad(y)
    for name in PARAMETERS:
        np.testing.assert_allclose(getattr(network, f"{name}_grad"), (1 + times) * once[name])
    network.reset_grad()
    assert not any(getattr(network, f"{name}_grad").any() for name in PARAMETERS)


def test_a_step_moves_every_parameter_against_its_gradient():
    network, x, y = random_case(3)
    gradients = analytic_gradients(network, x, y)
    before = {name: getattr(network, name).copy() for name in PARAMETERS}
    network.update_params(0.5)
    for name in PARAMETERS:
        np.testing.assert_allclose(getattr(network, name), before[name] - 0.5 * gradients[name])


def test_nothing_passed_in_is_changed():
    network, x, y = random_case(4, 3)
    x_before, y_before = x.copy(), y.copy()
    y_hat = network.forward(x)
    y_hat_before = y_hat.copy()
    network.update_grad(y)
    network.update_params(0.1)
    np.testing.assert_array_equal(x, x_before)
    np.testing.assert_array_equal(y, y_before)
    np.testing.assert_array_equal(y_hat, y_hat_before)


# ---- functions ----------------------------------------------------------------------------------


@given(logits, st.floats(-1000, 1000))
def test_softmax_gives_probabilities_and_ignores_a_shift(a, shift):
    p = softmax(a)
    assert (p >= 0).all()
    np.testing.assert_allclose(p.sum(axis=-1), 1)
    np.testing.assert_allclose(softmax(a + shift), p, atol=1e-9)


@given(logits)
def test_sigmoid_lies_in_0_to_1_and_is_symmetric(a):
    z = sigmoid(a)
    assert ((z >= 0) & (z <= 1)).all()
    np.testing.assert_allclose(sigmoid(-a), 1 - z, atol=1e-15)
    np.testing.assert_allclose(sigmoid(a / 100), 1 / (1 + np.exp(-a / 100)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_extreme_values_neither_overflow_nor_warn(dtype):
    a = np.array([1000, -1000, 0], dtype)
    with warnings.catch_warnings(), np.errstate(all="raise", under="ignore"):
        warnings.simplefilter("error")
        np.testing.assert_array_equal(sigmoid(a), np.array([1, 0, 0.5], dtype))
        np.testing.assert_array_equal(softmax(a), np.array([1, 0, 0], dtype))
        assert cross_entropy(a, np.array([0, 1, 0])) == 2000  # and not inf
        assert cross_entropy(a, np.array([1, 0, 0])) == 0


# ---- the network --------------------------------------------------------------------------------


def test_initial_weights_have_standard_deviation_a_tenth_and_biases_are_zero():
    network = MLP(seed=0)
    assert network.W1.std() == pytest.approx(0.1, rel=0.02)
    assert network.W2.std() == pytest.approx(0.1, rel=0.15)
    assert abs(network.W1.mean()) < 0.002
    assert not network.b1.any()
    assert not network.b2.any()


def test_seed_and_dtype_are_respected():
    np.testing.assert_array_equal(MLP(seed=5).W1, MLP(seed=np.random.default_rng(5)).W1)
    assert not np.array_equal(MLP(seed=5).W1, MLP(seed=6).W1)
    for dtype in (np.float32, np.float64):
        network = MLP(dtype=dtype)
        assert network.forward(np.zeros((2, 784))).dtype == dtype
        network.update_grad(np.eye(10)[:2])
        network.update_params(0.1)
        values = [getattr(network, name + end) for name in PARAMETERS for end in ("", "_grad")]
        assert {value.dtype for value in values} == {np.dtype(dtype)}


def test_repr_tells_the_architecture():
    text = repr(MLP())
    for part in ("784", "64 sigmoid", "10 softmax", "50,890 parameters", "float32"):
        assert part in text


def test_one_image_and_a_batch_keep_their_shapes():
    network = MLP()
    assert network.forward(np.zeros(784)).shape == (10,)
    assert network.forward(np.zeros((3, 784))).shape == (3, 10)


@pytest.mark.parametrize("shape", [(), (783,), (784, 1), (2, 3, 784), (28, 28)])
def test_forward_refuses_other_shapes(shape):
    with pytest.raises(ValueError, match=r"x has shape .*wanted \(784,\)"):
        MLP().forward(np.zeros(shape))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_forward_refuses_pixels_that_are_no_numbers(bad):
    x = np.zeros((2, 784))
    x[1, 100] = bad
    with pytest.raises(ValueError, match="x holds 1 NaN or infinite"), np.errstate(all="ignore"):
        MLP().forward(x)


@pytest.mark.parametrize("method", ["loss", "update_grad"])
class TestTargets:
    def test_before_forward(self, method):
        with pytest.raises(RuntimeError, match=rf"{method}\(y\) came before forward\(x\)"):
            getattr(MLP(), method)(np.eye(10)[0])

    @pytest.mark.parametrize("shape", [(10,), (3, 10), (2, 9), (2,)])
    def test_shape_that_does_not_match_the_forward_pass(self, method, shape):
        network = MLP()
        network.forward(np.zeros((2, 784)))
        with pytest.raises(ValueError, match=r"y has shape .*\(2, 10\)"):
            getattr(network, method)(np.zeros(shape))

    @pytest.mark.parametrize(
        "y", [np.zeros(10), np.full(10, 0.1), 2 * np.eye(10)[0], np.ones(10), np.full(10, np.nan)]
    )
    def test_not_one_hot(self, method, y):
        network = MLP()
        network.forward(np.zeros(784))
        with pytest.raises(ValueError, match="y is not one-hot"):
            getattr(network, method)(y)


# ---- saving and loading -------------------------------------------------------------------------


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    save_weights(MLP(seed=1), tmp_path / "net")
    return tmp_path / "net"


def parameters(network: MLP) -> list[bytes]:
    return [getattr(network, name).tobytes() for name in PARAMETERS]


def test_loaded_weights_give_identical_predictions(saved):
    network = MLP(seed=2)
    load_weights(network, saved)
    assert parameters(network) == parameters(MLP(seed=1))
    assert sorted(p.name for p in saved.parent.iterdir()) == [
        "net_W1.npy", "net_W2.npy", "net_b1.npy", "net_b2.npy", "net_manifest.json",
    ]  # fmt: skip


def pickled(values: np.ndarray) -> np.ndarray:
    return values.astype(object)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda v: v.T, "holds float32"),
        (lambda v: v.astype(np.float64), "holds float64"),
        (lambda v: v * np.nan, "NaN or infinite"),
        (pickled, "cannot be read"),
    ],
)
def test_foreign_weights_are_refused_and_nothing_changes(saved, spoil, message):
    path = saved.with_name("net_W2.npy")
    np.save(path, spoil(np.load(path)), allow_pickle=True)
    network = MLP(seed=2)
    with pytest.raises(ValueError, match=f"net_W2.npy.*{message}"):
        load_weights(network, saved)
    assert parameters(network) == parameters(MLP(seed=2))


@pytest.mark.parametrize("content", [b"", b"nonsense", None])
def test_damaged_weights_are_refused_and_nothing_changes(saved, content):
    path = saved.with_name("net_b2.npy")
    path.write_bytes(path.read_bytes()[:-5] if content is None else content)
    network = MLP(seed=2)
    with pytest.raises(ValueError, match=r"net_b2.npy cannot be read.*train and save"):
        load_weights(network, saved)
    assert parameters(network) == parameters(MLP(seed=2))


def test_missing_weights_name_the_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="net_W1.npy"):
        load_weights(MLP(), tmp_path / "net")


def test_a_save_that_fails_leaves_the_old_weights_and_nothing_else(saved, monkeypatch):
    real_save = np.save

    def failing_save(file, values, **options):
        real_save(file, values, **options)
        if values.shape == (10,):
            raise OSError("disk full")

    monkeypatch.setattr(np, "save", failing_save)
    with pytest.raises(OSError, match="disk full"):
        save_weights(MLP(seed=9), saved)
    network = MLP(seed=2)
    load_weights(network, saved)
    assert parameters(network) == parameters(MLP(seed=1))
    assert len(list(saved.parent.iterdir())) == 5
