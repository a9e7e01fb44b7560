"""All checks of the first notebook, to be called right after each exercise.

    check_softmax(softmax)

Each prints a verdict for every part and, where one is wrong, the likely mistake in words. None
holds a solution: they compare with central differences, PyTorch and SciPy. Those of the second
notebook are in `helpers.checks_cnn`, which imports PyTorch at once.
"""

from helpers.checks_functions import check_cross_entropy, check_sigmoid, check_softmax
from helpers.checks_gradient import check_update_grad
from helpers.checks_mlp import (
    check_forward,
    check_initialization,
    check_saving,
    check_update_params,
)
from helpers.checks_training import (
    check_accuracy,
    check_one_hot_encode,
    check_test_network,
    check_train_network,
)
from helpers.gradients import (
    analytic_gradients,
    autograd_gradients,
    compare_gradients,
    numerical_gradients,
    relative_difference,
)
from helpers.verdicts import gradient_verdict

__all__ = [
    "analytic_gradients",
    "autograd_gradients",
    "check_accuracy",
    "check_cross_entropy",
    "check_forward",
    "check_initialization",
    "check_one_hot_encode",
    "check_saving",
    "check_sigmoid",
    "check_softmax",
    "check_test_network",
    "check_train_network",
    "check_update_grad",
    "check_update_params",
    "compare_gradients",
    "gradient_verdict",
    "numerical_gradients",
    "relative_difference",
]
