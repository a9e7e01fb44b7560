"""The student edition is the project without its solutions: nothing more is gone, none is left."""

import ast
import io
import json
import re
import subprocess
import sys
import tomllib
import zipfile
from contextlib import redirect_stdout
from functools import cache
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat.v4 import new_code_cell, new_notebook

from checks.exercises import load_tasks
from grading.answers import ANSWER
from tests.checks.mutants import run_check, student_module
from tests.grading.test_archives import read_hand_in
from tools.student_edition import (
    FOLDER,
    MarkerError,
    replace_regions,
    student_edition,
    write_edition,
)

N_TASKS = len(load_tasks())
ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))

# Written down once more, so that a fault in the generator is not repeated here.
REGION = re.compile(
    r"[^\n]*### BEGIN (SOLUTION|HIDDEN TESTS)[^\n]*\n(.*?)[^\n]*### END \1[^\n]*\n", re.DOTALL
)
STUB = r"( *raise NotImplementedError\(\n(?: +['\"].+\n){3} *\)\n)"

# Each function that students write, and the check that belongs to it.
EXERCISES = {
    f"helpers.{task.module}.{name}": task.name for task in load_tasks() for name in task.writes
}
MODULES = ("helpers/mlp.py", "helpers/training.py", "helpers/cnn.py")

CHANNELS = '"Channels, stride and padding"'
# What every program of this kind says somewhere. None of it gives an exercise away.
COMMON_LINES = {
    "for name in PARAMETERS",
    "for name in PARAMETERS:",
    "loss.backward()",
    "network.eval()",
    "network.reset_grad()",
    "network.train()",
    "optimizer.step()",
    "optimizer.zero_grad()",
    "return logits",
    "rng = np.random.default_rng(seed)",
}


@pytest.fixture(scope="module")
def edition():
    return student_edition()


@pytest.fixture(scope="module")
def folder(edition, tmp_path_factory):
    return unzipped(edition, tmp_path_factory.mktemp("build") / "student")


def unzipped(edition: dict[str, bytes], target: Path) -> Path:
    """Return the edition, unzipped as a student does it, with the data set of the project."""
    write_edition(edition, target)
    with zipfile.ZipFile(target.with_suffix(".zip")) as archive:
        archive.extractall(target.parent / "unzipped")
    root = target.parent / "unzipped" / FOLDER
    root.joinpath("data").symlink_to(ROOT / "data", target_is_directory=True)
    return root


def source(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def stubs(name: str, edition: dict[str, bytes]) -> list[str]:
    """What stands in the regions of a module, which must be the same everywhere else."""
    kept = re.split(REGION.pattern, source(name), flags=re.DOTALL)[::3]
    match = re.fullmatch(STUB.join(map(re.escape, kept)), edition[name].decode())
    assert match, f"{name} differs outside of its regions"
    return list(match.groups())


def solved(name: str, but: int | None = None, stub: str = "") -> str:
    """A module with its solutions, without markers; `stub` in place of the solution `but`."""
    numbers = iter(range(100))
    return REGION.sub(lambda match: stub if next(numbers) == but else match[2], source(name))


def functions_with_regions(name: str) -> list[str]:
    """The functions of a module that hold its regions, in their order."""
    text = source(name)
    found = []
    for match in REGION.finditer(text):
        line = text[: match.start()].count("\n") + 1
        names = [
            node.name
            for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.FunctionDef | ast.ClassDef)
            and node.lineno < line <= (node.end_lineno or 0)
        ]
        found.append(".".join([name.removesuffix(".py").replace("/", "."), *names]))
    return found


def test_students_get_their_own_readme_and_no_grading_material(edition):
    assert edition["README.md"] == (ROOT / "tools" / "STUDENT_README.md").read_bytes()
    assert {name.partition("/")[0] for name in edition} == {
        ".devcontainer", ".gitignore", "AGENTS.md", "LICENSE", "Makefile", "README.md", "checks",
        "environment.yml", "helpers", "light.txt", "machine", "notebooks", "playground", "plotting",
        "pyproject.toml", "requirements.txt", "tools",
    }  # fmt: skip
    assert {Path(name).suffix for name in edition} <= {
        "", ".py", ".ipynb", ".json", ".md", ".toml", ".txt", ".yml", ".html", ".css", ".js"
    }  # fmt: skip


