# Mailward: `make run` to try it, `make test` to test it. CONTRIBUTING.md says more.
PLACE := contrib/dev/place.sh
VENV = $(shell $(PLACE) venv)
RUN = $(shell $(PLACE) run)
BIN = $(VENV)/bin
PYTEST_ARGS ?=
OFFSET ?= 2000
WORKERS ?= $(shell cores=$$(nproc); echo $$((cores < 3 ? cores + cores / 2 : 4)))
# By name, as the folders with long tests come first: by their number of tests, which is the default, these would come last.
BY_FILE = --dist loadfile --no-loadscope-reorder
FUZZ_S ?= 300
KILLS ?= 10000
ROUNDS ?= 300
MESSAGES ?= 50000
BENCH_ARGS ?= --rounds 9

.PHONY: help run environment dev test lint check bench crash stress move fuzz clean

help:
	@echo "make run     a demo server on loopback ports (2025 SMTP, 2143 IMAP, ...), with one account; OFFSET=3000 makes another beside it (3025, ...)"
	@echo "make test    install what the tests need and run all of them"
	@echo "make lint    ruff, mypy --strict, import layers"
	@echo "make check   lint and test"
	@echo "make bench   benchmarks beside Postfix, Haraka and Dovecot, nine rounds; BENCH_ARGS=\"smtp --rounds 3\" says which part"
	@echo "make crash   the crash suite in its long form: $(KILLS) kills under load and a fault at every file call, for hours; KILLS=500 says how many"
	@echo "make stress  many IMAP clients with random commands, compared with each other, for some ten minutes; ROUNDS=3000 says for how many rounds"
	@echo "make move    $(MESSAGES) messages move from a Dovecot and back, and mbsync goes on on either side; MESSAGES=5000 says how many"
	@echo "make fuzz    coverage-guided fuzzing of the message parser; FUZZ_S=60 says for how many seconds"
	@echo "make clean   remove the virtual environment and the demo folders"

environment:
	@contrib/dev/environment.sh run

dev:
	@contrib/dev/environment.sh dev

run: environment
	@contrib/dev/demo.sh "$(BIN)" "$(RUN)" "$(OFFSET)"

test: dev
	@contrib/dev/test-packages.sh
	PATH="$(BIN):$$PATH:/usr/sbin:/sbin" contrib/dev/in-memory.sh $(BIN)/python -m pytest -n $(WORKERS) $(BY_FILE) --hypothesis-profile=ci $(PYTEST_ARGS)

lint: dev
	$(BIN)/ruff check core plugins tests contrib
	$(BIN)/ruff format --check core plugins tests contrib
	$(BIN)/mypy
	$(BIN)/lint-imports

check: lint test

bench: dev
	@contrib/dev/test-packages.sh
	PATH="$(BIN):$$PATH:/usr/sbin:/sbin" $(BIN)/python contrib/bench/run.py $(BENCH_ARGS)

crash: dev
	@contrib/dev/test-packages.sh
	CRASH_KILLS=$(KILLS) PATH="$(BIN):$$PATH:/usr/sbin:/sbin" contrib/dev/in-memory.sh $(BIN)/python -m pytest -n auto $(BY_FILE) -rA tests/crash $(PYTEST_ARGS)

stress: dev
	STRESS_ROUNDS=$(ROUNDS) $(BIN)/python -m pytest -rA tests/integration/test_imap_stress.py $(PYTEST_ARGS)

move: dev
	@contrib/dev/test-packages.sh
	MOVE_MESSAGES=$(MESSAGES) PATH="$(BIN):$$PATH:/usr/sbin:/sbin" contrib/dev/in-memory.sh $(BIN)/python -m pytest -rA tests/integration/test_import.py tests/integration/test_export.py \
		-k "mbsync or mail_of_dovecot" --durations=0 $(PYTEST_ARGS)

fuzz: dev
	$(BIN)/python contrib/fuzz/message.py -max_total_time=$(FUZZ_S) "$(RUN)/fuzz"

clean:
	rm -rf "$(VENV)" "$(RUN)" "$(RUN)"-[0-9]* run run-[0-9]* .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
