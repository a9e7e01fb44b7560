"""The kernel under nbval: patient with what goes on, quick to notice that nothing will come."""

import os
import time

import pytest

from tests.notebooks.patient_kernel import KernelLostError, PatientKernel


class Bare(PatientKernel):
    """A kernel without the witness, whose imports take longer than these tests."""

    FIRST = ""


@pytest.fixture
def kernel(request):
    kernel = getattr(request, "param", Bare)("python3")
    yield kernel
    if kernel.is_alive():
        kernel.stop()


def test_a_cell_that_goes_on_showing_something_is_waited_for(kernel):
    slow = "import time\nfor k in range(8):\n    time.sleep(0.5)\n    print(k, flush=True)"
    message = kernel.execute_cell_input(slow)
    kernel.await_reply(message, timeout=3)  # less than the cell takes in all
    shown = []
    while True:
        found = kernel.get_message("iopub", timeout=10)
        shown.append(found["content"].get("text", ""))
        if found["content"].get("execution_state") == "idle":
            break
    assert "".join(shown) == "0\n1\n2\n3\n4\n5\n6\n7\n"


def test_a_cell_that_shows_nothing_is_stopped_and_told_apart(kernel):
    message = kernel.execute_cell_input("while True: pass")
    with pytest.raises(KernelLostError, match=r"showed nothing for 2 s, so its kernel was stopped"):
        kernel.await_reply(message, timeout=2)
    assert not kernel.is_alive()


@pytest.mark.parametrize("death", ["os._exit(1)", "__import__('ctypes').string_at(0)"])
def test_a_dead_kernel_is_noticed_at_once(kernel, death):
    start = time.monotonic()
    message = kernel.execute_cell_input(f"import os; {death}")
    with pytest.raises(KernelLostError, match="The kernel died while the cell ran"):
        kernel.await_reply(message, timeout=600)
    assert time.monotonic() - start < 300  # far from the limit, on any machine


@pytest.mark.parametrize("kernel", [PatientKernel], indirect=True)
def test_a_kernel_answers_questions_and_knows_the_witness(kernel):
    assert kernel.ask("[6 * 7, __import__('os').getpid()]")[0] == 42
    assert kernel.ask("x + 1", "x = 1") == 2
    watching = kernel.ask("type(_w.watch).__name__", "import tests.notebooks.witness as _w")
    assert watching == "function"
    with pytest.raises(KernelLostError, match="ZeroDivisionError"):
        kernel.ask("1 / 0")
    assert os.getpid() != kernel.ask("__import__('os').getpid()")
