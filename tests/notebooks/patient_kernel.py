"""A kernel for nbval that follows progress, notices its own death, and can be asked questions."""

import ast
import time
from collections import deque
from pathlib import Path
from queue import Empty
from typing import Any

from nbval.kernel import RunningKernel

ROOT = Path(__file__).parents[2]
HEARTBEAT = 1.0  # seconds between two looks at whether the kernel lives


class KernelLostError(RuntimeError):
    """The kernel will not answer any more; the message says why."""


class PatientKernel(RunningKernel):
    """nbval's kernel, whose time limit begins anew whenever the cell shows something.

    So a slow machine gets the time that it needs as long as its training goes on.
    """

    # What it runs before the first cell.
    FIRST = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); "
        "import tests.notebooks.witness; tests.notebooks.witness.watch(); "
        "sys.path.pop(0); del sys.modules['__main__'].sys, tests"
    )

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        self.shown: deque[dict[str, Any]] = deque()
        super().__init__(*arguments, **settings)
        self.ask("None", self.FIRST)

    def get_message(self, stream: str, timeout: float | None = None) -> dict[str, Any]:
        """Return the next message, or raise queue.Empty after `timeout` s without any.

        Raises KernelLostError if the kernel is dead or, having shown nothing for so long, stopped.
        """
        if stream == "iopub" and self.shown:
            return self.shown.popleft()
        last_sign = time.monotonic()
        while timeout is None or time.monotonic() - last_sign < timeout:
            try:
                return super().get_message(stream, timeout=min(HEARTBEAT, timeout or HEARTBEAT))
            except Empty:
                if not self.is_alive():
                    raise self._lost("The kernel died while the cell ran") from None
            if stream == "shell" and self._collect_shown():
                last_sign = time.monotonic()
        if stream == "shell":
            reason = f"The cell showed nothing for {timeout:g} s, so its kernel was stopped"
            self.stop()
            raise self._lost(reason)
        raise Empty

    def _collect_shown(self) -> bool:
        """Keep what has been shown so far for later; say whether there was anything."""
        before = len(self.shown)
        while self.kc.iopub_channel.msg_ready():
            self.shown.append(super().get_message("iopub", timeout=HEARTBEAT))
        return len(self.shown) > before

    @staticmethod
    def _lost(reason: str) -> KernelLostError:
        return KernelLostError(
            f"{reason}. What its cell printed is lost, and the cells below it can't run; "
            "--nbval-cell-timeout sets how many seconds a cell may show nothing."
        )

    def ask(self, question: str, first: str = "") -> Any:
        """Run the statements `first`, then return the value of an expression, a literal."""
        expressions = {"answer": question}
        message = self.kc.execute(first, store_history=False, user_expressions=expressions)
        while True:
            reply = self.get_message("shell", timeout=600)
            if reply["parent_header"].get("msg_id") == message:
                break
        self.await_idle(message, timeout=60)
        content = reply["content"]
        answer = content.get("user_expressions", {}).get("answer", content)
        if answer["status"] != "ok":
            raise KernelLostError(f"{answer['ename']}: {answer['evalue']}")
        return ast.literal_eval(answer["data"]["text/plain"])