def test_students_install_what_the_notebooks_need(edition):
    project = tomllib.loads(edition["pyproject.toml"].decode())["project"]
    assert "optional-dependencies" not in project
    installed = [edition[name].decode() for name in ("Makefile", "environment.yml")]
    assert not any(re.search(r"\[(test|grading|dask|benchmarks)\]", text) for text in installed)
    assert not {"mypy", "ruff", "pytest", "playwright"} & {
        re.match(r"[\w-]+", text)[0] for text in project["dependencies"]
    }


def test_their_readme_names_only_what_they_have(edition):
    readme = edition["README.md"].decode()
    targets = set(re.findall(r"^([a-z-]+):", edition["Makefile"].decode(), re.MULTILINE))
    commands = set(re.findall(r"^make (?:PYTHON\S+ )?([a-z]+)\b", readme, re.MULTILINE))
    commands |= set(re.findall(r"`(?:MNIST\S+ )?make (?:PYTHON\S+ )?([a-z-]+)`", readme))
    assert {"lab", "check", "run", "hand-in"} <= commands <= targets
    assert "test" not in targets
    assert set(re.findall(r"helpers/\w+\.py", readme)) == set(MODULES)


def test_the_same_edition_is_the_same_zip(edition, folder):
    first = folder.parent.parent / "student"
    second = folder.parent.parent / "again"
    write_edition(edition, second)
    write_edition(edition, second)  # in place of what stands there
    zips = [path.with_suffix(".zip").read_bytes() for path in (first, second)]
    assert zips[0] == zips[1]
    names = {p.relative_to(second).as_posix() for p in second.rglob("*") if p.is_file()}
    assert names == set(edition)
    assert not [path.name for path in second.parent.iterdir() if path.name.startswith(".")]


def test_files_differ_only_in_marked_regions(edition):
    for name, content in edition.items():
        if name in MODULES:
            assert len(stubs(name, edition)) == len(REGION.findall(source(name)))
        elif not name.endswith((".ipynb", "README.md", "AGENTS.md")):
            wanted = source(name)
            if "### BEGIN" in wanted:  # in a long line of figures the pattern is slow
                wanted = REGION.sub("", wanted)
            assert content.decode() == wanted, name


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_notebooks_differ_only_in_answers_and_outputs(edition, path):
    ours = nbformat.read(path, as_version=4)
    theirs = nbformat.reads(edition[f"notebooks/{path.name}"].decode(), as_version=4)
    assert theirs.metadata.kernelspec == ours.metadata.kernelspec
    assert [cell.id for cell in theirs.cells] == [cell.id for cell in ours.cells]
    n_answers = 0
    for mine, yours in zip(ours.cells, theirs.cells, strict=True):
        answer = mine.cell_type == "markdown" and "### BEGIN SOLUTION" in mine.source
        n_answers += answer
        assert yours.source == (ANSWER if answer else mine.source)
        assert (yours.get("outputs", []), yours.get("execution_count")) == ([], None)
        assert yours.metadata == {}
    assert n_answers >= 2


def test_every_exercise_is_a_region_in_a_function():
    found = [function for name in MODULES for function in functions_with_regions(name)]
    assert sorted(found) == sorted(EXERCISES)
    assert set(EXERCISES.values()) == {task.name for task in load_tasks()}


def test_no_line_of_a_solution_is_left(edition, folder):
    """Neither in modules nor in notebooks, nor in what else is in the zip."""
    regions = [match[2] for name in MODULES for match in REGION.finditer(source(name))]
    for path in NOTEBOOKS:
        for cell in nbformat.read(path, as_version=4).cells:
            regions += [match[2] for match in REGION.finditer(f"{cell.source}\n")]
    lines = {line.strip() for region in regions for line in region.splitlines()}
    lines = {line for line in lines if len(line) > 12}
    assert len(lines) > 100
    texts = [path.read_bytes() for path in folder.rglob("*") if is_shipped(path, folder)]
    assert len(texts) == len(edition)
    texts += [" ".join(strings(json.loads(text))).encode() for text in texts if text[:1] == b"{"]
    without_spaces = [b"".join(text.split()) for text in texts]
    left = {line for line in lines if any(squeezed(line) in text for text in without_spaces)}
    assert left <= COMMON_LINES


