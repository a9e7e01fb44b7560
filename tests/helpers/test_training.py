"""Training, accuracy and History, on a small data set that can be learnt in a second."""

import numpy as np
import pytest

from helpers.mlp import MLP, save_weights
from helpers.training import (
    DivergenceError,
    History,
    accuracy,
    load_or_train,
    one_hot_encode,
    predict,
    test_network,
    train_network,
)


@pytest.fixture(scope="module")
def blobs():
    """600 images of 12 pixels in three classes, each with its own four bright pixels."""
    rng = np.random.default_rng(0)
    labels = rng.integers(3, size=600)
    images = rng.random((600, 12)) * 0.3 + 0.7 * np.repeat(np.eye(3)[labels], 4, axis=1)
    images = images.astype(np.float32)
    return (images[:500], labels[:500]), (images[500:], labels[500:])


def small_network(seed: int = 0) -> MLP:
    return MLP(12, 8, 3, seed=seed)


def train(network: MLP, data, **settings) -> History:
    return train_network(network, *data, **{"learning_rate": 0.02, "n_epochs": 10} | settings)


# ---- one_hot_encode and accuracy ----------------------------------------------------------------


def test_one_hot_encode():
    expected = np.array([[0, 0, 1], [1, 0, 0]], np.float32)
    encoded = one_hot_encode([2, 0], 3)
    np.testing.assert_array_equal(encoded, expected)
    assert encoded.dtype == np.float32
    assert one_hot_encode(np.array([9, 1], np.uint8)).shape == (2, 10)


@pytest.mark.parametrize(("labels", "message"), [
    ([0, 3], "0 to 3; wanted 0 to 2"), ([-1, 2], "-1 to 2"), ([0.0, 1.0], "labels are float64"),
])  # fmt: skip
def test_one_hot_encode_refuses_other_labels(labels, message):
    with pytest.raises(ValueError, match=message):
        one_hot_encode(labels, 3)


def test_accuracy_is_in_percent():
    assert accuracy([1, 2, 3, 4], [1, 2, 0, 0]) == 50
    assert accuracy(np.arange(8), np.arange(8)) == 100


@pytest.mark.parametrize(("predicted", "true"), [([1, 2], [1]), ([], []), ([[1]], [[1]])])
def test_accuracy_refuses_what_cannot_be_compared(predicted, true):
    with pytest.raises(ValueError, match="predicted has shape"):
        accuracy(predicted, true)


# ---- train_network ------------------------------------------------------------------------------


def test_it_learns(blobs, capsys):
    network = small_network()
    history = train(network, blobs)
    assert history.validation_accuracy[-1] > 95
    assert history.validation_accuracy[-1] == test_network(network, *blobs[1])
    assert history.train_accuracy[-1] == test_network(network, *blobs[0])
    assert history.loss[-1] < history.loss[0] / 2
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("epoch")]
    assert len(history) == 10
    assert [int(line[5:9]) for line in lines] == [1, 2, 5, 10]
    assert lines[-1] == f"epoch  10: {history.last()}"


@pytest.mark.parametrize(
    ("n_epochs", "told"), [(1, [1]), (7, [1, 2, 5, 7]), (23, [1, 2, 5, 10, 20, 23])]
)
def test_the_log_is_short_and_ends_with_the_last_epoch(blobs, capsys, n_epochs, told):
    train(small_network(), blobs, n_epochs=n_epochs)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("epoch")]
    assert [int(line[5:9]) for line in lines] == told


def test_the_first_recorded_loss_is_the_mean_over_all_images(blobs):
    history = train(small_network(), blobs, n_epochs=1, batch_size=500)
    untrained = small_network()
    untrained.forward(blobs[0][0])
    expected = untrained.loss(one_hot_encode(blobs[0][1], 3)) / 500
    assert history.loss[0] == pytest.approx(expected, rel=1e-5)


def test_same_seed_same_result_and_another_seed_another(blobs):
    runs = [small_network() for _ in range(3)]
    histories = [train(run, blobs, seed=seed) for run, seed in zip(runs, (1, 1, 2), strict=True)]
    assert histories[0] == histories[1]
    assert np.array_equal(runs[0].W1, runs[1].W1)
    assert not np.array_equal(runs[0].W1, runs[2].W1)


