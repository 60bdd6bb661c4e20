# lint.mk - the rules of the project on its own sources, and the document of memory orders. `make lint` runs these alone.
#
# It compiles what it needs itself, so it is the same for every variant and runs with the first only.

ifeq ($(VARIANT),)
TESTS += tests/lint/lint_test.py tests/lint/orders_test.py
endif

.PHONY: lint
lint:
	tests/lint/lint_test.py
	tests/lint/orders_test.py
