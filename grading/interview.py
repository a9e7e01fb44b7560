"""Three questions for a short talk with each student, from what they wrote and what went wrong.

They are for the instructor: who understood the code can answer them within a minute each.
"""

import random
import re
from collections.abc import Iterator, Sequence
from typing import Any

from checks.faults import UNFINISHED

N_QUESTIONS = 3
NOTHING_WRITTEN = (UNFINISHED.key, "not loaded")  # causes
DOCSTRING = re.compile(r"('''|\"\"\").*?\1", re.DOTALL)
# What a line of code lets one ask: the first row whose pattern is in it.
ASKS = (
    (r"\s@\s|\.T\b|\bdot\(|matmul|einsum|outer", "Which shapes do the factors and the result "
     "have for one image, and which for a batch of five?"),
    (r"axis|keepdims|dim=", "Why this axis? What would come out with another one?"),
    (r"\bexp\(|\blog\(|logaddexp|tanh", "What happens here with numbers like 1000 and -1000?"),
    (r"^(for|while) .*(range|len|batch|loader|data|images)", "How often does this run for 1,000 "
     "images and a batch size of 64, and what is different in the last turn?"),
    (r"\+=|-=", "What would be computed if `=` stood here instead?"),
    (r"rng|random|perm|shuffle", "Why is chance needed here? What would go wrong without it?"),
    (r"\w\[", "What does this pick out, and of which shape is it?"),
    (r"^if |^raise |^assert ", "When does this happen? Give an example."),
    (r"^return |=", "What would be noticed first if this line were left out?"),
)  # fmt: skip


def questions_for(page: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the questions for a student: function, number and text of a line, and the question.

    They are the same in each run. A page without code gets none.
    """
    rng = random.Random(page["key"])
    lines = [each for name, told in page["source"].items() for each in _lines(name, *told)]
    found = list(_on_mistakes(page["exercises"]))[:1]
    for each in rng.sample(lines, len(lines)):
        used = {(other["function"], other["question"]) for other in found}
        if not any(each["function"] == f or each["question"] == q for f, q in used):
            found.append(each)
    return found[:N_QUESTIONS]


def _on_mistakes(exercises: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield a question on each exercise that lost points, the most expensive first."""
    for each in sorted(exercises, key=lambda each: each["points"] - each["maximum"]):
        wrong = next((verdict for verdict in each["verdicts"] if not verdict["passed"]), None)
        if wrong and wrong["cause"] not in NOTHING_WRITTEN and each["points"] < each["maximum"]:
            text = f"The check of {each['name']} ({wrong['part']}) found: {wrong['found']} "
            text += "Which of your lines does that, and how do you find out?"
            yield {"function": each["name"], "number": 0, "line": "", "question": text}


def _lines(name: str, first: int, text: str) -> Iterator[dict[str, Any]]:
    """Yield what can be asked of each line of a function."""
    code = DOCSTRING.sub(lambda match: "\n" * match[0].count("\n"), text)
    for number, line in enumerate(code.split("\n"), start=first):
        line = line.strip()
        asks = (ask for pattern, ask in ASKS if re.search(pattern, line))
        is_code = not line.startswith(("#", "def ", "class ", "@")) and not line.endswith(",")
        if is_code and (ask := next(asks, "")):
            yield {"function": name, "number": number, "line": line, "question": ask}
