# valgrind.mk - programs on the library under memcheck. Part of `make check` where valgrind's header is installed, as the
# library needs it to tell memcheck anything.

VALGRIND_OUT := $(BUILD)/tests/valgrind
VALGRIND_PROGRAMS := $(addprefix $(VALGRIND_OUT)/,plain own static)
VALGRIND_BUILD = @mkdir -p $(@D) && $(CC) $(CPPFLAGS) $(CFLAGS) -fno-builtin $<

# A library built with a sanitizer has no malloc to preload, and the two do not go together.
ifeq ($(SANITIZE),)
ifneq ($(wildcard /usr/include/valgrind/memcheck.h),)
TEST_PROGRAMS += $(VALGRIND_PROGRAMS)
TESTS += $(VALGRIND_OUT)/memcheck_test
endif
endif

$(VALGRIND_OUT)/memcheck_test: tests/valgrind/memcheck_test.py $(VALGRIND_PROGRAMS) $(LIB_SO)
	printf '#!/bin/sh\nexec $(abspath $<) $(abspath $(BUILD))\n' > $@
	chmod +x $@

$(VALGRIND_OUT)/plain: tests/valgrind/blocks.c
	$(VALGRIND_BUILD) -o $@ -pthread

$(VALGRIND_OUT)/own: tests/valgrind/blocks.c $(LIB_A)
	$(VALGRIND_BUILD) -DOWN_NAMES -o $@ $(LIB_A) -pthread

$(VALGRIND_OUT)/static: tests/valgrind/blocks.c $(LIB_A)
	$(VALGRIND_BUILD) -static -o $@ $(LIB_A) -pthread
