"""The page to play with: its networks are those of Python, and it stands by itself.

The JavaScript runs in V8, the engine of Chromium, without a browser; test_playground_browser.py
has the page as a whole.
"""

import json
import re
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

import playground.export
from helpers.cnn import Net, feature_maps, predict_probabilities
from helpers.mlp import MLP
from helpers.mnist import Digits, Split, load_mnist
from helpers.training import train_network
from playground.export import SOURCE, assemble, export_playground, show_playground
from playground.handwriting import as_mnist
from plotting.mlp_figures import weight_templates
from tests.playground.playground_reference import (
    PAGE,
    networks_text,
    reference_cnn,
    reference_mlp,
    unpack,
)

RANDOM = np.random.default_rng(0)
SPLIT = Split(RANDOM.random((20, 784)).astype(np.float32), np.arange(20) % 10)
DIGITS = Digits(SPLIT, SPLIT, SPLIT, "MNIST")


@pytest.fixture(autouse=True)
def on_the_cpu(monkeypatch):
    monkeypatch.setenv("DIGITS_DEVICE", "cpu")


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return load_mnist().test.images[:1000]


def layers_of(cnn: Net, tmp_path) -> list:
    export_playground(tmp_path / "page.html", DIGITS, MLP(), cnn)
    layers: list = unpack(json.loads(networks_text((tmp_path / "page.html").read_text())))["cnn"]
    return layers


def drawings() -> dict[str, np.ndarray]:
    dot, tiny, line = (np.zeros((280, 280)) for _ in range(3))
    dot[3:25, 250:272] = 1
    tiny[262:277, 1:9] = RANDOM.random((15, 8))
    line[40, 20:260] = 0.7
    noise = RANDOM.random((97, 61)) * (RANDOM.random((97, 61)) > 0.8)
    return {
        "dot": dot,
        "tiny": tiny,
        "line": line,
        "all black": np.ones((280, 280)),
        "noise": noise,
    }


# The forward passes


def test_the_mlp_agrees_with_numpy_on_1000_test_images(javascript, images):
    found = javascript("xs.map((x) => runMlp(mlp, x).probabilities)", xs=images.tolist())
    assert np.shape(found) == (1000, 10)
    np.testing.assert_allclose(found, reference_mlp().forward(images), rtol=0, atol=1e-4)


def test_the_cnn_agrees_with_pytorch_on_1000_test_images(javascript, images):
    found = javascript("xs.map((x) => runCnn(cnn, x).probabilities)", xs=images.tolist())
    assert np.shape(found) == (1000, 10)
    wanted = predict_probabilities(reference_cnn(), images)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-4)


def test_the_committed_networks_are_trained_ones():
    test = load_mnist().test
    if load_mnist().source != "MNIST":
        pytest.skip("the committed page was trained on MNIST")
    right = reference_mlp().forward(test.images).argmax(axis=1) == test.labels
    assert right.mean() > 0.96
    right = predict_probabilities(reference_cnn(), test.images[:2000]).argmax(axis=1)
    assert (right == test.labels[:2000]).mean() > 0.97


def test_hidden_activations_and_contributions_make_up_the_logits(javascript, images):
    mlp = reference_mlp()
    mlp.forward(images[0])
    z1 = javascript("runMlp(mlp, x).activations", x=images[0].tolist())
    np.testing.assert_allclose(z1, mlp.z1, atol=1e-5)
    added = [javascript("contributions(mlp, z1, digit)", z1=z1, digit=k) for k in range(10)]
    np.testing.assert_allclose(np.sum(added, axis=1) + mlp.b2, mlp.a2, atol=1e-4)


