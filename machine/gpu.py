"""A step of training on a GPU: recorded once, then replayed.

A step of a small network is about a hundred commands. A GPU carries them out faster than Python can
give them; as a recording, a CUDA graph, it gets all of them at once.
"""

from collections.abc import Callable

import torch
from torch import Tensor

Tensors = tuple[Tensor, ...]
WARM_UP = 3  # steps before the recording: until then optimizer and libraries make what they keep


def on_gpu(x: Tensor) -> bool:
    """Tell whether `x` is where steps can be recorded."""
    return x.is_cuda


class recorded:  # noqa: N801  # a decorator
    """Decorate a function of one training step, which takes tensors and returns a tuple of them.

    On a CPU it is called as it is. On a CUDA device it is recorded after three steps and replayed
    for all others whose tensors have the same shapes: what it does to parameters, gradients and the
    optimizer's state is done again with the new values, while a number of Python's, such as a step
    size, stays what it was. What a call returns is overwritten by the next one. A step that can't
    be recorded, since it reads a value in Python on the way, say, goes on as it is.
    """

    def __init__(self, step: Callable[..., Tensors]) -> None:
        self.step = step
        self.n_steps = 0
        self.inputs: Tensors = ()
        self.outputs: Tensors = ()
        self.graph: torch.cuda.CUDAGraph | None = None

    def __call__(self, *inputs: Tensor) -> Tensors:
        if not on_gpu(inputs[0]) or (self.n_steps >= WARM_UP and not self._fits(inputs)):
            return self.step(*inputs)
        self.n_steps += 1
        if self.n_steps <= WARM_UP:
            return self._warm_up(inputs)
        if self.graph is None and not self._record(inputs):
            return self.step(*inputs)
        return self._replay(inputs)

    def _fits(self, inputs: Tensors) -> bool:
        """Tell whether there is a recording for tensors of these shapes, or one could be made."""
        return [x.shape for x in inputs] == [x.shape for x in self.inputs]

    def _warm_up(self, inputs: Tensors) -> Tensors:
        """Take a step beside the main stream of commands, as PyTorch's notes on graphs ask for."""
        self.inputs = tuple(x.clone() for x in inputs)
        main, side = torch.cuda.current_stream(), torch.cuda.Stream()
        side.wait_stream(main)
        with torch.cuda.stream(side):
            outputs = self.step(*inputs)
        main.wait_stream(side)
        return outputs

    def _record(self, inputs: Tensors) -> bool:
        """Record the step, without doing it; tell whether that could be done."""
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph):
                self.outputs = self.step(*self.inputs)
        except RuntimeError:
            self.inputs = ()  # fits nothing, so there is no other try
            return False
        self.graph = graph
        return True

    def _replay(self, inputs: Tensors) -> Tensors:
        assert self.graph is not None
        for place, values in zip(self.inputs, inputs, strict=True):
            place.copy_(values)
        self.graph.replay()
        return self.outputs
