# lint.mk - the project's rules on its own sources. `make lint` runs this test alone.
#
# It compiles what it needs itself, so it is the same for every variant and runs with the first only.

ifeq ($(VARIANT),)
TESTS += tests/lint/lint_test.py
endif

.PHONY: lint
lint:
	tests/lint/lint_test.py
