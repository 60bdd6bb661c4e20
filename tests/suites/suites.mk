# suites.mk - `make suites`: test suites of real programs, on the system's allocator and on hakmem; the same verdicts.
# Some of them: make suites SUITES="python stress-ng"; all steps of each: FULL=1. `make check` tests the comparison.

FULL ?= 0
SUITES ?=

ifeq ($(SANITIZE),)
TESTS += tests/suites/suites_test.py
check-built: export HAKMEM_SUITES_LIB := $(abspath $(LIB_SO))
endif

.PHONY: suites
suites: $(LIB_SO)
	scripts/install-packages suites
	/usr/bin/python3 tests/suites/suites.py --build $(BUILD) $(if $(filter 1,$(FULL)),--full) $(SUITES)
