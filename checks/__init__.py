"""The check of every exercise, to be called right after it.

    check_softmax(softmax)

Each shows a verdict for every part and, where one is wrong, the likely mistake in words. None holds
a solution: they compare with central differences, autograd, decimal numbers and PyTorch. The checks
are those of exercises.toml; the module of one, and with it perhaps PyTorch, is loaded when it is
asked for.
"""

from typing import Any

from checks.comparison import gradient_verdict
from checks.exercises import load_tasks
from checks.gradients import (
    analytic_gradients,
    autograd_gradients,
    compare_gradients,
    numerical_gradients,
    relative_difference,
)
from checks.steps import compare_line

__all__ = [  # the checks are attributes too, by __getattr__
    "analytic_gradients",
    "autograd_gradients",
    "compare_gradients",
    "compare_line",
    "gradient_verdict",
    "numerical_gradients",
    "relative_difference",
    *(f"check_{task.name}" for task in load_tasks()),
]


def __getattr__(name: str) -> Any:  # a Check
    for task in load_tasks():
        if name == f"check_{task.name}":
            return task.check
    raise AttributeError(f"module 'checks' has no attribute {name!r}.")
