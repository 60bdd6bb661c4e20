# bench.mk - the benchmark's own tests: its arithmetic, how it runs programs, the files that it writes.
#
# They measure nothing that depends on the library's build, so they run with the first variant only.

ifeq ($(VARIANT),)
TESTS += tests/bench/aggregate_test.py tests/bench/compare_test.py tests/bench/memory_test.py
endif

# A script has no recipe, but it needs what it runs.
tests/bench/compare_test.py: build/bench/measure build/bench/bench_fixed_size $(LIB_SO) \
    $(addprefix build/tests/matrix/libfaulty_,none.so crash.so hang.so)
tests/bench/memory_test.py: $(addprefix build/bench/,measure idle thrash server_sim libfloor.so) $(LIB_SO) \
    build/tests/matrix/libfaulty_crash.so
