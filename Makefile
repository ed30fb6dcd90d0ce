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

# A fresh Debian as root gets the servers that are missing. Label Studio's own environment: .venv/label_studio, once.
test-live: live-servers $(LIVE_STAMP)
	$(BIN)/python -m pytest -m live

.PHONY: live-servers
live-servers:
	@missing=""; \
	ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null || missing="$$missing postgresql"; \
	command -v chromium >/dev/null || command -v google-chrome >/dev/null || missing="$$missing chromium"; \
	PATH="$$PATH:/usr/sbin" command -v nginx >/dev/null || missing="$$missing nginx-light"; \
	if [ -z "$$missing" ]; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "installing$$missing"; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing; \
	else \
		echo "test-live needs what is not installed here:$$missing; as root: apt-get install$$missing" >&2; exit 1; \
	fi

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
