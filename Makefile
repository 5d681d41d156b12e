# `make book` and `make test` each do everything they need: an environment in .venv, then the job.
SHELL := /bin/bash
BIN := .venv/bin
JOBS ?= 3
PORT ?= 8000
SHOTS ?= _build/screenshots
GRADES ?= _build/grades
# The stored outputs were made on a CPU. (No comment behind a value: make would keep the spaces before it.)
export JAX_PLATFORMS := cpu
export UV_PYTHON_DOWNLOADS := never
# Each of the many processes started here would compile all the libraries it imports again.
unexport PYTHONDONTWRITEBYTECODE

# The first Python that runs, is of a supported version and can make an environment; PYTHON=... overrides.
CANDIDATES := python3.11 python3.12 python3.13 python3 python
SUITABLE := import sys; (3, 11) <= sys.version_info[:2] <= (3, 13) or sys.exit("is " + sys.version.split()[0]); import venv, ensurepip
PYTHON ?= $(shell for p in $(CANDIDATES); do $$p -c '$(SUITABLE)' >/dev/null 2>&1 && { echo $$p; break; }; done)

.DEFAULT_GOAL := help
.PHONY: help install book pdf tex serve test bench lint notebooks assignments grade screenshots slides address lock clean

help:  ## this list
	@grep -hE '^[a-z]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 14

install: .venv/.ready  ## the environment, from requirements.lock

.venv/.ready: requirements.lock pyproject.toml
	@'$(PYTHON)' -c '$(SUITABLE)' 2>/dev/null || { \
	  echo "This needs Python 3.11, 3.12 or 3.13 with its modules venv and ensurepip. What was found:"; \
	  for p in $(or $(PYTHON),$(CANDIDATES)); do echo "  $$p: $$($$p -c '$(SUITABLE)' 2>&1 | grep -m 1 -E 'Error|not found|^is ')"; done; \
	  echo "Install it (Debian, Ubuntu: apt-get install python3 python3-venv) or name one: make PYTHON=/path/to/python3.12"; \
	  exit 1; }
	@echo "Filling .venv with $$('$(PYTHON)' --version) (about a minute, 1 GB) ..."
	@$(BIN)/python -c 'import pip' 2>/dev/null || '$(PYTHON)' -m venv --clear .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==0.13.9
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

book: install  ## build the site into _build/html; any warning fails the build
	@rm -rf _build/html _build/.doctrees
	$(BIN)/jupyter-book build . -W -n --keep-going --quiet
	@echo "Open _build/html/index.html, or run: make serve"

# What a TeX of a Debian or Ubuntu needs for it, as packages and as programs.
TEX_PACKAGES := latexmk texlive-xetex texlive-latex-extra texlive-fonts-recommended texlive-fonts-extra fonts-freefont-otf fonts-dejavu
PRINT := _build/print/_build/latex

tex:
	@missing=; for tool in latexmk xelatex; do command -v $$tool >/dev/null || missing="$$missing $$tool"; done; \
	if [ -n "$$missing" ]; then echo "make pdf needs TeX. What is missing here:$$missing"; \
	  echo "Install it (Debian, Ubuntu): apt-get install $(TEX_PACKAGES)"; exit 1; fi

pdf: tex install  ## print the book with LaTeX, into _build/ntk-tutorial.pdf
	@rm -rf _build/print
	$(BIN)/jupyter-book build . --builder latex --path-output _build/print -W --keep-going --quiet
	cd $(PRINT) && latexmk -xelatex -interaction=nonstopmode -silent ntk-tutorial.tex
	@cp $(PRINT)/ntk-tutorial.pdf _build/ntk-tutorial.pdf
	@echo "The book is in _build/ntk-tutorial.pdf"

serve: book  ## build the site and show it at http://localhost:8000 (PORT=...)
	@echo "http://localhost:$(PORT)/book/index.html (Ctrl-C ends it)"
	@$(BIN)/python -m http.server $(PORT) --bind 127.0.0.1 --directory _build/html

test: install lint book  ## everything: lint, site, package, chapters output by output, browser
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder --nbval --nbval-current-env --nbval-cell-timeout=300

bench: install .venv-peer/.ready  ## time both libraries, into benchmarks/RESULTS.md; OPTIONS="--quick --only relu --resume"
	$(BIN)/python benchmarks/run.py $(OPTIONS)

# neural-tangents needs a JAX of its own, which there is for Python 3.11 and 3.12 only.
PEER_PYTHON ?= $(shell for p in $(PYTHON) python3.11 python3.12; do $$p -c 'import sys, venv; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))' >/dev/null 2>&1 && { echo $$p; break; }; done)

.venv-peer/.ready: benchmarks/peer-requirements.lock | install
	@[ -n '$(PEER_PYTHON)' ] || { echo "make bench needs Python 3.11 or 3.12: make bench PEER_PYTHON=/path/to/python3.12"; exit 1; }
	@echo "Filling .venv-peer with neural-tangents (about a minute, 2 GB) ..."
	@$(BIN)/uv venv --quiet --clear --python '$(PEER_PYTHON)' .venv-peer
	@$(BIN)/uv pip install --quiet --python .venv-peer/bin/python --require-hashes -r benchmarks/peer-requirements.lock
	@touch $@

lint: install  ## ruff over the package, the tools, the tests and the chapters' text
	$(BIN)/ruff check .

notebooks: install  ## run chapters and store their outputs; CHAPTER=taylor_expansion for one
	$(BIN)/python tools/nb.py $(CHAPTER)

assignments: install  ## derive student notebooks, solutions and autograders; OPTIONS="--seed 7"
	$(BIN)/python tools/assignments.py $(OPTIONS)

grade: install  ## grade the notebooks in SUBMISSIONS=..., into GRADES=...; OPTIONS="--seconds 60 --gigabytes 2"
	@[ -n '$(SUBMISSIONS)' ] || { echo "Which notebooks? make grade SUBMISSIONS=folder"; exit 1; }
	$(BIN)/python tools/grade.py '$(SUBMISSIONS)' '$(GRADES)' $(OPTIONS)

screenshots: book  ## every page, light and dark, wide and phone, into SHOTS=...
	$(BIN)/python tests/browser/screenshots.py $(SHOTS)

slides: book  ## the chapters' slides, into _build/html/slides; they are part of the site
	@echo "$$(ls _build/html/slides/*/*.html | wc -l) decks, for instance _build/html/slides/linearization/taylor_expansion.html."
	@echo "make serve shows them at http://localhost:$(PORT)/slides/linearization/taylor_expansion.html"

address: install  ## write the repository's address, as pyproject.toml has it, wherever it is needed
	$(BIN)/python tools/address.py

lock: install  ## rewrite requirements.lock and environment.yml from pyproject.toml
	$(BIN)/python tools/lock.py

clean:  ## remove what was built; .venv and .venv-peer stay
	rm -rf _build .pytest_cache .ruff_cache build ntk_tutorial.egg-info
	find . -name __pycache__ -not -path './.venv*' -prune -exec rm -rf {} +