@pytest.mark.parametrize("n_hidden", [1, 7, 16, 128])
def test_a_perceptron_of_any_size_is_computed_and_shown(javascript, tmp_path, n_hidden):
    mlp = MLP(n_hidden=n_hidden, seed=n_hidden)
    train_network(mlp, *2 * [(SPLIT.images, SPLIT.labels)], n_epochs=2, batch_size=8)
    export_playground(tmp_path / "page.html", DIGITS, mlp, None)
    packed = unpack(json.loads(networks_text((tmp_path / "page.html").read_text())))["mlp"]
    xs = SPLIT.images[:5]
    found = javascript("xs.map((x) => runMlp(mlp, x).probabilities)", mlp=packed, xs=xs.tolist())
    np.testing.assert_allclose(found, mlp.forward(xs), rtol=0, atol=1e-5)
    z1 = javascript("runMlp(mlp, x).activations", mlp=packed, x=xs[0].tolist())
    added = javascript("contributions(mlp, z1, 3)", mlp=packed, z1=z1)
    assert len(z1) == len(added) == n_hidden
    figure = weight_templates(mlp.W1, MLP(n_hidden=n_hidden, seed=n_hidden).W1, mlp.W2)
    assert f"the {n_hidden} rows of W1" in figure.get_label()


def test_feature_maps_agree_with_pytorch(javascript, images):
    found = javascript("runCnn(cnn, x).maps", x=images[0].tolist())
    wanted = feature_maps(reference_cnn(), images[0].reshape(28, 28))
    assert [maps["name"] for maps in found] == list(wanted)
    for maps in found:
        values = np.reshape(maps["values"], maps["shape"])
        np.testing.assert_allclose(values, wanted[maps["name"]], atol=1e-4)


def one_convolution(net: Net) -> None:
    net.layers = nn.Sequential(
        *(nn.Conv2d(1, 4, (3, 7)), nn.ReLU(), nn.MaxPool2d(3), nn.Flatten(), nn.Linear(224, 10))
    )


def no_convolution(net: Net) -> None:
    net.layers = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))


@pytest.mark.parametrize("change", [one_convolution, no_convolution])
def test_a_changed_cnn_is_computed_as_well(javascript, tmp_path, change):
    torch.manual_seed(0)
    cnn = Net()
    change(cnn)
    xs, layers = SPLIT.images[:3], layers_of(cnn, tmp_path)
    expression = "xs.map((x) => runCnn(layers, x).probabilities)"
    found = javascript(expression, xs=xs.tolist(), layers=layers)
    np.testing.assert_allclose(found, predict_probabilities(cnn, xs), atol=1e-5)


# The preprocessing


def as_mnist_in_the_page(javascript, drawings: list[np.ndarray]) -> list:
    pictures = [
        {"pixels": d.ravel().tolist(), "width": d.shape[1], "height": d.shape[0]} for d in drawings
    ]
    return javascript("pictures.map(asMnist)", pictures=pictures)


@pytest.mark.parametrize("name", drawings())
def test_drawings_are_preprocessed_as_in_python(javascript, name):
    drawing = drawings()[name]
    seen = as_mnist_in_the_page(javascript, [drawing])
    assert np.max(seen) > 0
    np.testing.assert_allclose(seen, [as_mnist(drawing).ravel()], atol=1e-6)


def test_digits_are_preprocessed_as_in_python(javascript, images):
    larger = [np.kron(x.reshape(28, 28), np.ones((2, 2))) for x in images[:100]]
    seen = as_mnist_in_the_page(javascript, larger)
    np.testing.assert_allclose(seen, [as_mnist(p).ravel() for p in larger], atol=1e-6)


def test_an_empty_paper_is_no_picture(javascript):
    assert as_mnist_in_the_page(javascript, [np.zeros((3, 4))]) == [None]


# The page


def test_the_committed_page_is_made_of_the_current_source():
    page = PAGE.read_text(encoding="utf-8")
    assert page == assemble(networks_text(page)), "make it anew: run the notebooks"


def test_the_page_stands_by_itself_in_less_than_three_megabytes():
    page = PAGE.read_text(encoding="utf-8")
    assert len(page.encode()) < 3_000_000
    references = re.compile(
        r"https?:|//[\w-]+\.\w|\bsrc\s*=|<link|@import|\bimport\b|fetch\(|url\("
    )
    assert not references.findall(re.sub("<code.*?</code>", "", page))  # which only shows code
    assert "default-src 'none'" in page
    assert "{{" not in page


def test_the_names_at_the_top_of_all_modules_differ():
    declared = re.compile(r"^(?:export )?(?:async )?(?:const|let|function|class) (\w+)", re.M)
    sources = [path.read_text(encoding="utf-8") for path in sorted(SOURCE.glob("*.js"))]
    names = Counter(name for source in sources for name in declared.findall(source))
    assert [name for name, count in names.items() if count > 1] == []


