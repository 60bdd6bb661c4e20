# hakmem - builds the library, its tests and its benchmarks. GNU make; no configure step.
#
#   make            build/libhakmem.so, build/libhakmem.a; build/hakmem where ncurses' headers are
#   make demo       install what is missing, build, run real programs beside the system allocator
#   make check      install what is missing, build, run all tests
#   make lint       the rules of the project on its own sources
#   make idle       memory that goes back while nobody calls: all sizes and threads, four minutes
#   make bench      the benchmarks, beside Debian's allocators
#   make soak       everything at once for HOURS=2; make briefs: a million short processes
#   make matrix     3,000 runs of each case of the verification matrix
#   make exhaust    limits of the process, filters of system calls, failing calls: all of it
#   make mutants    break the library on purpose, and see each break found
#   make torture    a million threads, a hundred thousand forks, signals and coroutines: an hour or two
#   make sanitize-units   the unit tests under each sanitizer
#   make sanitize-tree    all others, as far as a sanitizer lets them run; tests/sanitize/tree.mk says which
#   make fuzz       libFuzzer goes on from the corpora of tests/fuzz; SECONDS, TARGET; make fuzz-afl: AFL++
#   make platforms  other compilers, C libraries and processors, with qemu
#   make machines   emulated machines: Debian's kernels with other settings, control groups, little memory, on aarch64
#   make suites     test suites of real programs (CPython, Perl, SQLite, Redis, Git ...), the same verdicts
#   make models     all states of larger cases of the lock-free protocols' models
#   make install    PREFIX, DESTDIR; make uninstall; make clean
#   make bench-latency, bench-counts, idle-table, thrash-table, server-sim    single measurements: bench/bench.mk
#
#   DEBUG=1         no optimisation            CHECKED=1    invariants of the class, bins, and ranks of locks at every visit
#   SANITIZE=thread|address|undefined          CC=clang
#   TRAP=1          undefined behaviour is an illegal instruction
#
# Each variant builds into a folder of its own below build/, so that nothing stale is linked.

VERSION := $(shell sed -n 's/^\#define HAK_VERSION "\(.*\)".*/\1/p' src/base/config.h)

CC ?= gcc
CXX ?= g++
ifeq ($(origin CC),default)
CC := gcc
endif
DEBUG ?= 0
CHECKED ?= 0
SANITIZE ?=
TRAP ?= 0

VARIANT := $(if $(filter clang%,$(CC)),-clang)$(if $(filter 1,$(DEBUG)),-debug)$(if $(filter 1,$(CHECKED)),-checked)$(if $(SANITIZE),-$(SANITIZE))$(if $(filter 1,$(TRAP)),-trap)
BUILD := build$(if $(VARIANT),/variant$(VARIANT))

WARNINGS := -Wall -Wextra -Wshadow -Wundef -Werror
CPPFLAGS := -Iinclude -D_GNU_SOURCE
# Undefined behaviour is an illegal instruction: that needs no library, so this one still answers to malloc.
TRAP_GCC := -fsanitize=undefined -fsanitize-undefined-trap-on-error
TRAP_CLANG := -fsanitize=undefined -fsanitize-trap=undefined
trap_flags = $(if $(filter 1,$(TRAP)),$(if $(filter clang%,$(1)),$(TRAP_CLANG),$(TRAP_GCC)))
OPTIMIZE := $(if $(filter 1,$(DEBUG)),-O0,-O2)
# What clang writes beyond DWARF 4, Debian 12's valgrind does not read, and ends.
DEBUG_INFO := $(if $(filter clang%,$(CC)),-gdwarf-4,-g)
CFLAGS := -std=gnu17 $(DEBUG_INFO) $(OPTIMIZE) $(WARNINGS) $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-omit-frame-pointer) $(call trap_flags,$(CC))
CXXFLAGS := -std=c++20 -g -O2 -Wall -Wextra -Werror $(call trap_flags,$(CXX))
LIB_CFLAGS := $(CFLAGS) -fPIC -fvisibility=hidden -ftls-model=initial-exec -fexceptions -fno-plt \
	-fno-builtin-malloc -fno-semantic-interposition -fcf-protection=none -fno-stack-protector
# A program may replace some of C++'s operators: which one is in force, the linker says.
CXX_CFLAGS = $(filter-out -fno-semantic-interposition,$(LIB_CFLAGS))
# A header that comes or goes later makes another library, under another identity.
HAS_MEMCHECK := $(shell printf '\043include <valgrind/memcheck.h>\n' | $(CC) -E -x c - >/dev/null 2>&1 && echo 1)
LIB_DEFINES = -DHAK_CHECKED=$(CHECKED) -DHAK_MEMCHECK=$(if $(HAS_MEMCHECK),1,0)
# In this order: src/api/start.S says why. Not with sanitizers, whose own start comes first.
START := $(if $(SANITIZE),,$(BUILD)/start-library.o $(BUILD)/start-program.o)
LIB_DEFINES += -DHAK_START_OBJECTS=$(if $(START),1,0)
# Sanitizers bring their own malloc: there the library answers to hak_* only.
ifneq ($(SANITIZE),)
LIB_DEFINES += -DHAK_REPLACE_LIBC=0
endif

