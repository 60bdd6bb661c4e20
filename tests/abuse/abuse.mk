# abuse.mk - builds tests/abuse and adds its tests to TESTS.
#
# abuse_test.py runs the misuses, so they are no TESTS of their own; make check builds them with
# foreign_test, which is.

ABUSE_C := $(filter-out foreign_test,$(basename $(notdir $(wildcard tests/abuse/*.c))))
ABUSE_HEADERS := tests/abuse/abuse.h tests/api/weak.h tests/tap.h include/hakmem/hakmem.h
ABUSE_CFLAGS = $(CPPFLAGS) -Iinclude -Itests -D_GNU_SOURCE $(CFLAGS) -fPIE -pthread
ABUSE_PROGRAMS := $(foreach way,preload static,$(addprefix build/tests/abuse/$(way)/,$(ABUSE_C)))
TESTS += build/tests/abuse/preload/foreign_test build/tests/abuse/shared/foreign_test tests/abuse/abuse_test.py

.PHONY: abuse-tests
abuse-tests: $(ABUSE_PROGRAMS) build/tests/abuse/preload/foreign_test build/tests/abuse/shared/foreign_test
build/tests/abuse/preload/foreign_test: | $(ABUSE_PROGRAMS)

build/tests/abuse/preload/%: tests/api/preloaded.sh build/tests/abuse/plain/% $(LIB_SO)
	@mkdir -p $(@D)
	cp $< $@

build/tests/abuse/plain/%: tests/abuse/%.c $(ABUSE_HEADERS)
	@mkdir -p $(@D)
	$(CC) $(ABUSE_CFLAGS) -o $@ $< -pie

build/tests/abuse/shared/%: tests/abuse/%.c $(ABUSE_HEADERS) $(LIB_SO)
	@mkdir -p $(@D)
	$(CC) $(ABUSE_CFLAGS) -o $@ $< -pie -Lbuild -lhakmem -Wl,-rpath,'$$ORIGIN/../../..'

build/tests/abuse/static/%: tests/abuse/%.c $(ABUSE_HEADERS) $(LIB_A)
	@mkdir -p $(@D)
	$(CC) $(ABUSE_CFLAGS) -o $@ $< -static $(LIB_A)

.SECONDARY: $(addprefix build/tests/abuse/plain/,$(ABUSE_C) foreign_test)
