# `make demo` and `make test` are all that a newcomer needs: each makes .venv first if it is missing.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
LIVE_STAMP := $(VENV)/.installed-live
PIP := $(BIN)/python -m pip --disable-pip-version-check install -q -c constraints.txt

.PHONY: demo test test-live bench lint clean

demo: export LIKENESS_HOME ?= .likeness/demo
demo: $(STAMP)
	$(BIN)/likeness sample $(LIKENESS_HOME)/sample
	$(BIN)/likeness run --source $(LIKENESS_HOME)/sample --profile drawn

test: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile

test-live: $(LIVE_STAMP)
	$(BIN)/python -m pytest -m live

bench: $(STAMP)
	$(BIN)/python -m pytest -m bench -s tests/bench

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

.PHONY: .venv
.venv: $(STAMP)

# sam2 and groundingdino-py are built here, against the torch just installed (an isolated build would fetch another one).
# scenedetect wants opencv-python, whose wheel needs a screen's libraries; the headless one has the same module and needs none.
$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) -e '.[dev]'
	SAM2_BUILD_CUDA=0 $(PIP) --no-build-isolation -e '.[paper]'
	$(PIP) --force-reinstall --no-deps opencv-python-headless
	touch $@

$(LIVE_STAMP): $(STAMP)
	$(PIP) -e '.[dev,board,browser,ray,lake]'
	touch $@

clean:
	rm -rf $(VENV) .likeness