def is_shipped(path: Path, folder: Path) -> bool:
    """Whether it came with the zip; a test may have run something there since."""
    inside = path.relative_to(folder).parts
    return path.is_file() and inside[0] != "data" and "__pycache__" not in inside


def squeezed(line: str) -> bytes:
    return "".join(line.split()).encode()


def strings(value) -> list[str]:
    """All strings in the content of a JSON file."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    return [text for each in value for text in strings(each)] if isinstance(value, list) else []


IMPORT_ALL = """
import importlib, pkgutil
import checks, helpers, machine, playground, plotting

for package in (checks, helpers, machine, playground, plotting):
    for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        importlib.import_module(module.name)
"""
# All checks are run, and the file is made; the exit status is that of the checks.
HAND_IN = """
import subprocess, sys
from tools import hand_in

run, status = subprocess.run, []
subprocess.run = lambda *args, **kwargs: status.append(run(*args, **kwargs).returncode)
hand_in.main()
sys.exit(*status)
"""


@pytest.fixture(scope="module")
def handing_in(edition, tmp_path_factory):
    """Returns the folder, unsolved or solved, in which `make hand-in` was run, and what it said."""

    @cache
    def hand_in(solution: bool) -> tuple[Path, subprocess.CompletedProcess[str]]:
        root = unzipped(edition, tmp_path_factory.mktemp("handed-in") / "student")
        for name in MODULES if solution else ():
            assert len(stubs(name, edition)) > 4
            (root / name).write_text(solved(name), encoding="utf-8")
        (root / "helpers" / "mine.py").write_text("x = 1\n")
        return root, subprocess.run(
            [sys.executable, "-B", "-c", HAND_IN if solution else IMPORT_ALL + HAND_IN],
            cwd=root, capture_output=True, text=True, encoding="utf-8", check=False,
        )  # fmt: skip

    return hand_in


def test_unsolved_exercises_are_not_done_yet(handing_in):
    _, result = handing_in(solution=False)
    assert (result.returncode, result.stderr) == (1, "")
    assert result.stdout.count(": not done yet\n") == N_TASKS
    assert result.stdout.count(" is yours to write. It is explained in notebook ") == len(
        load_tasks()
    )
    assert f"\n0 of {N_TASKS} exercises are right.\n" in result.stdout
    assert "Traceback" not in result.stdout


def test_with_the_solutions_put_back_all_checks_pass(handing_in):
    _, result = handing_in(solution=True)
    assert f"\n{N_TASKS} of {N_TASKS} exercises are right.\n" in result.stdout
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("function", EXERCISES)
def test_one_exercise_to_go(function, edition):
    """Where one function is not done, its check says so, and where to read and write."""
    module, _, name = function.removeprefix("helpers.").partition(".")
    file = f"helpers/{module}.py"
    number = functions_with_regions(file).index(function)
    text = solved(file, number, stubs(file, edition)[number])
    report = run_check(EXERCISES[function], student_module(text, module))
    assert report.causes == ["unfinished"], report
    assert f"Exercise {name} is yours to write." in str(report)
    assert f"Put your code in {file}" in str(report)


def test_messages_lead_to_the_section_that_explains():
    """The verdicts name the section in which the notebooks show the exercise."""
    for task in load_tasks():
        notebook = NOTEBOOKS[task.module == "cnn"]
        places = {section_that_shows(name, notebook) for name in task.writes}
        assert None not in places, task.name
        assert task.section.removesuffix(" of notebook 2") in places, task.name


def section_that_shows(function: str, path: Path) -> str | None:
    """The headings over the first cell of a notebook that shows the source of a function."""
    section = part = ""
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "code":
            shown = re.findall(r"[\w.]+", "".join(re.findall(r"show_source\((.*)\)", cell.source)))
            if {function, function.rpartition(".")[0]} & set(shown):
                return section + part
            continue
        for level, number, title in re.findall(r"^(##+) (?:(\d+) )?([^:\n]*)", cell.source, re.M):
            if level == "##":
                section, part = f"section {number}" if number else f'"{title}"', ""
            else:
                part = f', "{title}"'
    return None


def test_each_check_follows_its_exercise():
    """Every check is called once, on what it wants, after its functions were shown."""
    cells = [
        cell.source
        for path in NOTEBOOKS
        for cell in nbformat.read(path, as_version=4).cells
        if cell.cell_type == "code"
    ]
    for task in load_tasks():
        call = f"{task.check.__name__}({', '.join(task.takes)})"
        (place,) = (k for k, cell in enumerate(cells) if call in cell.splitlines())
        for function in (name for name, exercise in EXERCISES.items() if exercise == task.name):
            name = function.split(".", 2)[2].removeprefix("Net.").replace("__init__", "")
            shown = [
                k
                for k, cell in enumerate(cells[:place])
                if (match := re.search(r"show_source\((.*)\)", cell)) and name in match[1]
            ]
            assert shown, function


def stop_of(client: NotebookClient) -> int:
    """Run the cells from the top; return the number of the one that fails."""
    for number, cell in enumerate(client.nb.cells):
        try:
            client.execute_cell(cell, number)
        except CellExecutionError:
            return number
    pytest.fail("the notebook ran through")


@pytest.mark.parametrize(
    ("path", "file", "lines"),
    [
        (NOTEBOOKS[0], MODULES[1], ["one_hot_encode", 'notebook 1, "The data"']),
        (NOTEBOOKS[1], MODULES[2], ["convolve", f"notebook 2, section 1, {CHANNELS}"]),
    ],
    ids=["notebook 1", "notebook 2"],
)
def test_notebooks_stop_kindly_at_the_first_exercise_and_go_on_when_it_is_done(
    path, file, lines, folder
):
    notebook = nbformat.read(folder / "notebooks" / path.name, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=300,
        extra_arguments=["--IPKernelApp.log_level=ERROR"],
        resources={"metadata": {"path": str(folder / "notebooks")}},
    )
    with client.setup_kernel():
        number = stop_of(client)
        (error,) = notebook.cells[number].outputs
        assert error.ename == "NotImplementedError"
        assert error.traceback == [
            f"Exercise {lines[0]} is yours to write.",
            f"It is explained in {lines[1]}.",
            f"Put your code in {file}, save it, and run this again.",
        ]
        shown = [output for cell in notebook.cells[:number] for output in cell.get("outputs", [])]
        printed = "".join(
            output.get("text", "") + output.get("data", {}).get("text/plain", "")
            for output in shown
        )
        assert printed.count("not done yet") == 1
        unsolved = (folder / file).read_text(encoding="utf-8")
        (folder / file).write_text(solved(file), encoding="utf-8")
        client.execute_cell(notebook.cells[number], number)
        assert notebook.cells[number].outputs[0].output_type in ("stream", "display_data")
        (folder / file).write_text(unsolved, encoding="utf-8")


def test_other_errors_that_are_not_implemented_keep_their_traceback(monkeypatch):
    from IPython.core.interactiveshell import InteractiveShell

    import helpers.notebook

    shell = InteractiveShell()
    monkeypatch.setattr(helpers.notebook, "get_ipython", lambda: shell)
    helpers.notebook.follow_changes()
    outputs = {}
    for message in ("Exercise x is yours to write.\nHere.", "no such kernel"):
        with redirect_stdout(io.StringIO()) as printed:
            shell.run_cell(f"def f():\n    raise NotImplementedError({message!r})\nf()")
        outputs[message] = printed.getvalue()
    kind, usual = outputs.values()
    assert kind == "Exercise x is yours to write.\nHere.\n"
    assert "Traceback" in usual
    assert "no such kernel" in usual


# The generator itself

BEGIN, END = "### BEGIN SOLUTION\n", "### END SOLUTION\n"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (BEGIN, 1),
        (f"a\n{END}", 2),
        (f"{BEGIN}a\n{BEGIN}b\n{END}{END}", 3),
        (f"{BEGIN}a\n{END}{END}", 4),
        (f"{BEGIN}a\n### END HIDDEN TESTS\n", 3),
        (f"{BEGIN}a\n### BEGIN HIDDEN TESTS\n### END HIDDEN TESTS\n{END}", 3),
        (f"{BEGIN}a\n{END}b\n{BEGIN}", 5),
    ],
)
def test_markers_must_come_in_pairs(text, line):
    with pytest.raises(MarkerError, match=rf"x\.py, line {line}: ### (BEGIN|END)"):
        replace_regions(text, "x.py", lambda *_: "")


def test_regions_are_replaced_with_their_markers():
    seen = []

    def stub(*arguments):
        seen.append(arguments)
        return "S\n"

    text = (
        f"a\n    {BEGIN}    b\n    c\n    {END}d\n### BEGIN HIDDEN TESTS\ne\n### END HIDDEN TESTS"
    )
    assert replace_regions(text, "x", stub) == "a\nS\nd\nS\n"
    assert [arguments[1:] for arguments in seen] == [("SOLUTION", 2), ("HIDDEN TESTS", 7)]
    assert replace_regions("no markers", "x", stub) == "no markers"


@pytest.fixture
def project(tmp_path):
    """A small project with one exercise."""
    for name in ("checks", "helpers", "notebooks", "tools"):
        (tmp_path / name).mkdir()
    (tmp_path / "tools" / "STUDENT_README.md").write_text("Hello", encoding="utf-8")
    row = (
        "[[exercise]]\nname = 'add'\nsection = 'section 4, \"Of two\"'\nmodule = 'mlp'\n"
        "takes = ['add']\ncheck = 'sums'\npoints = {}\n"
    )
    (tmp_path / "checks" / "exercises.toml").write_text(row, encoding="utf-8")
    return tmp_path


def made_of(project: Path, code: str) -> str:
    (project / "helpers" / "mlp.py").write_text(code, encoding="utf-8")
    return student_edition(project)["helpers/mlp.py"].decode()


def test_a_solution_becomes_an_error_that_names_exercise_and_section(project):
    text = made_of(
        project, f"def add(a, b):\n    '''Add.'''\n    {BEGIN}    return a + b\n    {END}"
    )
    with pytest.raises(NotImplementedError, match=r'Exercise add is.*\n.*1, section 4, "Of two"'):
        student_module(text, "mlp").add(1, 2)
    assert "a + b" not in text


def test_code_around_a_solution_stay_valid(project):
    code = f"def add(a, b):\n    try:\n        {BEGIN}        c = a + b\n        {END}"
    text = made_of(project, f"{code}        return c\n    finally:\n        print('done')\n")
    assert "    finally:\n        print('done')\n" in text
    with pytest.raises(NotImplementedError):
        student_module(text, "mlp").add(1, 2)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (f"{BEGIN}x = 1\n{END}", "line 1: a solution outside of functions"),
        (
            f"def sub(a):\n    {BEGIN}    return a\n    {END}",
            "line 2: sub is written in no exercise",
        ),
        (f"def add(a):\n    {BEGIN}    return a\n", "line 2: ### BEGIN SOLUTION has no end"),
    ],
)
def test_solutions_that_cannot_be_cut_out_are_refused(project, code, message):
    with pytest.raises(MarkerError, match=rf"helpers/mlp\.py.*{message}"):
        made_of(project, code)


def test_a_solution_that_is_half_a_statement_is_refused(project):
    with pytest.raises(MarkerError, match=r"helpers/mlp\.py: .* whole statements"):
        made_of(project, f"def add(a, b):\n    return [\n    {BEGIN}    a + b\n    {END}    ]\n")


def test_solutions_in_the_code_of_a_notebook_are_refused(project):
    cells = [new_code_cell(f"{BEGIN}1 + 1\n{END}")]
    nbformat.write(new_notebook(cells=cells), project / "notebooks" / "2_more.ipynb")
    with pytest.raises(MarkerError, match=r"2_more\.ipynb, cell 1: a marker in code"):
        student_edition(project)


@pytest.mark.skipif(sys.platform != "linux", reason="marking wants Linux")
@pytest.mark.parametrize("solution", [False, True])
def test_the_file_to_hand_in_is_what_marking_reads(handing_in, solution):
    root, _ = handing_in(solution=solution)
    hand_in = read_hand_in(root / "hand-in.zip")
    assert hand_in.problems == []
    assert {"mlp.py", "training.py", "cnn.py", "mine.py"} <= set(hand_in.modules)
    assert set(hand_in.notebooks) == {path.name for path in NOTEBOOKS}
    assert hand_in.modules["mlp.py"] == (root / "helpers" / "mlp.py").read_bytes()


def test_assistants_are_asked_to_explain_and_not_to_solve(edition):
    text = edition["AGENTS.md"].decode()
    assert "Explain; do not solve" in text
    assert set(re.findall(r"helpers/\w+\.py", text)) == set(MODULES)
