# programs.mk - the runner's own test, and real programs on hakmem, their results compared with those on
# the system's allocator.

TESTS += tests/run_test.py

PROGRAM_WITNESS := build/tests/programs/witness.so

# A library built with a sanitizer has no malloc to preload.
ifeq ($(SANITIZE),)
TESTS += $(sort $(wildcard tests/programs/*_test))
TEST_PROGRAMS += $(PROGRAM_WITNESS)
endif

$(PROGRAM_WITNESS): tests/programs/witness.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(filter-out -fsanitize=%,$(CFLAGS)) -fPIC -shared -o $@ $<
