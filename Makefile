# Kyeo. Two commands: `make demo` trains a network on real digits, `make test` checks everything.
# Each sets up its own environment in .venv the first time; a second run starts at once.
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: help demo test lint types tour tests clean

help:
	@echo "make demo    train the tutorial's network on handwritten digits and draw a picture of it"
	@echo "make test    ruff, mypy and every test"
	@echo "make clean   remove .venv and what the tools left behind"

demo: $(VENV)/.installed-plot
	$(BIN)/kyeo demo

test: lint
	$(MAKE) -j2 types tour # each takes one core
	$(MAKE) tests

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .

types: $(VENV)/.installed-test
	$(BIN)/mypy

# The tour a newcomer takes comes first: when it is broken, nothing else matters.
tour: $(VENV)/.installed-test
	$(BIN)/python -m pytest tests/test_tour.py

tests: $(VENV)/.installed-test
	$(BIN)/python -m pytest -n 2 --dist loadfile --doctest-modules --ignore=tests/test_tour.py kyeo tests

$(VENV)/.installed-%: pyproject.toml scripts/setup_env.sh scripts/find_python.sh
	sh scripts/setup_env.sh "$(VENV)" $*

clean:
	rm -rf "$(VENV)" .pytest_cache .mypy_cache .ruff_cache dist build
