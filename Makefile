.DEFAULT_GOAL := help
.PHONY: help demo test chaos mutants pictures bench check format release-check example requirements clean
UV := uv

# Windows keeps the programs of an environment elsewhere.
ifeq ($(OS),Windows_NT)
PYTHON := python
BIN := .venv/Scripts
UV_HERE := .uv/Scripts/uv.exe
else
PYTHON := python3
BIN := .venv/bin
UV_HERE := .uv/bin/uv
endif

# Everything is installed by uv. Where it is missing, it is installed into .uv; nothing else is touched.
ifeq ($(shell command -v uv 2>/dev/null),)
UV := $(UV_HERE)
.venv/ready requirements: $(UV)
$(UV):
	$(PYTHON) -m venv .uv
	.uv/$(notdir $(BIN))/pip install --quiet "$$(grep ^uv== requirements.txt)"
endif

.venv/ready: requirements.txt
	$(UV) venv --quiet --clear --python '>=3.11' .venv
	$(UV) pip install --quiet --compile-bytecode --python .venv --requirement requirements.txt
	touch $@

# For browsers, generators and pyright; without npm their tests are skipped and say so.
BROWSER := $(if $(shell command -v npm 2>/dev/null),tests/browser/node_modules/ready)
tests/browser/node_modules/ready: tests/browser/package.json
	npm install --prefix tests/browser --silent --no-package-lock --no-audit --no-fund --ignore-scripts
	touch $@

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-14s%s\n", $$1, $$2 }' Makefile

demo: .venv/ready  ## generate a service with the default answers and run it; PORT=... for another port
	rm -rf build/demo
	$(BIN)/cookiecutter --default-config --no-input --output-dir build/demo .
	PATH="$(CURDIR)/$(BIN):$$PATH" $(MAKE) -C build/demo/my-service run

# Two very different combinations: their files, their types, and their own tests.
QUICK_TESTS := architecture closing_words combinations key_names prompt_texts prompts refusal_command
QUICK_TESTS += refusals rendering repository security_page
QUICK_TESTS := $(patsubst %,tests/test_%.py,$(QUICK_TESTS))
QUICK_TESTS += tests/test_types.py::test_types_are_strict_and_right
QUICK_TESTS += tests/test_generated_suites.py::test_its_own_tests_pass

test: .venv/ready $(if $(QUICK),,$(BROWSER))  ## run all tests; QUICK=1 for two minutes; ONLY=cookie-endpoints for matching tests; FULL=1 for every combination
	$(BIN)/pytest --numprocesses=auto --dist=worksteal $(if $(QUICK),$(QUICK_TESTS)) $(if $(ONLY),-k '$(ONLY)')

chaos: .venv/ready  ## inject every fault into a busy service, and write docs/chaos.md (ten minutes)
	cd tests && ../$(BIN)/python -m support.chaos

mutants: .venv/ready  ## change generated code: do its tests notice? (half an hour)
	cd tests && ../$(BIN)/python -m support.mutants

pictures: .venv/ready $(BROWSER)  ## write the pictures of the README, with Chromium
	cd tests && ../$(BIN)/python -m support.pictures && ../$(BIN)/python -m support.release docs/pictures

benchmarks/.venv/ready: benchmarks/requirements.txt $(filter-out uv,$(UV))
	$(UV) venv --quiet --clear --python '>=3.11' benchmarks/.venv
	$(UV) pip install --quiet --compile-bytecode --python benchmarks/.venv --requirement $<
	touch $@

bench: benchmarks/.venv/ready .venv/ready  ## compare the cost of protection with alternatives; QUICK=1 for two minutes
	benchmarks/$(BIN)/python benchmarks/run.py $(if $(QUICK),--quick)
	$(if $(QUICK),,cd tests && ../$(BIN)/python -m support.release benchmarks)

check: .venv/ready  ## lint, check the format and the types
	$(BIN)/ruff check hooks tests benchmarks
	$(BIN)/ruff format --check hooks tests benchmarks
	for platform in linux darwin win32; do $(BIN)/mypy --platform $$platform hooks tests benchmarks || exit; done

format: .venv/ready  ## format the code and fix what can be fixed
	$(BIN)/ruff check --fix hooks tests benchmarks
	$(BIN)/ruff format hooks tests benchmarks

release-check: .venv/ready  ## check that everything generated is current, and the changelog complete
	cd tests && ../$(BIN)/python -m support.release

example: .venv/ready  ## write docs/example
	cd tests && ../$(BIN)/python -m support.example

requirements:  ## write requirements.txt, with the newest versions
	$(UV) pip compile --quiet --upgrade --universal --python-version 3.11 --group dev \
		--no-emit-index-url --no-emit-find-links --custom-compile-command 'make requirements' \
		--output-file requirements.txt
	$(UV) pip compile --quiet --upgrade --universal --python-version 3.11 \
		--no-emit-index-url --no-emit-find-links --custom-compile-command 'make requirements' \
		--output-file benchmarks/requirements.txt benchmarks/requirements.in

clean:  ## remove environments, caches and the generated demo
	rm -rf .uv .venv .mypy_cache .pytest_cache .ruff_cache build tests/browser/node_modules benchmarks/.venv
