# limit.mk - a program at the limits of the process and of its control group, with the library preloaded.

# A library built with a sanitizer has no malloc to preload.
ifeq ($(SANITIZE),)
TEST_PROGRAMS += $(BUILD)/tests/limit/at_limit
TESTS += tests/limit/limit_test tests/limit/container_test
check-built: export HAKMEM_LIMIT_BUILD := $(abspath $(BUILD))
endif

# Scripts have no recipe, but they need what they run.
tests/limit/limit_test tests/limit/container_test: $(BUILD)/tests/limit/at_limit $(LIB_SO) $(CLI)

$(BUILD)/tests/limit/at_limit: tests/limit/at_limit.c tests/tap.h
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) -Itests $(CFLAGS) $< -o $@ -pthread