LIB_LINK = $(if $(SANITIZE),-fsanitize=$(SANITIZE)) -shared -Wl,-soname,libhakmem.so.0 \
	$(if $(SANITIZE),,-Wl,--version-script=src/api/hakmem.map) -Wl,-z,initfirst -Wl,-z,nodelete -Wl,-z,now -Wl,-z,relro

SOURCES := $(sort $(wildcard src/*.c src/*/*.c src/*/*.S src/*/*.h src/*/*.def) include/hakmem/hakmem.h)
BUILD_ID := $(shell (cat $(SOURCES) src/api/hakmem.map Makefile; $(CC) --version | head -1; echo '$(CC) $(CPPFLAGS) $(LIB_CFLAGS) $(LIB_DEFINES) $(LIB_LINK)') | sha256sum | cut -c1-16)

LIB_SO := $(BUILD)/libhakmem.so
LIB_A := $(BUILD)/libhakmem.a
# What links a test in C statically with all names of ours, the C++ ones included.
comma := ,
CXX_NAMES := $(shell grep -o '_Z[A-Za-z0-9_]*' src/api/hakmem.map)
STATIC_WITH_CXX = $(LIB_A) $(addprefix -Wl$(comma)-u$(comma),$(CXX_NAMES)) -lstdc++ -lm
TESTS :=

.PHONY: all demo check check-built bench matrix mutants install uninstall clean lint
.DELETE_ON_ERROR:

all: $(LIB_SO) $(LIB_A)

# The object is rebuilt whenever the identity changes, which covers sources, flags, this file and the compiler alike.
$(BUILD)/id/$(BUILD_ID):
	@rm -rf $(BUILD)/id && mkdir -p $(BUILD)/id && touch $@

$(BUILD)/hakmem.o: $(BUILD)/id/$(BUILD_ID)
	$(CC) $(CPPFLAGS) $(LIB_CFLAGS) $(LIB_DEFINES) -DHAK_BUILD_ID='"$(BUILD_ID)"' -c src/hakmem.c -o $@

# C++ operators: an object of their own, so that a static program in C does not pull them in.
$(BUILD)/cxx.o: $(BUILD)/id/$(BUILD_ID)
	$(CC) $(CPPFLAGS) $(CXX_CFLAGS) $(LIB_DEFINES) -c src/api/cxx.c -o $@

$(BUILD)/cxx-archive.o: $(BUILD)/id/$(BUILD_ID)
	$(CC) $(CPPFLAGS) $(CXX_CFLAGS) $(LIB_DEFINES) -DHAK_FOR_ARCHIVE=1 -c src/api/cxx.c -o $@

$(BUILD)/start-library.o $(BUILD)/start-program.o: $(BUILD)/start-%.o: $(BUILD)/id/$(BUILD_ID)
	$(CC) -DHAK_START_PROGRAM=$(if $(filter program,$*),1,0) -c src/api/start.S -o $@

CXX_SO := $(if $(SANITIZE),,$(BUILD)/cxx.o)
CXX_A := $(if $(SANITIZE),,$(BUILD)/cxx-archive.o)

$(LIB_SO): $(BUILD)/hakmem.o $(CXX_SO) $(START) scripts/check-symbols
	$(CC) $(LIB_LINK) $(BUILD)/hakmem.o $(CXX_SO) $(START) -o $@ -pthread
	@ln -sf libhakmem.so $(BUILD)/libhakmem.so.0
	$(if $(SANITIZE),,scripts/check-symbols $@)

$(LIB_A): $(BUILD)/hakmem.o $(CXX_A) $(START) scripts/check-symbols
	@rm -f $@
	$(AR) rcs $@ $(BUILD)/hakmem.o $(CXX_A) $(START)
	$(if $(SANITIZE),,scripts/check-symbols $@)

include $(wildcard cli/*.mk bench/*.mk tests/*/*.mk packaging/*.mk)

demo:
	scripts/install-packages build demo
	$(MAKE) all
	scripts/demo

# The dynamic linker takes spaces and colons in LD_PRELOAD for the ends of names.
ifneq ($(words $(subst :, ,x$(CURDIR)x)),1)
$(error hakmem's folder has a space or a colon in its path ($(CURDIR)): move it, since LD_PRELOAD takes no such path)
endif

check:
	scripts/install-packages build check
	$(MAKE) $(if $(filter -j%,$(MAKEFLAGS)),,-j2) check-built

# The longest first, or the last would run alone; three at a time, since many of them wait.
LONG_TESTS = $(filter %/lint_test.py %/model_threads_test %/model_single_test %/matrix_test.py %/matrix.py %/failure_test \
	%/refill_switches_superslab %/platforms.py %/redis_test %/gcc_test %/build_is_whole.py %/idle_test.py,$(TESTS))
check-built: export HAKMEM_LIB := $(abspath $(LIB_SO))
check-built: all $(TEST_PROGRAMS) $(TESTS)
	/usr/bin/python3 tests/run.py --jobs 3 $(foreach t,$(LONG_TESTS) $(filter-out $(LONG_TESTS),$(TESTS)),"$(t)")

clean:
	rm -rf build
