"""A convolutional network as the page has it, layer by layer. This needs PyTorch."""

from collections.abc import Callable
from typing import Any

import numpy as np
from torch import Tensor, nn

from helpers.cnn import Net
from playground.content import Json, pack
from plotting.figures import checked

# The layers that networks.js has, as it has them. Nothing is drawn or stored on "meta".
KNOWN_LAYERS: dict[str, Callable[[Any], nn.Module]] = {
    "Conv2d": lambda layer: nn.Conv2d(
        layer.in_channels, layer.out_channels, layer.kernel_size, device="meta"
    ),
    "MaxPool2d": lambda layer: nn.MaxPool2d(layer.kernel_size),
    "ReLU": lambda layer: nn.ReLU(),
    "Flatten": lambda layer: nn.Flatten(),
    "Linear": lambda layer: nn.Linear(layer.in_features, layer.out_features, device="meta"),
}


def describe_cnn(cnn: Net) -> list[Json]:
    """Return the layers, in order."""
    layers = [_describe_layer(name, layer) for name, layer in cnn.layers.named_children()]
    if not layers or layers[-1]["weight"]["shape"][0] != 10:
        raise ValueError("layers: wanted a last layer with 10 outputs, one for each digit.")
    return layers


def _describe_layer(name: str, layer: nn.Module) -> Json:
    """Return what a layer is called and is, with its parameters."""
    kind = type(layer).__name__
    # A layer's repr tells all settings that are not PyTorch's defaults, such as padding.
    if kind not in KNOWN_LAYERS or repr(KNOWN_LAYERS[kind](layer)) != repr(layer):
        raise ValueError(
            f"{name} is {layer}; the page knows {', '.join(KNOWN_LAYERS)} with PyTorch's defaults."
        )
    described: Json = {"name": name, "kind": kind}
    if isinstance(layer, nn.MaxPool2d):
        described["size"] = layer.kernel_size
    for parameter, values in layer.named_parameters():
        array = _as_array(values)
        described[parameter] = pack(checked(f"{name}.{parameter}", array, *array.shape))
    return described


def _as_array(values: Tensor) -> np.ndarray:
    array: np.ndarray = values.detach().cpu().numpy()
    return array