def test_what_the_page_holds_cannot_break_out_of_it(tmp_path):
    hostile = Digits(SPLIT, SPLIT, SPLIT, "</script><script>alert(1)</script> {{ page.js }}")
    export_playground(tmp_path / "page.html", hostile, MLP())
    page = (tmp_path / "page.html").read_text()
    assert page.count("<script") == PAGE.read_text(encoding="utf-8").count("<script")
    assert unpack(json.loads(networks_text(page)))["source"] == hostile.source


def test_pages_on_mnist_with_a_cnn_carry_the_record_cnn(tmp_path):
    fashion = Digits(SPLIT, SPLIT, SPLIT, "Fashion-MNIST")
    for digits, cnn in ((DIGITS, Net()), (DIGITS, None), (fashion, Net())):
        export_playground(tmp_path / "page.html", digits, MLP(), cnn)
        carried = json.loads(networks_text((tmp_path / "page.html").read_text()))["record"]
        assert bool(carried) == (digits is DIGITS and cnn is not None)


def test_without_a_cnn_and_with_other_sizes_the_mlp_is_exported_alone(tmp_path):
    export_playground(tmp_path / "page.html", DIGITS, MLP(n_hidden=16))
    content = unpack(json.loads(networks_text((tmp_path / "page.html").read_text())))
    assert content["cnn"] is None
    assert content["mlp"]["W1"]["shape"] == [16, 784]
    for digit in range(10):
        np.testing.assert_array_equal(content["samples"][digit]["values"], SPLIT.images[digit])


def with_padding(net: Net) -> None:
    net.layers.conv1 = nn.Conv2d(1, 6, 5, padding=2)


def with_tanh(net: Net) -> None:
    net.layers.relu1 = nn.Tanh()


def with_eleven(net: Net) -> None:
    net.layers.fc3 = nn.Linear(84, 11)


def with_nan(net: Net) -> None:
    net.layers.fc1.bias.data[3] = torch.nan


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (with_padding, "conv1 is Conv2d(1, 6, kernel_size=(5, 5), stride=(1, 1), padding=(2, 2))"),
        (with_tanh, "relu1 is Tanh()"),
        (with_eleven, "10 outputs"),
        (with_nan, "fc1.bias: got values that are NaN"),
    ],
)
def test_a_cnn_that_the_page_cannot_compute_is_refused(tmp_path, break_it, message):
    cnn = Net()
    break_it(cnn)
    (tmp_path / "page.html").write_text("the page before")
    with pytest.raises(ValueError, match=re.escape(message)):
        export_playground(tmp_path / "page.html", DIGITS, MLP(), cnn)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [
        ("page.html", "the page before")
    ]


@pytest.mark.parametrize(("name", "place"), [("W1", (0, 5)), ("b2", 3)])
def test_an_mlp_that_diverged_or_does_not_fit_is_refused(tmp_path, name, place):
    mlp = MLP()
    getattr(mlp, name)[place] = np.inf
    with pytest.raises(ValueError, match=f"{name}: got values that are NaN"):
        export_playground(tmp_path / "page.html", DIGITS, mlp)
    with pytest.raises(ValueError, match=re.escape("W1: got shape (64, 100)")):
        export_playground(tmp_path / "page.html", DIGITS, MLP(n_inputs=100))
    assert not list(tmp_path.iterdir())


def test_samples_of_all_digits_are_wanted(tmp_path):
    few = Split(SPLIT.images[:7], SPLIT.labels[:7])
    with pytest.raises(ValueError, match="show no 7"):
        export_playground(tmp_path / "page.html", Digits(SPLIT, SPLIT, few, "MNIST"), MLP())


def test_the_notebook_shows_the_page_by_a_relative_link(monkeypatch, tmp_path):
    shown: list[SimpleNamespace] = []
    monkeypatch.setattr(playground.export, "display", shown.append)
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")
    show_playground(tmp_path / 'the "figures"' / "playground.html")
    html = shown[0].data
    link = "../the%20%22figures%22/playground.html"
    assert f'<iframe src="{link}" title="' in html
    assert f'<a href="{link}"' in html
