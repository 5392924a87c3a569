# make demo   five hospitals, one question, one command          make test   everything that CI runs
PY := .venv/bin/python
export PYTHONDONTWRITEBYTECODE :=

.PHONY: setup demo demo-once demo-quick test check fix bench soak docs clean

setup:            ## .venv/ with Atoll and its tools
	@scripts/setup.sh tools

demo: setup       ## five exports in five shapes, to OMOP, to a cohort, to one model; stays up until Ctrl-C
	@$(PY) -m atoll demo --exports

demo-once: setup  ## the same, ends by itself
	@$(PY) -m atoll demo --exports --once

demo-quick: setup ## 200,000 people in tables, one model, in seconds; ends by itself
	@$(PY) -m atoll demo --once

check: setup      ## format, lint, types, import contracts
	@$(PY) -m ruff format --check .
	@$(PY) -m ruff check .
	@$(PY) -m mypy
	@.venv/bin/lint-imports --no-cache | tail -n 12

fix: setup        ## format and repair what can be repaired
	@$(PY) -m ruff check --fix .
	@$(PY) -m ruff format .

test: check       ## everything that CI runs
	@scripts/system.sh
	@$(PY) -m pytest -n 2 --dist loadfile -m "not soak"

soak: setup       ## the long runs
	@$(PY) -m pytest -m soak

bench:            ## measure, print ratios, write docs/benchmarks.md; PARTS="rounds cohorts" for some of it
	@scripts/setup.sh tools,bench
	@$(PY) benchmarks/run.py $(PARTS)

docs: setup       ## regenerate the parts of docs/ that are made from code
	@$(PY) scripts/docs.py
