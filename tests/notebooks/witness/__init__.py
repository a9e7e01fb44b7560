"""The witness: watches a notebook run under nbval, and then says what is not as it should be.

nbval compares words. The witness compares what cannot be compared as words: it looks at each
training step (`events`), computes all results again in its own few lines of NumPy and PyTorch
(`results`), and reads what the figures hold and tell (`figures`). It runs inside the notebook's
kernel: `watch` before the first cell, `complaints` after the last one.
"""

import json
from pathlib import Path
from typing import Any

from tests.notebooks.witness import figures, results
from tests.notebooks.witness.events import EVENTS, watch
from tests.notebooks.witness.run import Run

__all__ = ["complaints", "watch"]


def complaints(notebook: str, names: dict[str, Any], record: str) -> list[str]:
    """Return what is wrong with the run of `notebook`, each in a line.

    `names` are the notebook's variables; `record` is a JSON file with the outputs of its code cells
    in this run ("outputs") and the alt texts that its committed figures have ("alts").
    """
    content = json.loads(Path(record).read_text(encoding="utf-8"))
    run = Run(names, content["outputs"], content["alts"], EVENTS)
    found = []
    for check in [*results.CHECKS[notebook[0]], *figures.CHECKS[notebook[0]]]:
        try:
            check(run)
        except Exception as error:  # whatever a fault leads to
            reason = " ".join(str(error).split())
            found.append(f"{check.__name__}: {type(error).__name__}: {reason[:300]}")
    return found
