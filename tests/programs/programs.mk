# programs.mk - real programs on hakmem, their results compared with those on the system's allocator.

PROGRAM_TESTS := $(sort $(wildcard tests/programs/*_test))
TESTS += $(PROGRAM_TESTS)

build/tests/programs/witness.so: tests/programs/witness.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(filter-out -fsanitize=%,$(CFLAGS)) -fPIC -shared -o $@ $< -ldl

# What must exist before the tests above can run.
TEST_DEPS += build/tests/programs/witness.so
