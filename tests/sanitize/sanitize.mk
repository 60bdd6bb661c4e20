# sanitize.mk - the model test and a stress under ThreadSanitizer, AddressSanitizer and UndefinedBehaviorSanitizer,
# and adds them to TESTS; `make sanitize-units` runs the unit tests under each; the tests that call malloc are in tree.mk.
# No suppressions.
#
# Sanitizers own malloc, so the library answers to hak_* only, as part of each program. They must also see memory
# come and go: so here its system is the tests' one (tests/unit/fake_os.c), which calls libc's mmap, in
# place of system calls of our own, which they cannot see. The stress is built on the real one as well, but for
# threads: reuse of unmapped addresses, unseen, looks like a race to that sanitizer.
#
# SANITIZE=... builds hold one sanitizer everywhere already; there nothing is added.

SANITIZE_CC ?= clang
SANITIZE_KINDS := thread address undefined
SANITIZE_FAKE = -DHAK_FAKE_OS='"../tests/unit/fake_os.c"'
SANITIZE_CFLAGS = $(CPPFLAGS) -std=gnu17 -g -O1 $(WARNINGS) -fno-omit-frame-pointer -fno-builtin-malloc -DHAK_REPLACE_LIBC=0
SANITIZE_DIR := $(BUILD)/tests/sanitize
SANITIZE_FLAG_thread := -fsanitize=thread
SANITIZE_FLAG_address := -fsanitize=address
SANITIZE_FLAG_undefined := -fsanitize=undefined -fno-sanitize-recover=undefined

SANITIZE_PROGRAMS := $(foreach kind,$(SANITIZE_KINDS),$(addprefix $(SANITIZE_DIR)/$(kind)/,stress_test model_threads_test))
# One thread has no races.
SANITIZE_PROGRAMS += $(foreach kind,address undefined,$(addprefix $(SANITIZE_DIR)/$(kind)/,stress_linux_test model_single_test))
SANITIZE_PROGRAMS += $(foreach kind,thread address,$(SANITIZE_DIR)/$(kind)/alone_test)
SANITIZE_PROGRAMS += $(SANITIZE_DIR)/thread/unattached_test $(SANITIZE_DIR)/undefined/outer_proc_test

ifeq ($(SANITIZE),)
TEST_PROGRAMS += $(SANITIZE_PROGRAMS)
TESTS += $(SANITIZE_PROGRAMS)
endif

.PHONY: sanitize-tests sanitize-units
sanitize-tests: $(SANITIZE_PROGRAMS)

# The unit tests under each sanitizer: apart from `make check`, which they would make minutes longer. Two are left
# out: foreign_test needs libc's own malloc, which sanitizers replace; failure_test runs for minutes there. The threads
# of deserted_test end by a system call: for such a one the sanitizer of threads waits for ever, and that of addresses finds
# its own variables in the next thread on the stack.
UNIT_SANITIZED = $(filter-out foreign_test failure_test,$(UNIT_C))
UNIT_SANITIZED_PROGRAMS = $(filter-out $(SANITIZE_DIR)/thread/deserted_test $(SANITIZE_DIR)/address/deserted_test, \
	$(foreach kind,$(SANITIZE_KINDS),$(addprefix $(SANITIZE_DIR)/$(kind)/,$(UNIT_SANITIZED))))
sanitize-units:
	$(MAKE) $(UNIT_SANITIZED_PROGRAMS)
	/usr/bin/python3 tests/run.py --jobs 2 --timeout 1200 $(UNIT_SANITIZED_PROGRAMS)

sanitize_kind = $(notdir $(patsubst %/,%,$(dir $@)))
sanitize_build = @mkdir -p $(@D) && $(SANITIZE_CC) $(SANITIZE_CFLAGS) $(SANITIZE_FLAG_$(sanitize_kind))

define SANITIZE_RULES
$(SANITIZE_DIR)/$(1)/stress_test: tests/sanitize/stress.c tests/tap.h $$(wildcard tests/unit/fake_*.c) $$(SOURCES)
	$$(sanitize_build) $$(SANITIZE_FAKE) $$< -o $$@ -pthread

$(SANITIZE_DIR)/$(1)/stress_linux_test: tests/sanitize/stress.c tests/tap.h $$(SOURCES)
	$$(sanitize_build) $$< -o $$@ -pthread

$(addprefix $(SANITIZE_DIR)/$(1)/,alone_test unattached_test outer_proc_test): $(SANITIZE_DIR)/$(1)/%_test: tests/sanitize/%.c tests/tap.h $$(SOURCES)
	$$(sanitize_build) $$< -o $$@ -pthread

$(SANITIZE_DIR)/$(1)/model_single_test: tests/model/model.c tests/model/held.h tests/tap.h $$(wildcard tests/unit/fake_*.c) $$(SOURCES)
	$$(sanitize_build) $$(SANITIZE_FAKE) -DHAK_CHECKED=1 -DMODEL_THREADS=1 -DMODEL_OPERATIONS=300000 $$< -o $$@ -pthread

$(SANITIZE_DIR)/$(1)/model_threads_test: tests/model/model.c tests/model/held.h tests/tap.h $$(wildcard tests/unit/fake_*.c) $$(SOURCES)
	$$(sanitize_build) $$(SANITIZE_FAKE) -DHAK_CHECKED=1 -DMODEL_THREADS=4 -DMODEL_OPERATIONS=200000 $$< -o $$@ -pthread

$(SANITIZE_DIR)/$(1)/%_test: tests/unit/%_test.c $$(UNIT_SOURCES)
	$$(sanitize_build) $$(SANITIZE_FAKE) -DHAK_CHECKED=1 $$< -o $$@ -lcmocka -pthread
endef
$(foreach kind,$(SANITIZE_KINDS),$(eval $(call SANITIZE_RULES,$(kind))))
