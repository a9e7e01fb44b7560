"""Marking what students wrote: a page that saves a file, and what the file adds to their points.

The page shows one question at a time over all students. It needs no server: a browser opens it, and
its button writes `written.json`, which `python -m grading --written written.json` reads. The file
has the questions (maximum, comments to choose from) and a mark for each answer. Each tells when it
was made, so files of several people become one: the later mark counts.
"""

import hashlib
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from checks.exercises import Task
from grading.answers import questions
from grading.exam import Exam

Written = dict[str, Any]  # "questions": by key; "marks": a list
Result = dict[str, Any]
FILE = "written.json"
NOTHING: Written = {"questions": {}, "marks": []}
MAXIMUM = 3  # of a question, until somebody types another one


def name_of(question: str) -> str:
    """Return what tables and reports call a written question."""
    return f"question {question}"


def digest(text: str) -> str:
    """Return what tells an answer from any other: a mark counts for the text that was read."""
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]


# The file


def read_written(paths: Iterable[Path]) -> Written:
    """Return what the files say together. Raises ValueError that names what is wrong in which."""
    asked: dict[str, Any] = {}
    marks: dict[tuple[str, str], Any] = {}
    for path in paths:
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
            for key, question in told["questions"].items():
                asked[key] = _later(asked.get(key), question)
            for mark in told["marks"]:
                place = mark["student"], mark["question"]
                marks[place] = _later(marks.get(place), mark)
            _require_sound(asked, marks.values())
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"{path} is no file of the page of answers: {error!r}.") from error
    return {
        "questions": {k: asked[k] for k in questions() if k in asked},
        "marks": [*marks.values()],
    }


def _later(one: Any, other: Any) -> Any:
    return other if one is None or other["when"] >= one["when"] else one


def _require_sound(asked: dict[str, Any], marks: Iterable[Any]) -> None:
    if unknown := sorted(set(asked) - set(questions())):
        raise ValueError(f"there is no question {', '.join(unknown)}; wanted {[*questions()]}")
    for key, question in asked.items():
        if not 0 < question["maximum"] < math.inf:
            raise ValueError(f"question {key} is worth {question['maximum']}; wanted more than 0")
    for mark in marks:
        most = asked[mark["question"]]["maximum"]
        if not 0 <= mark["points"] <= most:
            where = f"{mark['student']}, question {mark['question']}"
            raise ValueError(f"{where}: {mark['points']} points; wanted 0 to {most}")
        if not all(isinstance(comment, str) for comment in mark["comments"]):
            raise TypeError(f"{mark['student']}: a comment is no text")


# What it adds


def exam_with(exam: Exam, written: Written) -> Exam:
    """Return the exam with the questions that were marked as exercises."""
    tasks = [
        Task(name_of(key), "", "", (), (), (), "", {"answer": question["maximum"]})
        for key, question in written["questions"].items()
    ]
    return replace(exam, tasks=(*exam.tasks, *tasks))


def with_written(results: Sequence[Result], keys: Sequence[str], written: Written) -> list[Result]:
    """Return the results with an exercise for each question that was marked.

    An answer that has no mark, or was another one when it was marked, gets no points, and a note.
    """
    marks = {(mark["student"], mark["question"]): mark for mark in written["marks"]}
    more = sum(question["maximum"] for question in written["questions"].values())
    found = []
    for result, key in zip(results, keys, strict=True):
        added = [
            _exercise(name, question["maximum"], result, marks.get((key, name)))
            for name, question in written["questions"].items()
            if result["exercises"]
        ]
        n_open = sum(each["is_open"] for each in added)
        notes = [f"{n_open} written answers are not marked yet."] * (n_open > 0)
        changed = {"exercises": result["exercises"] + added, "problems": result["problems"] + notes}
        found.append(result | changed | {"maximum": result["maximum"] + more})
    return found


def _exercise(question: str, maximum: float, result: Result, mark: Any) -> Result:
    text, html = own_answer(result, question)
    is_marked = bool(text and mark) and mark["answer"] == digest(text)
    comments = (
        mark["comments"] if is_marked else ["It is not marked yet." if text else "No answer."]
    )
    points = float(mark["points"]) if is_marked else 0.0
    return {
        "name": name_of(question), "question": question, "points": points, "maximum": maximum,
        "parts": {"answer": points}, "cause": None, "text": "\n".join(comments), "verdicts": [],
        "answer": html, "is_open": bool(text) and not is_marked,
    }  # fmt: skip


def own_answer(result: Result, question: str) -> tuple[str, str]:
    """Return what a student wrote on a question, as text and as HTML; "" if nothing."""
    own = [answer for answer in result["answers"] if answer["question"] == question]
    return "\n\n".join(each["text"] for each in own), "".join(each["html"] for each in own)


# The page


def in_order(texts: Sequence[str]) -> list[tuple[int, float]]:
    """Return the numbers of all texts, like ones one after another, and how alike each is.

    That is the cosine (0 to 1) to the one before, over weighted pieces of words (TF-IDF): no
    language has to be known.
    """
    if len(texts) < 2:
        return [(n, 0.0) for n in range(len(texts))]
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectors = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4)).fit_transform(texts)
    alike = (vectors @ vectors.T).toarray().clip(0, 1)
    order = leaves_list(linkage(squareform(1 - alike, checks=False), "average")).tolist()
    return [
        (n, float(alike[n, before]))
        for before, n in zip([order[0], *order[:-1]], order, strict=True)
    ]


def answers_by_question(pages: Sequence[Result]) -> dict[str, list[Result]]:
    """Return all answers to each question that somebody answered, like ones together."""
    found = {}
    for key in questions():
        own = [(page, *own_answer(page, key)) for page in pages]
        own = [each for each in own if each[1]]
        order = in_order([text for _, text, _ in own])
        found[key] = [
            {"page": page, "digest": digest(text), "html": html, "alike": round(100 * alike)}
            for (page, text, html), alike in ((own[n], alike) for n, alike in order)
        ]
    return {key: answers for key, answers in found.items() if answers}
