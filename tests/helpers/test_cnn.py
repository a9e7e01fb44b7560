"""The convolutional network: shapes, training, use and saving, on digits learnt in a second."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from helpers import cnn
from helpers.cnn import (
    Net,
    choose_device,
    convolve,
    feature_maps,
    fully_connected,
    load_network,
    place,
    predict,
    predict_probabilities,
    save_network,
    test_accuracy,
    trainNN,
)
from helpers.mnist import Digits, Split
from helpers.training import DivergenceError, History


@pytest.fixture(autouse=True)
def one_thread_on_the_cpu(monkeypatch):
    monkeypatch.setenv("DIGITS_DEVICE", "cpu")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def make_digits(n: int, seed: int = 0) -> Split:
    """`n` images of ten fixed patterns, 4 x 4 black or white squares, under noise."""
    squares = np.random.default_rng(0).integers(2, size=(10, 4, 4))
    patterns = np.kron(squares, np.ones((1, 7, 7))).reshape(10, 784)
    rng = np.random.default_rng(seed)
    labels = rng.integers(10, size=n)
    images = (0.7 * patterns[labels] + 0.3 * rng.random((n, 784))).astype(np.float32)
    images.flags.writeable = labels.flags.writeable = False  # as a cached data set may be
    return Split(images, labels)


SMALL = st.integers(1, 4)


@given(
    n_in=SMALL, n_out=SMALL, k=SMALL, height=st.integers(4, 9), width=st.integers(4, 9),
    stride=SMALL, padding=st.integers(0, 3), seed=st.integers(0, 99),
)  # fmt: skip
def test_convolve_gives_what_conv2d_gives(n_in, n_out, k, height, width, stride, padding, seed):
    rng = np.random.default_rng(seed)
    picture, biases = rng.normal(size=(n_in, height, width)), rng.normal(size=n_out)
    weights = rng.normal(size=(n_out, n_in, k, k))
    tensors = map(torch.tensor, (picture, weights, biases))
    wanted = F.conv2d(*tensors, stride, padding).numpy()
    found = convolve(picture, weights, biases, stride, padding)
    np.testing.assert_allclose(found, wanted, atol=1e-12)


PICTURE, WEIGHTS, BIASES = np.zeros((2, 5, 6)), np.zeros((3, 2, 4, 4)), np.zeros(3)


@pytest.mark.parametrize(
    "arguments",
    [
        (PICTURE[0], WEIGHTS, BIASES),
        (PICTURE[:1], WEIGHTS, BIASES),
        (PICTURE, WEIGHTS[0], BIASES),
        (PICTURE, WEIGHTS[..., :3], BIASES),
        (PICTURE, WEIGHTS, BIASES[:2]),
        (PICTURE, WEIGHTS, 0.0),
        (PICTURE, 1.0, BIASES),
        (PICTURE, WEIGHTS, BIASES, 0),
        (PICTURE, WEIGHTS, BIASES, 1, -1),
        (PICTURE[:, :3], WEIGHTS, BIASES),
    ],
)
def test_convolve_wants_shapes_that_fit(arguments):
    with pytest.raises(ValueError, match=r"picture \(.*wanted \(C_in, h, w\)"):
        convolve(*arguments)


def test_fully_connected_has_the_layers_that_are_asked_for():
    network = fully_connected(47, 47, 47, 47)
    names = [type(layer).__name__ for layer in network]
    assert names == ["Flatten", *4 * ["Linear", "ReLU"], "Linear"]
    assert network(torch.zeros(3, 1, 28, 28)).shape == (3, 10)
    assert parameters(network).size == 44_143
    np.testing.assert_array_equal(parameters(network), parameters(fully_connected(*4 * [47])))


@pytest.fixture(scope="module")
def digits():
    return make_digits(200), make_digits(100, seed=1)


def fit(network: nn.Module, data, epochs: int = 1, **settings) -> History:
    lr, criterion = settings.pop("lr", 0.05), settings.pop("criterion", nn.CrossEntropyLoss())
    optimizer = torch.optim.SGD(network.parameters(), lr=lr, momentum=0.9)
    train, validation = data
    settings = {"train": train, "validation": validation, "batch_size": 20} | settings
    return trainNN(network, optimizer, epochs, criterion, **settings)


def parameters(network: nn.Module) -> np.ndarray:
    return torch.cat([values.detach().flatten() for values in network.parameters()]).numpy()


class CountingLoss(nn.CrossEntropyLoss):
    """Cross-entropy that notes the size of every batch and, after `last` calls, what to raise."""

    def __init__(self, last: int | None = None, then: BaseException | None = None):
        super().__init__()
        self.sizes, self.last, self.then = [], last, then

    def forward(self, logits, labels):
        if len(self.sizes) == self.last:
            raise self.then
        self.sizes.append(len(labels))
        return super().forward(logits, labels)


# ---- Net ----------------------------------------------------------------------------------------


def test_shapes_and_number_of_parameters():
    network = Net()
    assert network(torch.zeros(3, 1, 28, 28)).shape == (3, 10)
    assert sum(values.numel() for values in network.parameters()) == 44_426
    shapes = {name: tuple(values.shape) for name, values in network.named_parameters()}
    assert shapes["layers.conv1.weight"] == (6, 1, 5, 5)
    assert shapes["layers.conv2.weight"] == (16, 6, 5, 5)
    assert shapes["layers.fc1.weight"] == (120, 256)
    assert shapes["layers.fc2.weight"] == (84, 120)
    assert shapes["layers.fc3.weight"] == (10, 84)


def test_forward_is_that_of_the_textbook():
    network = Net(seed=3)
    layers = dict(network.layers.named_children())
    c1, c2, f1, f2, f3 = (layers[name] for name in ("conv1", "conv2", "fc1", "fc2", "fc3"))
    textbook = nn.Sequential(
        c1, nn.ReLU(), nn.MaxPool2d(2), c2, nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        f1, nn.ReLU(), f2, nn.ReLU(), f3,
    )  # fmt: skip
    x = torch.rand(5, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    expected = textbook(x).detach().numpy()
    np.testing.assert_allclose(network(x).detach(), expected, rtol=1e-4, atol=1e-6)
    place(network)
    assert network.layers.conv2.weight.is_contiguous(memory_format=torch.channels_last)
    np.testing.assert_allclose(network(x).detach(), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    "shape", [(28, 28), (1, 28, 28), (4, 784), (4, 28, 28), (4, 3, 28, 28), (4, 1, 32, 32)]
)
def test_forward_refuses_other_shapes(shape):
    with pytest.raises(ValueError, match=r"x has shape .*wanted \(B, 1, 28, 28\)") as error:
        Net()(torch.zeros(shape))
    assert str(shape) in str(error.value)


def test_initial_weights_come_from_the_seed_alone():
    before = torch.get_rng_state()
    np.testing.assert_array_equal(parameters(Net(seed=1)), parameters(Net(seed=1)))
    assert not np.array_equal(parameters(Net(seed=1)), parameters(Net(seed=2)))
    assert torch.equal(torch.get_rng_state(), before)


# ---- Devices and threads ------------------------------------------------------------------------


def test_device_is_the_accelerator_if_there_is_one(monkeypatch):
    monkeypatch.delenv("DIGITS_DEVICE")
    for found, expected in ((torch.device("mps"), "mps"), (None, "cpu")):
        monkeypatch.setattr(
            torch.accelerator, "current_accelerator", lambda found=found, **_: found
        )
        assert choose_device() == torch.device(expected)
    monkeypatch.setenv("DIGITS_DEVICE", " ")
    assert choose_device().type == "cpu"


def test_device_can_be_forced(monkeypatch):
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda **_: torch.device("mps"))
    assert choose_device() == torch.device("cpu")


@pytest.mark.parametrize("name", ["gpu", "cuda:99", "cpu:x", "meta"])
def test_unusable_device_is_refused(monkeypatch, name):
    monkeypatch.setenv("DIGITS_DEVICE", name)
    with pytest.raises(ValueError, match=f"DIGITS_DEVICE is '{name}'.*Wanted cpu, cuda or mps"):
        choose_device()


# ---- trainNN ------------------------------------------------------------------------------------


def test_it_learns(digits, capsys):
    network = Net()
    history = fit(network, digits, epochs=9)
    assert history.validation_accuracy[-1] == test_accuracy(network, *digits[1]) > 95
    assert history.train_accuracy[-1] > 95
    assert history.loss[-1] < history.loss[0] / 2
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("epoch")]
    assert len(history) == 9
    assert [int(line[5:9]) for line in lines] == [1, 2, 5, 9]
    assert lines[-1] == f"epoch   9: {history.last()}"


@pytest.mark.parametrize("seed", range(3))
def test_one_batch_can_be_learnt_by_heart(seed):
    batch = make_digits(16)
    # A larger step can leave all ReLUs at 0 for good; on which CPU it does depends on rounding.
    history = fit(Net(seed=seed), (batch, batch), epochs=300, batch_size=16, lr=0.01)
    assert history.loss[-1] < 1e-2
    assert history.train_accuracy[-1] == history.validation_accuracy[-1] == 100


def test_the_first_loss_and_accuracy_are_those_before_the_step(digits):
    network = Net()
    with torch.no_grad():
        loss = nn.functional.cross_entropy(
            network(torch.tensor(digits[0].images).view(-1, 1, 28, 28)),
            torch.tensor(digits[0].labels),
        )
    accuracy = test_accuracy(network, *digits[0])
    history = fit(network, digits, batch_size=200)
    assert history.loss == [pytest.approx(float(loss), rel=1e-5)]
    assert history.train_accuracy == [accuracy]


def test_same_seed_same_result(digits):
    results = []
    for seed in (0, 0, 1):
        network = Net()
        results.append((fit(network, digits, seed=seed), parameters(network)))
        torch.rand(7)  # the global generator has no say
    assert results[0][0] == results[1][0] != results[2][0]
    np.testing.assert_array_equal(results[0][1], results[1][1])
    assert not np.array_equal(results[0][1], results[2][1])


def test_nothing_global_is_used_or_changed(digits, monkeypatch):
    monkeypatch.setattr(cnn, "load_mnist", lambda: pytest.fail("load_mnist was called"))
    before = torch.get_rng_state(), torch.get_num_threads(), torch.is_grad_enabled()
    fit(Net(), digits)
    after = torch.get_rng_state(), torch.get_num_threads(), torch.is_grad_enabled()
    assert torch.equal(before[0], after[0])
    assert before[1:] == after[1:]


def test_every_image_is_seen_in_batches_the_last_partial(digits):
    criterion = CountingLoss()
    fit(Net(), digits, epochs=2, batch_size=64, criterion=criterion)
    assert criterion.sizes == 2 * [64, 64, 64, 8]


def test_mini_is_the_first_2000_images(digits):
    train = make_digits(2100)
    full, mini, first = CountingLoss(), CountingLoss(), CountingLoss()
    fit(Net(), (train, digits[1]), batch_size=300, criterion=full)
    networks = Net(), Net()
    fit(networks[0], (train, digits[1]), full_data=False, batch_size=300, criterion=mini)
    cut = Split(train.images[:2000], train.labels[:2000])
    fit(networks[1], (cut, digits[1]), batch_size=300, criterion=first)
    assert sum(full.sizes) == 2100
    assert sum(mini.sizes) == sum(first.sizes) == 2000
    np.testing.assert_array_equal(parameters(networks[0]), parameters(networks[1]))


def test_data_are_those_of_load_mnist_unless_given(digits, monkeypatch):
    sets = Digits(train=digits[0], validation=digits[1], test=digits[1], source="MNIST")
    monkeypatch.setattr(cnn, "load_mnist", lambda: sets)
    assert fit(Net(), (None, None)) == fit(Net(), digits)
    assert fit(Net(), (digits[0], None)) == fit(Net(), digits)


def test_gradients_are_zeroed_before_each_pass(digits):
    clean, littered = Net(), Net()
    for values in littered.parameters():
        values.grad = torch.full_like(values, 1e3)
    assert fit(clean, digits) == fit(littered, digits)
    np.testing.assert_array_equal(parameters(clean), parameters(littered))


class Fetches(TorchDispatchMode):
    """Counts how often a value is fetched from the device to decide something on the host."""

    n = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        aten = torch.ops.aten
        self.n += func in (aten._local_scalar_dense.default, aten.nonzero.default)
        return func(*args, **(kwargs or {}))


def test_a_gpu_need_not_wait_after_each_step(digits):
    counts = []
    for batch_size in (100, 10):  # 2 steps or 20
        with Fetches() as fetches:
            fit(Net(), digits, batch_size=batch_size)
        counts.append(fetches.n)
    assert counts[0] == counts[1] > 0


@pytest.mark.parametrize("batch_size", [20, 200])  # many steps an epoch, or one
def test_divergence_is_an_error(digits, batch_size):
    with pytest.raises(DivergenceError, match=r"loss became (nan|inf).*learning rate 1e\+20 is"):
        fit(Net(), digits, epochs=3, lr=1e20, batch_size=batch_size)


def test_ctrl_c_keeps_the_finished_epochs(digits, capsys):
    network = Net()
    threads = torch.get_num_threads()
    criterion = CountingLoss(last=25, then=KeyboardInterrupt())
    history = fit(network, digits, epochs=5, criterion=criterion)
    assert len(history) == 2
    assert len(history.validation_accuracy) == 2
    assert "Stopped by hand after 2 of 5 epochs." in capsys.readouterr().out
    assert not np.array_equal(parameters(network), parameters(Net()))
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize(("settings", "message"), [
    ({"epochs": 0}, "epochs is 0; wanted at least 1"),
    ({"batch_size": 0}, "batch_size is 0; wanted at least 1"),
])  # fmt: skip
def test_bad_numbers_are_refused(digits, settings, message):
    with pytest.raises(ValueError, match=message):
        fit(Net(), digits, **settings)


@pytest.mark.parametrize(("images", "labels", "message"), [
    (np.zeros((4, 784)), np.zeros(3, int), r"4 images came with labels of shape \(3,\)"),
    (np.zeros((4, 784)), np.eye(10, dtype=int)[:4], "argmax"),
    (np.zeros((4, 784)), np.zeros(4), "type torch.float64; wanted one whole number"),
    (np.zeros((4, 784)), np.array([0, 1, 2, 10]), "labels run from 0 to 10; wanted 0 to 9"),
    (np.zeros((4, 100)), np.zeros(4, int), r"images have shape \(4, 100\)"),
    (np.zeros((0, 784)), np.zeros(0, int), "at least one image"),
    (np.zeros((4, 784), np.uint8), np.zeros(4, int), "uint8; wanted real numbers.*dividing by 255"),
])  # fmt: skip
def test_bad_data_are_refused(digits, images, labels, message):
    with pytest.raises(ValueError, match=message):
        fit(Net(), ((images, labels), digits[1]))


def test_the_optimizer_of_another_network_is_refused(digits):
    optimizer = torch.optim.SGD(Net().parameters(), lr=0.1)
    with pytest.raises(ValueError, match="holds no parameter of this network"):
        trainNN(Net(), optimizer, 1, nn.CrossEntropyLoss(), train=digits[0], validation=digits[1])


# ---- Predictions --------------------------------------------------------------------------------


def test_predict_takes_arrays_and_tensors_of_every_shape(digits):
    network, images = Net(), digits[0].images
    expected = predict(network, images)
    assert expected.shape == (200,)
    assert expected.dtype == np.int64
    for shape in ((-1, 784), (-1, 28, 28), (-1, 1, 28, 28)):
        np.testing.assert_array_equal(predict(network, images.reshape(shape)), expected)
        tensor = torch.tensor(images).reshape(shape)
        np.testing.assert_array_equal(predict(network, tensor), expected)
    np.testing.assert_array_equal(predict(network, images.astype(float)), expected)
    np.testing.assert_array_equal(predict(network, images[:1]), expected[:1])


def test_predictions_do_not_depend_on_the_batches(digits, monkeypatch):
    network = Net()
    expected = predict_probabilities(network, digits[0].images)
    monkeypatch.setattr(cnn, "PREDICTION_BATCH", 33)
    np.testing.assert_allclose(
        predict_probabilities(network, digits[0].images), expected, rtol=1e-4, atol=1e-7
    )


def test_probabilities_sum_to_1_and_peak_at_the_prediction(digits):
    network, images = Net(), digits[0].images
    probabilities = predict_probabilities(network, images)
    assert probabilities.shape == (200, 10)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(probabilities.argmax(axis=1), predict(network, images))


@pytest.mark.parametrize("training", [True, False])
def test_predict_evaluates_and_restores_the_mode(digits, training):
    network = nn.Sequential(Net(), nn.Dropout(0.9)).train(training)
    first, second = (predict_probabilities(network, digits[0].images) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert network.training is training
    with pytest.raises(ValueError, match="images have shape"):
        predict(network, np.zeros((2, 5), np.float32))
    assert network.training is training


def test_predict_makes_no_gradients(digits):
    network = Net()
    predict(network, torch.tensor(digits[0].images, requires_grad=True))
    assert all(values.grad is None for values in network.parameters())


def test_what_is_not_a_number_is_refused(digits):
    images = digits[0].images.copy()
    images[3, 400] = np.nan
    with pytest.raises(ValueError, match="gave NaN or infinity"):
        predict(Net(), images)


def test_accuracy_is_in_percent_to_two_decimals(digits):
    network, images = Net(), digits[0].images[:3]
    labels = predict(network, images)
    labels[0] = (labels[0] + 1) % 10
    assert test_accuracy(network, images, labels) == 66.67
    assert test_accuracy(network, torch.tensor(images), torch.tensor(labels)) == 66.67
    with pytest.raises(ValueError, match="predicted has shape"):
        test_accuracy(network, images, labels[:2])


# ---- Saving and loading -------------------------------------------------------------------------


def test_what_is_loaded_predicts_the_same(digits, tmp_path):
    network = Net(seed=5)
    fit(network, digits)
    save_network(network, tmp_path / "new" / "myNet_full.pth")
    loaded = load_network(str(tmp_path / "new" / "myNet_full.pth"))
    assert not loaded.training
    np.testing.assert_array_equal(parameters(loaded), parameters(network))
    np.testing.assert_array_equal(
        predict_probabilities(loaded, digits[1].images),
        predict_probabilities(network, digits[1].images),
    )


def test_the_file_holds_cpu_tensors_under_the_names_of_the_layers(tmp_path):
    save_network(Net(), tmp_path / "net.pth")
    state = torch.load(tmp_path / "net.pth", weights_only=True)
    assert list(state) == list(Net().state_dict())
    assert {values.device.type for values in state.values()} == {"cpu"}


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    def fail(state, file):
        file.write(b"half")
        raise OSError("disk full")

    save_network(Net(seed=1), tmp_path / "net.pth")
    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(OSError, match="disk full"):
        save_network(Net(seed=2), tmp_path / "net.pth")
    assert [path.name for path in tmp_path.iterdir()] == ["net.pth"]
    np.testing.assert_array_equal(
        parameters(load_network(tmp_path / "net.pth")), parameters(Net(seed=1))
    )


def refuse(path: Path) -> None:
    with pytest.raises(ValueError, match=r"train and save the network again") as error:
        load_network(path)
    message = str(error.value)
    assert str(path) in message
    assert "\n" not in message
    assert "weights_only" not in message  # PyTorch's advice to load the file without care
    assert error.value.__suppress_context__ or "weights_only" not in str(error.value.__context__)


@pytest.mark.parametrize("kept", [0.0, 0.001, 0.1, 0.5, 0.99])
def test_a_truncated_file_is_refused(tmp_path, kept):
    path = tmp_path / "net.pth"
    save_network(Net(), path)
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    refuse(path)


@pytest.mark.parametrize("content", [
    b"hello", b"\x00" * 1000, b"PK\x03\x04 not a zip", pickle.dumps({"layers.conv1.weight": 1}),
    pickle.dumps(Path("x")), b"\x80\x02.", b"\x89PNG\r\n\x1a\n" + bytes(range(256)),
])  # fmt: skip
def test_a_foreign_file_is_refused(tmp_path, content):
    path = tmp_path / "net.pth"
    path.write_bytes(content)
    refuse(path)


class Malicious:
    """Once unpickled without care, this makes a file."""

    def __init__(self, victim: Path):
        self.victim = victim

    def __reduce__(self):
        return Path.touch, (self.victim,)


@pytest.mark.parametrize("form", ["zip", "legacy", "pickle"])
def test_a_malicious_file_is_refused_and_runs_nothing(tmp_path, form):
    path, victim = tmp_path / "net.pth", tmp_path / "victim"
    state = Net().state_dict() | {"layers.conv1.weight": Malicious(victim)}
    if form == "pickle":
        path.write_bytes(pickle.dumps(state))
    else:
        torch.save(state, path, _use_new_zipfile_serialization=form == "zip")
    refuse(path)
    assert not victim.exists()
    torch.load(path, weights_only=False) if form != "pickle" else pickle.loads(path.read_bytes())
    assert victim.exists()  # so the trap was a real one


@pytest.mark.parametrize("content", [
    nn.Linear(784, 10).state_dict(),
    {name: values[:1] for name, values in Net().state_dict().items()},
    Net().state_dict() | {"fc4.bias": torch.zeros(10)},
    Net().state_dict() | {"layers.fc3.bias": None},
    [1, 2, 3],
    torch.zeros(3),
])  # fmt: skip
def test_another_architecture_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "net.pth")
    refuse(tmp_path / "net.pth")


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_parameters_must_be_finite(tmp_path, bad):
    network = Net()
    with torch.no_grad():
        network.layers.fc2.weight[3, 4] = bad
    save_network(network, tmp_path / "net.pth")
    with pytest.raises(ValueError, match="net.pth holds NaN or infinite parameters"):
        load_network(tmp_path / "net.pth")


def test_the_refusal_says_what_is_missing(tmp_path):
    torch.save({"layers.fc1.weight": torch.zeros(120, 256)}, tmp_path / "net.pth")
    with pytest.raises(ValueError, match=r'Missing key\(s\) in state_dict: "layers.conv1.weight"'):
        load_network(tmp_path / "net.pth")


def test_a_missing_file_is_said_to_be_missing(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"net\.pth"):
        load_network(tmp_path / "net.pth")


def test_feature_maps_are_what_the_convolutions_give_after_relu():
    network, picture = Net(seed=1), np.random.default_rng(0).random((28, 28)).astype(np.float32)
    maps = feature_maps(network, picture)
    assert {name: values.shape for name, values in maps.items()} == {
        "conv1": (6, 24, 24), "conv2": (16, 8, 8),
    }  # fmt: skip
    first = network.layers.conv1(torch.from_numpy(picture)[None, None]).relu()
    np.testing.assert_allclose(maps["conv1"], first[0].detach(), atol=1e-6)
    with pytest.raises(ValueError, match="shape"):
        feature_maps(network, np.zeros((14, 14), np.float32))
