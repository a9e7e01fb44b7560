"""All checks of the first notebook, to be called right after each exercise.

    check_softmax(softmax)

Each shows a verdict for every part and, where one is wrong, the likely mistake in words. None holds
a solution: they compare with central differences, HIPS autograd and SciPy, and load no PyTorch.
Those of the second notebook are in `checks.cnn`, which imports it at once.
"""

from checks.back_propagation import check_update_grad
from checks.functions import check_cross_entropy, check_sigmoid, check_softmax
from checks.gradients import (
    analytic_gradients,
    autograd_gradients,
    compare_gradients,
    numerical_gradients,
    relative_difference,
)
from checks.network import (
    check_forward,
    check_initialization,
    check_saving,
    check_update_params,
)
from checks.steps import (
    check_cross_entropy_derivative,
    check_hidden_delta,
    check_sigmoid_derivative,
    check_weight_gradient,
    compare_line,
)
from checks.training import (
    check_accuracy,
    check_one_hot_encode,
    check_test_network,
    check_train_network,
)
from checks.verdicts import gradient_verdict

__all__ = [
    "analytic_gradients",
    "autograd_gradients",
    "check_accuracy",
    "check_cross_entropy",
    "check_cross_entropy_derivative",
    "check_forward",
    "check_hidden_delta",
    "check_initialization",
    "check_one_hot_encode",
    "check_saving",
    "check_sigmoid",
    "check_sigmoid_derivative",
    "check_softmax",
    "check_test_network",
    "check_train_network",
    "check_update_grad",
    "check_update_params",
    "check_weight_gradient",
    "compare_gradients",
    "compare_line",
    "gradient_verdict",
    "numerical_gradients",
    "relative_difference",
]
