# bench.mk - builds the benchmark programs; `make bench` runs them under hakmem, the system allocator and
# Debian's jemalloc, mimalloc, tcmalloc and tbbmalloc, and leaves build/bench/results.json and build/bench/page.html.
# BENCH_FLAGS goes to bench/compare.py, for instance
#     make bench BENCH_FLAGS='--only larson --rounds 7 --lib snmalloc=PATH --json larson.json'
# They allocate through whatever is preloaded: none of them links hakmem.

BENCH_SINGLE   = aligned_blocks batches buffers calloc_sizes graph hash_table heap_scale large_blocks leak one_pair pareto tree vectors
BENCH_THREADED = producer_consumer server_phases linear_cross_thread false_sharing_active false_sharing_passive thread_birth \
	many_threads fork_heap
BENCH_PROGRAMS = $(addprefix build/bench/,bench_fixed_size bench_random_mixed larson $(BENCH_SINGLE) $(BENCH_THREADED))
BENCH_FLAGS   ?=
# A variant's library is another than the one that stands beside the programs.
BENCH_LIBRARY  = $(if $(VARIANT),--lib hakmem=$(LIB_SO))
# The programs measure allocators: always optimised, never instrumented, and by one compiler, whatever the library is built as.
BENCH_CC      ?= gcc
BENCH_CFLAGS   = -std=gnu17 -O2 -g -Wall -Wextra -Wshadow -Wundef -Werror

# What they were built by. Results name it, and where it changes, the programs are built again.
build/bench/compiler: FORCE
	@mkdir -p $(@D)
	@$(BENCH_CC) --version | head -1 >$@.part
	@if cmp -s $@.part $@; then rm $@.part; else mv $@.part $@; fi

.PHONY: FORCE
FORCE:

$(addprefix build/bench/,$(BENCH_THREADED)): bench/threads.h bench/false_sharing.h
$(BENCH_PROGRAMS): build/bench/%: bench/%.c bench/bench.h bench/slots.h build/bench/compiler
	@mkdir -p $(@D)
	$(BENCH_CC) $(BENCH_CFLAGS) -pthread $< -o $@

# The same programs with hakmem linked in, calling hak_malloc and hak_free, built as the library is: for
# sanitizers, which keep the standard names for themselves.
BENCH_LINKED = $(addprefix $(BUILD)/bench/linked/,bench_fixed_size bench_random_mixed larson)
$(BENCH_LINKED): $(BUILD)/bench/linked/%: bench/%.c bench/bench.h bench/slots.h include/hakmem/hakmem.h $(LIB_A)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -include hakmem/hakmem.h -DBENCH_MALLOC=hak_malloc -DBENCH_FREE=hak_free \
	    -pthread $< $(LIB_A) $(LDFLAGS) -o $@

# Static: its own memory is the floor of every peak that it reports.
build/bench/measure: bench/measure.c build/bench/compiler
	@mkdir -p $(@D)
	$(BENCH_CC) $(BENCH_CFLAGS) -static $< -o $@

.PHONY: bench bench-programs
bench-programs: $(BENCH_PROGRAMS) build/bench/measure # what compare.py needs

# Without root install-packages prints the line to run; then the missing peers are left out, and compare.py says so.
# Debian's own python3 is named since it is the one that has Debian's matplotlib.
bench: $(LIB_SO) bench-programs
	scripts/install-packages bench || true
	/usr/bin/python3 bench/compare.py --json build/bench/results.json --page build/bench/page.html $(BENCH_LIBRARY) $(BENCH_FLAGS)

# ---- single calls and exact counts ---------------------------------------------------------------

BENCH_EXACT = $(addprefix build/bench/,latency pairs)

build/bench/latency: bench/histogram.h bench/ticks.h bench/background.h bench/process.h
$(BENCH_EXACT): build/bench/%: bench/%.c bench/bench.h build/bench/compiler
	@mkdir -p $(@D)
	$(BENCH_CC) $(BENCH_CFLAGS) -D_GNU_SOURCE -pthread $< -o $@

# The allocator that never frees; compare.py and counts.py take it along when it is there.
build/bench/libfloor.so: bench/floor.c build/bench/compiler
	@mkdir -p $(@D)
	$(BENCH_CC) $(BENCH_CFLAGS) -D_GNU_SOURCE -fPIC -fvisibility=hidden -fno-builtin -shared -Wl,-z,now $< -o $@

.PHONY: bench-latency bench-counts
bench-programs: $(BENCH_EXACT) build/bench/libfloor.so

bench-latency: $(LIB_SO) bench-programs # how long single calls take
	scripts/install-packages bench || true
	/usr/bin/python3 bench/compare.py --only '^latency$$' $(BENCH_LIBRARY) $(BENCH_FLAGS)

bench-counts: $(LIB_SO) bench-programs # instructions, page faults, system calls, locked instructions
	scripts/install-packages bench || true
	bench/counts.py $(BENCH_LIBRARY) $(BENCH_FLAGS)

# ---- memory that goes back, and comes again ----------------------------------------------------------

# IDLE_FLAGS and SERVER_FLAGS go to bench/memory_tables.py, for instance
#     make server-sim SECONDS=7200 SERVER_FLAGS='--lib snmalloc=PATH --json server.json'

BENCH_MEMORY  = $(addprefix build/bench/,idle thrash server_sim)
IDLE_FLAGS   ?=
SERVER_FLAGS ?=
SECONDS      ?= 60

build/bench/idle build/bench/server_sim: bench/threads.h
$(BENCH_MEMORY): build/bench/%: bench/%.c bench/bench.h bench/process.h build/bench/compiler
	@mkdir -p $(@D)
	$(BENCH_CC) $(BENCH_CFLAGS) -D_GNU_SOURCE -pthread $< -o $@

.PHONY: idle-table thrash-table server-sim
bench-programs: $(BENCH_MEMORY)

idle-table: $(LIB_SO) bench-programs # what is resident after ten seconds without a call
	scripts/install-packages bench || true
	bench/memory_tables.py idle $(BENCH_LIBRARY) $(IDLE_FLAGS)

thrash-table: $(LIB_SO) bench-programs # what it costs to free memory and take it again
	scripts/install-packages bench || true
	bench/memory_tables.py thrash $(BENCH_LIBRARY) $(IDLE_FLAGS)

server-sim: $(LIB_SO) bench-programs # a server over SECONDS, all allocators at once
	scripts/install-packages bench || true
	bench/memory_tables.py server --seconds $(SECONDS) $(BENCH_LIBRARY) $(SERVER_FLAGS)
