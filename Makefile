# The commands of the project. Each sets up .venv by itself when it is missing or out of date.
# It needs make and a python3 of version 3.11 to 3.13 with its venv module, nothing else.

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
EXTRAS :=
### BEGIN HIDDEN TESTS
EXTRAS := [test,site]
### END HIDDEN TESTS
NOTEBOOKS := $(sort $(wildcard notebooks/*.ipynb))

# Compiled modules are kept, whatever the surroundings say: else each of the many processes compiles
# its libraries anew, which takes seconds for PyTorch.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help run check hand-in lab data clean
### BEGIN HIDDEN TESTS
.PHONY: test python-style page-style site student autograder mark notebooks bands record benchmarks pins
### END HIDDEN TESTS

help:
	@echo "make run        execute the notebooks: copies in build/, figures in figures/"
	@echo "make lab        open JupyterLab"
	@echo "make check      all checks of the exercises in helpers/"
	@echo "make hand-in    the checks once more, and hand-in.zip"
### BEGIN HIDDEN TESTS
	@echo "make test       the same set-up, then ruff, mypy, the unit tests and strict nbval"
	@echo "make site       the project as a web site, built offline: build/site/index.html"
	@echo "make student    the student edition, without solutions: build/student and build/student.zip"
	@echo "make autograder Gradescope's autograder, which marks one hand-in at a time: build/autograder.zip"
	@echo "make mark HANDINS=folder   mark a class: report, marks and feedback in marks/"
	@echo "for maintainers:"
	@echo "make notebooks  execute the committed notebooks in place"
	@echo "make bands      measure the bands of all results again (long)"
	@echo "make record     train for the record again (long)"
	@echo "make benchmarks measure the speed beside other libraries' (long, on a quiet computer)"
	@echo "make pins       choose new versions for requirements.txt"
### END HIDDEN TESTS
	@echo "make clean      remove what was built; data/ stays"

# uv installs several times faster than pip. Without a network it falls back on what it has cached.
$(READY): pyproject.toml requirements.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(None if (3, 11) <= v[:2] <= (3, 13) else \
	    "Python %d.%d was found; the pinned packages want 3.11 to 3.13. Try: make PYTHON=python3.13 run" % v[:2])'
	@echo "Setting up .venv: this downloads several GB the first time."
	@$(PYTHON) -m venv --clear .venv
	@if command -v uv >/dev/null; then ln -sf "$$(command -v uv)" $(BIN)/uv; \
	    else $(BIN)/python -m pip install --quiet uv; fi
	@set -- $(BIN)/uv pip install --python $(BIN)/python --constraints requirements.txt --editable '.$(EXTRAS)'; \
	    "$$@" || { echo "Trying again with cached packages only."; "$$@" --offline; }
	@touch $@

# The data set is fetched before anything is timed or compared. It says which one it got.
data: $(READY)
	@$(BIN)/python -m helpers.mnist

run: data
	$(BIN)/python -m tools.execute_notebooks $(NOTEBOOKS)
	@echo "Done: open build/*.html to read; the figures are in figures/."

### BEGIN HIDDEN TESTS
test: data
	@$(MAKE) --no-print-directory --jobs=2 python-style page-style
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --nbval -n 3 --dist loadfile --no-loadscope-reorder

python-style: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

page-style:
	@if command -v npm >/dev/null && npm install --silent --no-package-lock; then npm run check; \
	    else echo "npm or its packages can't be had: the page's JavaScript is not checked for types and style."; fi

site: $(READY)
	$(BIN)/python -m tools.site

student: $(READY)
	$(BIN)/python -m tools.student_edition

### END HIDDEN TESTS
# From the project's folder, so that the notebooks can show the page in figures/.
lab: $(READY)
	$(BIN)/jupyter lab --LabApp.default_url=/lab/tree/notebooks

check: $(READY)
	$(BIN)/python -m checks

hand-in: $(READY)
	@$(BIN)/python -m tools.hand_in

### BEGIN HIDDEN TESTS
autograder: $(READY)
	$(BIN)/python -m tools.autograder $(UNSAFE)

mark: $(READY)
	@test -n "$(HANDINS)" || { echo "Which hand-ins? make mark HANDINS=folder"; exit 2; }
	$(BIN)/python -m grading "$(HANDINS)" --out marks

notebooks: data
	$(BIN)/python -m tools.execute_notebooks --inplace $(NOTEBOOKS)

bands: data
	$(BIN)/python -m benchmarks.bands

record: data
	$(BIN)/python -m benchmarks.record

# A library to compare with that cannot be installed is reported as missing. Say, ONLY="--only mlp".
benchmarks: data
	-$(BIN)/uv pip install --python $(BIN)/python --constraints requirements.txt --editable '.[benchmarks]'
	$(BIN)/python -m benchmarks $(ONLY)

pins: $(READY)
	@mkdir -p build
	{ echo '# Every version that the project is tested with, on all platforms. Written by `make pins`.'; \
	  $(BIN)/uv pip compile --quiet --universal --upgrade --python-version 3.11 --all-extras \
	      --no-annotate --no-header pyproject.toml; } > build/requirements.txt
	mv build/requirements.txt requirements.txt

### END HIDDEN TESTS
clean:
	rm -rf .venv build weights
