# matrix.mk - `make check` runs the verification matrix with 200 runs of each case and short larson runs;
# `make matrix` with 3,000, half-second larson runs and ten of the full ten seconds (about 45 minutes on two
# cores). All of them at full length: make matrix MATRIX_FLAGS='--runs 3000 --larson-seconds 10' (over 12 hours).

MATRIX_FLAGS ?= --runs 3000 --larson-seconds 0.5 --long-runs 10
MATRIX_FAULTS = none crash hang null twice chatter exit
MATRIX_NEEDS  = $(addprefix build/bench/,bench_fixed_size bench_random_mixed larson measure)

# A sanitized library cannot be preloaded into a plain program: there, programs with hakmem linked in.
ifeq ($(SANITIZE),)
TESTS += tests/matrix/matrix.py tests/matrix/matrix_test.py
else
TESTS += tests/matrix/matrix_linked.py
check-built: export HAKMEM_MATRIX_BUILD := $(BUILD)
endif

# A script has no recipe, but it needs what it runs.
tests/matrix/matrix.py: $(MATRIX_NEEDS) $(LIB_SO)
tests/matrix/matrix_linked.py: $(BENCH_LINKED)
tests/matrix/matrix_test.py: $(MATRIX_NEEDS) $(MATRIX_FAULTS:%=build/tests/matrix/libfaulty_%.so)

build/tests/matrix/libfaulty_%.so: tests/matrix/faulty.c
	@mkdir -p $(@D)
	$(CC) -std=gnu17 -O2 -g -Wall -Wextra -Wshadow -Wundef -Werror -fPIC -shared -fvisibility=hidden \
	    -DFAULT=FAULT_$$(echo $* | tr a-z A-Z) $< -o $@

.PHONY: matrix matrix-linked
matrix-linked: $(BENCH_LINKED)
	HAKMEM_MATRIX_BUILD=$(BUILD) tests/matrix/matrix_linked.py

matrix: tests/matrix/matrix.py
	tests/matrix/matrix.py --lib $(LIB_SO) $(MATRIX_FLAGS)
