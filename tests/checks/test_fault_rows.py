"""Every fault that has a wrong function is named when a student hands in just that function."""

import contextlib
import io
from collections.abc import Iterator
from functools import partial

import pytest

from checks import convolution, formulas, steps, training
from checks.back_propagation import check_update_grad
from checks.cnn_net import NET_FAULTS, check_net
from checks.detective import PASS_FAULTS, Graph
from checks.faults import Fault
from checks.forward import FORWARD_FAULTS, check_forward
from checks.functions import Judge
from checks.gradients import read_parameters
from checks.history import FAULTS as HISTORY_FAULTS
from checks.history import PERCENTAGE_FAULTS, Epoch
from checks.spies import steps_of
from checks.training import check_test_network, check_train_network, plan_of
from checks.update_params import STEPS, check_update_params
from checks.verdicts import Report
from helpers.cnn import Net
from helpers.mlp import MLP, PARAMETERS
from helpers.training import train_network

JUDGES = {
    judge.exercise.name: judge
    for module in (convolution, formulas, steps, training)
    for judge in vars(module).values()
    if isinstance(judge, Judge) and judge.faults
}
CHECKS = vars(convolution) | vars(formulas) | vars(steps) | vars(training)


def silently(check, *args) -> Report:
    with contextlib.redirect_stdout(io.StringIO()):
        return check(*args, seed=3)


def rows() -> Iterator[tuple[str, Fault, partial]]:
    """Yield every fault with a wrong function, and the check of that function."""
    for name, judge in JUDGES.items():
        for fault in (*judge.faults, *judge.overflow.values()):
            yield name, fault, partial(CHECKS[f"check_{name}"], fault.wrong)
    for fault in FORWARD_FAULTS:
        yield "forward", fault, partial(check_forward, forward_with(fault))
    for fault in STEPS:
        yield "update_params", fault, partial(check_update_params, stepping_with(fault))
    for fault in PASS_FAULTS:
        yield "update_grad", fault, partial(check_update_grad, gradients_with(fault))
    for fault in PERCENTAGE_FAULTS:
        test = lambda n, x, t, fault=fault: fault.wrong(n.forward(x), t)  # noqa: E731
        yield "test_network", fault, partial(check_test_network, test)
    for quantity, faults in HISTORY_FAULTS.items():
        for fault in faults:
            yield quantity, fault, partial(check_train_network, recording(quantity, fault))
    for fault in NET_FAULTS:
        yield "net", fault, partial(check_net, net_with(fault))


def forward_with(fault):
    class Wrong(MLP):
        def forward(self, x):
            self.first = getattr(self, "first", x)
            super().forward(x)  # keeps what has to be kept
            return fault.wrong(read_parameters(self), x, self.first)

    return Wrong


def stepping_with(fault):
    class Wrong(MLP):
        def update_params(self, lr):
            for name in PARAMETERS:
                parameter, gradient = getattr(self, name), getattr(self, f"{name}_grad")
                setattr(self, name, fault.wrong(parameter, -lr * gradient, lr, 0 * gradient))

    return Wrong


def gradients_with(fault):
    class Wrong(MLP):
        def update_grad(self, y):
            graph = Graph(read_parameters(self), self.x, y)
            wrong = fault.wrong(graph)
            if not wrong:
                raise ValueError("the shapes don't fit")
            for name in PARAMETERS:
                gradient = wrong.get(name, graph.true[name])
                setattr(self, f"{name}_grad", getattr(self, f"{name}_grad") + gradient)

    return Wrong


def recording(quantity, fault):
    """Return a right training whose history holds, of one quantity, what the fault makes of it."""

    def train(network, train, validation, **options):
        history = train_network(network, train, validation, **options)
        plan, steps = plan_of(options["seed"]), steps_of(network.notes)
        each = len(steps) // plan.n_epochs
        epochs = [Epoch(plan, steps[n : n + each], n) for n in range(0, len(steps), each)]
        setattr(history, quantity, [fault.wrong(epoch) for epoch in epochs])
        return history

    return train


def net_with(fault):
    class Wrong(Net):
        def forward(self, x):
            state = list(self.state_dict().values())
            return x.new_tensor(fault.wrong(list(zip(state[::2], state[1::2], strict=True)), x))

    return Wrong


ROWS = list(rows())


@pytest.mark.parametrize(
    ("fault", "check"), [row[1:] for row in ROWS], ids=[f"{r[0]}-{r[1].key}" for r in ROWS]
)
def test_its_wrong_function_is_named(fault, check):
    report = silently(check)
    assert report.causes[:1] == [fault.key], str(report)
    assert fault.likely in str(report)


def test_there_are_rows_of_every_kind():
    names = [name for name, _, _ in ROWS]
    assert {"sigmoid", "forward", "update_grad", "loss", "net", *JUDGES} <= set(names)
    assert min(map(names.count, set(names))) >= 2
