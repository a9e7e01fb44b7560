"""What trains, once more in the arithmetic of an older CPU, from weights that differ a little."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
OLDER_CPU = {
    "ATEN_CPU_CAPABILITY": "default",
    "ONEDNN_MAX_CPU_ISA": "SSE41",
    "OPENBLAS_CORETYPE": "Nehalem",
    "NUDGE_WEIGHTS": "1",
}
TRAINING = (
    "checks/test_checks.py",
    "benchmarks/test_recipe.py",
    "helpers/test_cnn.py",
    "helpers/test_mlp.py",
    "helpers/test_training.py",
    "helpers/test_comparison.py",
)


def test_what_trains_does_so_in_the_arithmetic_of_an_older_cpu():
    """In a process of its own: libraries look once at what the CPU can do."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    result = subprocess.run(
        [*command, *(f"tests/{name}" for name in TRAINING)],
        cwd=ROOT, env=os.environ | OLDER_CPU, capture_output=True, text=True,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr
