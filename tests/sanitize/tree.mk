# tree.mk - the tests that call malloc and its kin by their own names, under the sanitizers: `make sanitize-tree`.
#
# UndefinedBehaviorSanitizer leaves malloc alone. A build with TRAP=1 needs no library of it, so it can be preloaded and
# linked as any other, and all tests run on it but those in TRAP_LEFT_OUT.
#
# The other two own malloc. So the library has other names there, and so have the tests' calls: objcopy gives each
# standard name the prefix hakmem_ in the library and in the test, after they were compiled. What libc and
# the sanitizer allocate for themselves is theirs; operator new and delete are the library's everywhere. Its system is
# tests/sanitize/visible_os.c.

TREE_CXX ?= clang++

# ---- UndefinedBehaviorSanitizer ----

# Left out: what has sanitizers of its own or is run by `make sanitize-units`; the replays of tests/fuzz, whose flags are
# their own; valgrind, which knows no trap; and a test that frees what no block can be, one byte off, where the check of
# alignment comes before the library's own.
TRAP_LEFT_OUT := $(addprefix $(BUILD)/tests/,sanitize/% unit/% fuzz/% valgrind/% regress/block_check_is_slab_relative)
# Scripts that can be told which library to run.
TRAP_SCRIPTS := tests/exhaust/% tests/limit/% tests/programs/%
TRAP_TESTS = $(filter-out $(TRAP_LEFT_OUT),$(filter $(BUILD)/% $(TRAP_SCRIPTS),$(TESTS)))

.PHONY: sanitize-tree sanitize-trap sanitize-matrix trap-tests tree-tests
sanitize-tree: sanitize-trap sanitize-matrix tree-tests

# The benchmarks of the verification matrix with the library linked in.
sanitize-matrix:
	$(MAKE) CC=$(SANITIZE_CC) SANITIZE=thread matrix-linked
	$(MAKE) CC=$(SANITIZE_CC) SANITIZE=address matrix-linked

sanitize-trap:
	$(MAKE) CC=$(SANITIZE_CC) TRAP=1 trap-tests

trap-tests: export HAKMEM_EXHAUST_BUILD := $(abspath $(BUILD))
trap-tests: export HAKMEM_LIMIT_BUILD := $(abspath $(BUILD))
trap-tests: export HAKMEM_LIB := $(abspath $(LIB_SO))
trap-tests: $(BUILD)/tests/sanitize/trap_test
	$(MAKE) all $(filter-out $(TRAP_LEFT_OUT),$(TEST_PROGRAMS))
	/usr/bin/python3 tests/run.py --jobs 2 $< $(foreach t,$(TRAP_TESTS),"$(t)")

$(BUILD)/tests/sanitize/trap_test: tests/sanitize/trap.c tests/tap.h
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) $< -o $@

# ---- ThreadSanitizer and AddressSanitizer ----

TREE_KINDS := thread address
TREE_DIR := $(BUILD)/tests/sanitize/tree
TREE_C_api := aligned_test alloc_test inspect_test limit_test realloc_test stats_test
TREE_CC_api := new_test
TREE_C_bootstrap := atfork_test first_call_test fork_test keys_test signal_test spawn_test threads_test
TREE_CC_bootstrap := exit_test
TREE_C_torture := births_test cancel_test forks_test fork_handlers_test coroutines_test frames_test
TREE_CC_torture := ends_test signals_test
TREE_C_regress := expansion_race random_mixed_survives
TREE_FOLDERS := api bootstrap torture regress

# ThreadSanitizer ends its thread in the last round of key destructors (keys_test); has a thread of its own, so that none
# of the program's is the last (exit_test); keeps signals back until the next call of libc (signal_test, signals_test,
# ends_test); and crashes in its own books where a child that was forked beside threads starts some (fork_test).
TREE_LEFT_OUT_thread := $(addprefix bootstrap/,keys_test exit_test signal_test fork_test) \
	$(addprefix torture/,signals_test ends_test)
TREE_LEFT_OUT_address :=

# These hold the library as one include.
TREE_WHITE := $(addprefix regress/,$(REGRESS_WHITE))
TREE_CHECKED := $(addprefix regress/,$(REGRESS_CHECKED)) torture/fork_sites_test

tree_names = $(TREE_WHITE) $(TREE_CHECKED) sanitize/stress \
	$(foreach folder,$(TREE_FOLDERS),$(addprefix $(folder)/,$(TREE_C_$(folder)) $(TREE_CC_$(folder))))
TREE_PROGRAMS := $(foreach kind,$(TREE_KINDS),\
	$(addprefix $(TREE_DIR)/$(kind)/,$(filter-out $(TREE_LEFT_OUT_$(kind)),$(tree_names))))
TREE_HEADERS := $(foreach folder,$(TREE_FOLDERS),$(wildcard tests/$(folder)/*.h)) tests/tap.h include/hakmem/hakmem.h

# TORTURE_STATIC: the library is part of the program, as in a static one.
TREE_FLAGS = $(CPPFLAGS) -Itests -DTORTURE_STATIC -g -O1 $(WARNINGS) -fno-omit-frame-pointer -fno-builtin-malloc \
	-fvisibility=hidden
TREE_OS := -DHAK_FAKE_OS='"../tests/sanitize/visible_os.c"'
# AddressSanitizer's own alternate stacks fall over those that a test sets.
TREE_OPTIONS := env ASAN_OPTIONS=use_sigaltstack=0
# The stress with the library's own thread, which the others hardly ever come to start.
TREE_BACKGROUND := HAKMEM_BACKGROUND=on HAKMEM_PURGE_DELAY=2
TREE_NAMES := /^(__libc_|__malloc_|mall|calloc$$|c?free$$|free_|realloc|(posix_)?memalign$$|aligned_alloc$$|p?valloc$$)/

tree-tests:
	$(MAKE) $(TREE_PROGRAMS)
	/usr/bin/python3 tests/run.py --jobs 2 --timeout 1200 \
		$(foreach t,$(TREE_PROGRAMS),"$(TREE_OPTIONS) $(if $(filter %/stress,$(t)),$(TREE_BACKGROUND)) $(t)")

define TREE_RULES
$(TREE_DIR)/$(1)/library.o: $$(SOURCES) tests/sanitize/visible_os.c
	@mkdir -p $$(@D)
	$(SANITIZE_CC) $$(TREE_FLAGS) -std=gnu17 $(SANITIZE_FLAG_$(1)) $$(TREE_OS) -c src/hakmem.c -o $$@.raw
	nm -g --defined-only $$@.raw | awk '$$$$3 ~ $$(TREE_NAMES) { print $$$$3, "hakmem_" $$$$3 }' > $$(@D)/names
	echo 'strdup hakmem_strdup' >> $$(@D)/names
	objcopy --redefine-syms=$$(@D)/names $$@.raw $$@

$(TREE_DIR)/$(1)/cxx.o: $$(SOURCES)
	@mkdir -p $$(@D)
	$(SANITIZE_CC) $$(TREE_FLAGS) -std=gnu17 $(SANITIZE_FLAG_$(1)) -c src/api/cxx.c -o $$@

$(TREE_DIR)/$(1)/runtime.o: tests/sanitize/runtime.c $(TREE_DIR)/$(1)/library.o
	$(SANITIZE_CC) $$(TREE_FLAGS) -std=gnu17 -c $$< -o $$@.raw
	objcopy --redefine-syms=$$(@D)/names $$@.raw $$@

$(TREE_CHECKED:%=$(TREE_DIR)/$(1)/%): TREE_DEFINES := -DHAK_CHECKED=1
$(addprefix $(TREE_DIR)/$(1)/,$(TREE_WHITE) $(TREE_CHECKED) sanitize/stress): $(TREE_DIR)/$(1)/%: tests/%.c \
    $$(TREE_HEADERS) $$(SOURCES) tests/sanitize/visible_os.c tests/sanitize/runtime.c
	@mkdir -p $$(@D)
	$(SANITIZE_CC) $$(TREE_FLAGS) -std=gnu17 $(SANITIZE_FLAG_$(1)) $$(TREE_OS) -DHAK_REPLACE_LIBC=0 $$(TREE_DEFINES) \
		$$< tests/sanitize/runtime.c -o $$@ -pthread

$(TREE_DIR)/$(1)/%: tests/%.c $$(TREE_HEADERS) $(addprefix $(TREE_DIR)/$(1)/,library.o cxx.o runtime.o)
	@mkdir -p $$(@D)
	$(SANITIZE_CC) $$(TREE_FLAGS) -std=gnu17 $(SANITIZE_FLAG_$(1)) -c $$< -o $$@.o
	objcopy --redefine-syms=$(TREE_DIR)/$(1)/names $$@.o
	$(SANITIZE_CC) $(SANITIZE_FLAG_$(1)) $$@.o $$(filter %.o,$$^) -o $$@ -pthread

$(TREE_DIR)/$(1)/%: tests/%.cc $$(TREE_HEADERS) $(addprefix $(TREE_DIR)/$(1)/,library.o cxx.o runtime.o)
	@mkdir -p $$(@D)
	$(TREE_CXX) $$(TREE_FLAGS) -std=c++17 -fsized-deallocation $(SANITIZE_FLAG_$(1)) -c $$< -o $$@.o
	objcopy --redefine-syms=$(TREE_DIR)/$(1)/names $$@.o
	$(SANITIZE_CC) $(SANITIZE_FLAG_$(1)) $$@.o $$(filter %.o,$$^) -o $$@ -pthread -lstdc++ -lm
endef
$(foreach kind,$(TREE_KINDS),$(eval $(call TREE_RULES,$(kind))))
