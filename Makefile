# Every way into this repository; `make` alone lists them. Each target first sees to the environment (setup.sh).
SHELL := bash
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

SCALE ?= mini
DEVICE ?= auto
SEEDS ?=

# PYTHON=... on the command line uses that interpreter as it is, for machines whose packages are given.
ifeq ($(origin PYTHON),command line)
setup_command := @echo "setup: using $(PYTHON) unchecked, as asked"
else
PYTHON := "$$(./setup.sh --python)"
setup_command := @./setup.sh
endif
unexport PYTHON

papers := asr-adapters continual-pretraining fine-grained-ssl extreme-vsr
folders := common video_sr speech_adapters multimodal_ssl
run := $(PYTHON) -m common.run
# One thread: small tensors gain nothing from two, and golden losses depend on the order of additions.
pytest := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 $(PYTHON) -m pytest
# A process per core, each with whole files of tests, so that what a file sets up is set up once.
side_by_side := --numprocesses auto --maxprocesses 4 --dist loadfile
fast := -m "not slow and not gpu and not corpus"
slow := -m "slow and not gpu and not corpus"
seeds := $(if $(SEEDS),--seeds $(SEEDS))

.PHONY: help
help:
	@echo "Four papers, reproduced claim by claim. 41 minutes on two CPU cores:  make reproduce-extreme-vsr"
	@echo
	@awk '/^#> /{ print substr($$0, 4) } /^#>$$/{ print "" }' $(firstword $(MAKEFILE_LIST))

#> try                              each tool once on real sound and films, all claims judged, one page: a minute or two
#> reproduce                        every paper that is built: environment, data, runs, report
#> reproduce-asr-adapters           arXiv 2202.03218, adapters in a frozen wav2vec 2.0 for speech recognition
#> reproduce-continual-pretraining  arXiv 2107.13530, adapters inside pre-training on new languages
#> reproduce-fine-grained-ssl       arXiv 2112.12182, video, audio and text, matched region by phrase
#> reproduce-extreme-vsr            arXiv 2009.06290, x16 video super-resolution
.PHONY: try
try: setup
	@PYTHONPATH=. $(PYTHON) examples/try_tools.py
.PHONY: reproduce $(papers:%=reproduce-%)
reproduce: setup
	@$(run) reproduce --scale $(SCALE) --device $(DEVICE) $(seeds)
$(papers:%=reproduce-%): reproduce-%: setup
	@$(run) reproduce $* --scale $(SCALE) --device $(DEVICE) $(seeds)
#>
#> data                             fetch and check the data of every paper; data-<paper> for one
#> pack-<paper>                     one archive of at most 40 MB for a machine without a network
#> tune-<paper>                     search settings on dev, the same budget for every arm
#> publish-<paper>                  maintainers: turn runs of a clean commit into published results
.PHONY: data $(foreach verb,data pack tune publish,$(papers:%=$(verb)-%))
data: setup
	@$(run) data --scale $(SCALE)
$(papers:%=data-%): data-%: setup
	@$(run) data $* --scale $(SCALE)
$(papers:%=pack-%): pack-%: setup
	@$(run) pack $*
$(papers:%=tune-%): tune-%: setup
	@$(run) tune $* --scale $(SCALE) --device $(DEVICE)
$(papers:%=publish-%): publish-%: setup
	@$(run) publish $* --scale $(SCALE)
#>
#> report                           claims, verdicts, tables and figures from the runs there are
#> dashboard                        your runs so far, from their journals
#> user-study                       which of two x16 pictures looks better: a local page; votes go to votes.jsonl
#> docs                             the documentation site, build/site, from every page here
#> verify                           recompute every published table from raw scores
#> bench                            speed and memory against other implementations
.PHONY: report dashboard verify user-study bench docs
report dashboard verify: setup
	@$(run) $@
user-study: setup
	@PYTHONPATH=. $(PYTHON) -m video_sr study
bench: setup
	@$(PYTHON) -m benchmarks
docs: setup
	@$(PYTHON) docs/site.py
#>
#> test                             lint, types and the fast tests; the same as continuous integration
#> test-<folder>                    the fast tests of common, video_sr, speech_adapters or multimodal_ssl
#> test-fast                        the fast tests alone
#> test-slow                        the long drills: crashes, full disks, two processes against one
#> lint                             ruff: rules and formatting
#> types                            mypy
.PHONY: test $(folders:%=test-%) test-slow lint types
test: setup
	@failed=; for part in lint types test-fast; do $(MAKE) $$part || failed="$$failed $$part"; done; \
	if [ -n "$$failed" ]; then echo "make test failed in:$$failed" >&2; exit 1; fi
.PHONY: test-fast
test-fast: setup
	@$(pytest) $(side_by_side) $(fast)
$(folders:%=test-%): test-%: setup
	@if [ ! -d tests/$* ]; then echo "tests/$* does not exist: $* is not built yet" >&2; exit 3; fi
	@$(pytest) $(side_by_side) $(fast) tests/$*
test-slow: setup
	@$(pytest) $(slow)
lint: setup
	@$(PYTHON) -m ruff check . && $(PYTHON) -m ruff format --check .
types: setup
	@$(PYTHON) -m mypy
#>
#> help                             this page
#> setup                            the environment alone: an active one that fits, else .venv (5.8 GB)
#> lock                             write requirements.lock anew from pyproject.toml
#> clean                            remove caches; keeps runs/, data, .venv and published results
.PHONY: setup lock clean
setup:
	$(setup_command)
lock:
	@./setup.sh --lock
clean:
	@rm -rf .pytest_cache .ruff_cache .mypy_cache .hypothesis
	@find . -path ./.venv -prune -o -path ./runs -prune -o -type d -name __pycache__ -exec rm -rf {} +
	@echo "caches removed; runs/, data and .venv are kept"
#>
#> papers     asr-adapters  continual-pretraining  fine-grained-ssl  extreme-vsr
#> SCALE      mini (default, 2 CPU cores) · night (the same, up to 10 hours) · gpu (one data-centre GPU) · paper (the paper's own hardware)
#> DEVICE     auto (default) · cpu · cuda        SEEDS  how many; empty: as many as the scale asks for
#> PYTHON     an interpreter to use as it is, unchecked
