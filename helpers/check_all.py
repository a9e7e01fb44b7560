"""All checks of both notebooks, one after the other: python -m helpers.check_all."""

import sys
from collections.abc import Callable

from helpers import checks, checks_cnn, cnn, mlp, training
from helpers.verdicts import Report

# Each check, and what it is called with.
CHECKS: dict[str, tuple[Callable[..., Report], tuple[str, ...]]] = {
    "one_hot_encode": (checks.check_one_hot_encode, ("one_hot_encode",)),
    "sigmoid": (checks.check_sigmoid, ("sigmoid",)),
    "softmax": (checks.check_softmax, ("softmax",)),
    "initialization": (checks.check_initialization, ("MLP",)),
    "forward": (checks.check_forward, ("MLP",)),
    "accuracy": (checks.check_accuracy, ("accuracy",)),
    "test_network": (checks.check_test_network, ("test_network",)),
    "cross_entropy": (checks.check_cross_entropy, ("cross_entropy",)),
    "update_grad": (checks.check_update_grad, ("MLP",)),
    "update_params": (checks.check_update_params, ("MLP",)),
    "train_network": (checks.check_train_network, ("train_network",)),
    "saving": (checks.check_saving, ("save_weights", "load_weights")),
    "net": (checks_cnn.check_net, ("Net",)),
    "evaluation": (checks_cnn.check_evaluation, ("test_accuracy",)),
    "trainNN": (checks_cnn.check_trainNN, ("trainNN",)),
}


def main() -> None:
    """Print every verdict on the exercises in helpers/; exit with 1 unless all are right."""
    names = vars(training) | vars(mlp)  # test_network and others of the first notebook
    names |= {name: getattr(cnn, name) for name in ("Net", "trainNN", "test_accuracy")}
    n_right = 0
    for title, (check, arguments) in CHECKS.items():
        print(f"\n{title}")
        n_right += check(*(names[name] for name in arguments)).passed
    print(f"\n{n_right} of {len(CHECKS)} exercises are right.")
    sys.exit(n_right < len(CHECKS))


if __name__ == "__main__":
    main()
