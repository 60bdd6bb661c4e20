# bench.mk - builds the benchmark programs; `make bench` runs them under hakmem, the system allocator and
# Debian's jemalloc, mimalloc and tcmalloc. BENCH_FLAGS goes to bench/compare.py, for instance
#     make bench BENCH_FLAGS='--only larson --rounds 7 --json larson.json'
# They allocate through whatever is preloaded: none of them links hakmem.

BENCH_PROGRAMS = $(addprefix build/bench/,bench_fixed_size bench_random_mixed larson)
BENCH_FLAGS   ?=
# The programs measure allocators: always optimised and never instrumented, whatever the library is built as.
BENCH_CFLAGS   = -std=gnu17 -O2 -g -Wall -Wextra -Wshadow -Wundef -Werror

$(BENCH_PROGRAMS): build/bench/%: bench/%.c bench/bench.h bench/slots.h
	@mkdir -p $(@D)
	$(CC) $(BENCH_CFLAGS) -pthread $< -o $@

# The same programs with hakmem linked in, calling hak_malloc and hak_free, built as the library is: for
# sanitizers, which keep the standard names for themselves.
BENCH_LINKED = $(addprefix build/bench/linked/,bench_fixed_size bench_random_mixed larson)
$(BENCH_LINKED): build/bench/linked/%: bench/%.c bench/bench.h bench/slots.h include/hakmem/hakmem.h $(LIB_A)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -include hakmem/hakmem.h -DBENCH_MALLOC=hak_malloc -DBENCH_FREE=hak_free \
	    -pthread $< $(LIB_A) $(LDFLAGS) -o $@

# Static: its own memory is the floor of every peak that it reports.
build/bench/measure: bench/measure.c
	@mkdir -p $(@D)
	$(CC) $(BENCH_CFLAGS) -static $< -o $@

.PHONY: bench bench-programs
bench-programs: $(BENCH_PROGRAMS) build/bench/measure # what compare.py needs

# Without root install-packages prints the line to run; then the missing peers are left out, and compare.py says so.
bench: $(LIB_SO) bench-programs
	scripts/install-packages bench || true
	bench/compare.py $(BENCH_FLAGS)
