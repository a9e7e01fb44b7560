"""What students bring to the page: photos and weights, drawn at random, right and wrong."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.cnn import Net
from helpers.mlp import MLP, PARAMETERS
from playground.export import export_weights
from playground.handwriting import _lift_ink
from tests.playground.playground_reference import unpack

seeds = st.integers(0, 2**32 - 1)


def drawn_photo(seed: int) -> np.ndarray:
    """Strokes on paper in uneven light, dark on light or light on dark, with grain."""
    rng = np.random.default_rng(seed)
    height, width = rng.integers(20, 90, 2)
    grey = rng.uniform(0.4, 1) - rng.uniform(0, 0.3) * np.linspace(0, 1, width) * np.ones(
        (height, 1)
    )
    for _ in range(rng.integers(0, 5)):
        top, left = rng.integers(0, height - 4), rng.integers(0, width - 4)
        grey[top : top + rng.integers(1, 20), left : left + rng.integers(1, 6)] -= rng.uniform(
            0, 0.6
        )
    grey = (grey + rng.normal(0, 0.01, grey.shape)).clip(0, 1)
    return 1 - grey if rng.random() < 0.3 else grey


@settings(max_examples=30, deadline=None)
@given(seeds)
def test_ink_is_lifted_off_photos_as_in_python(javascript, seed):
    photo = drawn_photo(seed)
    picture = {"pixels": photo.ravel().tolist(), "height": photo.shape[0], "width": photo.shape[1]}
    found, wanted = javascript("liftInk(picture)", picture=picture), _lift_ink(photo)
    if wanted is None:
        assert found is None
    else:
        np.testing.assert_allclose(found, wanted.ravel(), atol=1e-9)


def judged(javascript, content: object) -> list[str] | str:
    """The names of the networks that are accepted, or why they are not."""
    call = "((c) => {try {return Object.keys(checkedNetworks(c))} catch (e) {return e.message}})"
    return javascript(f"{call}(content)", content=content)


@pytest.mark.parametrize("networks", [("mlp",), ("cnn",), ("mlp", "cnn")])
def test_exported_weights_are_accepted(javascript, tmp_path, networks):
    made = {"mlp": MLP(n_hidden=5), "cnn": Net()}
    export_weights(tmp_path / "w.json", **{name: made[name] for name in networks})
    content = unpack(json.loads((tmp_path / "w.json").read_text()))
    assert judged(javascript, content) == list(networks)
    if "mlp" in networks:
        for name in PARAMETERS:
            values = np.reshape(content["mlp"][name]["values"], content["mlp"][name]["shape"])
            np.testing.assert_array_equal(values, getattr(made["mlp"], name))


def test_exporting_nothing_or_what_diverged_is_refused(tmp_path):
    with pytest.raises(ValueError, match="both None"):
        export_weights(tmp_path / "w.json")
    cnn = Net()
    cnn.layers.fc1.bias.data[0] = torch.inf
    with pytest.raises(ValueError, match=r"fc1\.bias"):
        export_weights(tmp_path / "w.json", cnn=cnn)
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("weights") / "w.json"
    export_weights(path, MLP(n_hidden=3), Net())
    return json.dumps(unpack(json.loads(path.read_text())))


@settings(max_examples=40, deadline=None)
@given(seeds)
def test_wrong_weights_are_refused_by_the_name_of_what_is_wrong(javascript, exported, seed):
    rng = np.random.default_rng(seed)
    content = json.loads(exported)
    tensors = {name: content["mlp"][name] for name in PARAMETERS}
    for layer in content["cnn"]:
        tensors |= {f"{layer['name']}.{p}": layer[p] for p in ("weight", "bias") if p in layer}
    name = list(tensors)[rng.integers(len(tensors))]
    wrong = tensors[name]
    damages = [
        lambda: wrong["values"].pop(),
        lambda: wrong["values"].__setitem__(0, None),
        lambda: wrong["shape"].append(2),
        lambda: wrong["shape"].__setitem__(0, wrong["shape"][0] + 1),
        lambda: wrong.pop("values"),
        lambda: wrong.update(shape=[], values=[]),
    ]
    damages[rng.integers(len(damages))]()
    told = judged(javascript, content)
    assert isinstance(told, str)
    assert told.startswith((name, name.partition(".")[0]))


NO_NETWORKS = [None, 3, [], {}, "text", {"mlp": 5}, {"cnn": 5}, {"cnn": [{}]}]


@pytest.mark.parametrize("content", NO_NETWORKS, ids=str)
def test_what_is_no_network_is_refused(javascript, content):
    assert isinstance(judged(javascript, content), str)