@pytest.mark.parametrize("batch_size", [1, 64, 500, 10_000])
def test_every_image_is_used_once_an_epoch_whatever_the_batch_size(blobs, batch_size):
    class Recorder(MLP):
        def update_grad(self, y):
            seen.append(self.x)
            super().update_grad(y)

    seen: list[np.ndarray] = []
    train(Recorder(12, 8, 3), blobs, n_epochs=1, batch_size=batch_size)
    images = np.concatenate(seen)
    np.testing.assert_array_equal(np.sort(images[:, 0]), np.sort(blobs[0][0][:, 0]))
    assert not np.array_equal(images, blobs[0][0])  # shuffled


def test_the_order_changes_from_epoch_to_epoch(blobs):
    class Recorder(MLP):
        def update_grad(self, y):
            firsts.append(self.x[0, 0])
            super().update_grad(y)

    firsts: list[float] = []
    train(Recorder(12, 8, 3), blobs, n_epochs=3, batch_size=500)
    assert len(set(firsts)) == 3


def test_left_over_gradients_do_not_matter(blobs):
    clean, dirty = small_network(), small_network()
    dirty.W1_grad += 1000
    train(clean, blobs, n_epochs=1)
    train(dirty, blobs, n_epochs=1)
    np.testing.assert_array_equal(clean.W1, dirty.W1)


def test_the_data_are_not_changed(blobs):
    before = [part.copy() for pair in blobs for part in pair]
    train(small_network(), blobs, n_epochs=2)
    for old, new in zip(before, [part for pair in blobs for part in pair], strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.filterwarnings("error")  # the error must be the only thing that a student sees
def test_divergence_stops_training_with_a_clear_error(blobs):
    with pytest.raises(DivergenceError, match=r"diverged.*1e\+38.*too large"):
        train(small_network(), blobs, learning_rate=1e38)


def test_ctrl_c_returns_what_was_learned_so_far(blobs, monkeypatch, capsys):
    import helpers.training

    calls = iter(range(100))

    def interrupted(*arguments):
        if next(calls) == 3:
            raise KeyboardInterrupt
        return real_epoch(*arguments)

    real_epoch = helpers.training.train_epoch
    monkeypatch.setattr(helpers.training, "train_epoch", interrupted)
    network = small_network()
    history = train(network, blobs)
    assert len(history) == 3
    assert history.validation_accuracy[-1] == test_network(network, *blobs[1])
    assert "Stopped by hand after 3 of 10 epochs." in capsys.readouterr().out


@pytest.mark.parametrize(("name", "value"), [
    ("learning_rate", 0), ("learning_rate", -1), ("learning_rate", float("nan")),
    ("n_epochs", 0), ("batch_size", 0),
])  # fmt: skip
def test_bad_settings_are_refused(blobs, name, value):
    with pytest.raises(ValueError, match=f"{name} is {value}"):
        train(small_network(), blobs, **{name: value})


def test_unequal_numbers_of_images_and_labels_are_refused(blobs):
    (images, labels), validation = blobs
    with pytest.raises(ValueError, match="500 images and 499 labels"):
        train_network(small_network(), (images, labels[:-1]), validation)


def test_predict_gives_a_digit_an_image(blobs):
    images, labels = blobs[0]
    network = small_network()
    train(network, blobs)
    assert accuracy(predict(network, images), labels) == test_network(network, images, labels)


def test_load_or_train_gives_the_network_of_notebook_1_saved_or_not(tmp_path):
    rng = np.random.default_rng(0)
    train = rng.random((40, 784)).astype(np.float32), rng.integers(10, size=40)
    expected = MLP(seed=0)
    train_network(expected, train, train)
    trained = load_or_train(tmp_path / "none", train)
    np.testing.assert_array_equal(trained.W1, expected.W1)
    save_weights(MLP(seed=7), tmp_path / "saved")
    loaded = load_or_train(tmp_path / "saved", train)
    np.testing.assert_array_equal(loaded.W1, MLP(seed=7).W1)


def test_history_tells_where_it_stands():
    history = History()
    assert repr(history) == "History(0 epochs)"
    history.record(0.5, 90, 80)
    assert repr(history) == "History(1 epochs; loss 0.5000, training 90.00 %, validation 80.00 %)"


def test_a_history_keeps_plain_numbers():
    history = History()
    history.record(np.array(1.5), np.float32(50), 25)  # type: ignore[arg-type]
    kept = [*history.loss, *history.train_accuracy, *history.validation_accuracy]
    assert kept == [1.5, 50, 25]
    assert {type(number) for number in kept} == {float}
