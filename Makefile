# Everything runs in .venv, which the first target that needs it makes from requirements.txt.
# Another interpreter: make demo PYTHON=/path/to/python3.12

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11 python3.14 python; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$python"; break; }; done)

# The stamp's name holds what the environment was made from: Python, requirements.txt, this folder. It is written when
# the installation is whole, so that half of one is done again.
KEY := $(shell "$(PYTHON)" -c 'import hashlib, os, sys; \
	print("%d.%d.%d-" % sys.version_info[:3] + hashlib.sha256(open("requirements.txt", "rb").read() + os.getcwd().encode()).hexdigest()[:16])' 2>/dev/null)
STAMP := .venv/installed-$(KEY)
VENV := .venv/bin/python
CORES ?= $(shell getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)

# Parallelism comes from running stages side by side; a stage sets its own number of threads.
export OMP_NUM_THREADS ?= 1
export TOKENIZERS_PARALLELISM = false
export PIP_DISABLE_PIP_VERSION_CHECK = 1
export PYTHONWARNINGS ?= ignore:IProgress not found
export PYTHONPATH = $(CURDIR)

# Tests go to one worker a core, the longest first.
SHARED = -n $(CORES) --dist loadscope --no-loadscope-reorder --durations=40

.PHONY: help demo demo-all smoke test presets check lab bench setup clean-runs

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

demo: $(STAMP)  ## run the demo study and build its report (no network, a quarter of an hour or more)
	@HF_HUB_OFFLINE=1 $(VENV) -m helpers run params/studies/demo.yaml --cores $(CORES)

demo-all: $(STAMP)  ## the demo study and the layer grid, every notebook (goes on from make demo)
	@HF_HUB_OFFLINE=1 $(VENV) -m helpers run params/studies/demo_all.yaml --cores $(CORES)

smoke: $(STAMP)  ## the demo study at a small size (about three minutes)
	@HF_HUB_OFFLINE=1 $(VENV) -m helpers run params/studies/smoke.yaml --cores $(CORES)

test: $(STAMP)  ## the whole test suite, one worker a core
	@$(VENV) -m pytest -m "not network and not benchmark_suite" $(SHARED)

presets: $(STAMP)  ## every preset alone, from its download to its report, on stand-ins (make test runs them too)
	@$(VENV) -m pytest -m preset_run $(SHARED)

check: $(STAMP)  ## style, types and the quick tests
	@$(VENV) -m ruff check .
	@$(VENV) -m ruff format --check .
	@$(VENV) -m mypy
	@$(VENV) -m pytest -q -m "not slow and not browser and not network and not benchmark_suite"

lab: $(STAMP)  ## JupyterLab with the notebooks
	@$(VENV) -m jupyter lab --ServerApp.root_dir="$(CURDIR)" --LabApp.default_url=/lab/tree/notebooks

bench: $(STAMP)  ## benchmarks; each prints a table
	@env -u OMP_NUM_THREADS $(VENV) -m pytest -q -s -m benchmark_suite tests/benchmarks

setup: $(STAMP)  ## make the environment and do nothing else

clean-runs:  ## delete every result
	rm -rf runs

$(STAMP):
	@if [ -z "$(KEY)" ]; then \
		echo "error: expected Python 3.11 or newer, got $$("$(PYTHON)" --version 2>&1 || echo none); install one, or name it: make demo PYTHON=/path/to/python3.12" >&2; exit 1; fi
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11) and "error: expected Python 3.11 or newer, got " \
		+ sys.version.split()[0] + "; name another one: make demo PYTHON=/path/to/python3.12")'
	@echo "Installing requirements.txt into .venv (once, a few minutes) ..."
	@compgen -G ".venv/installed-$(firstword $(subst -, ,$(KEY)))-*" > /dev/null || "$(PYTHON)" -m venv --clear .venv
	@$(VENV) -m pip install --quiet -r requirements.txt
	@$(VENV) -c 'import pathlib, sysconfig; pathlib.Path(sysconfig.get_path("purelib"), "feature-geometry.pth").write_text("$(CURDIR)\n")'
	@rm -f .venv/installed-*
	@touch "$(STAMP)"
