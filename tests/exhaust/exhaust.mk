# exhaust.mk - the system refuses: limits of the process, the most mappings that it may have, seccomp filters, and calls
# that strace makes fail. A short form in `make check`, all of it by `make exhaust` (the better part of an hour).

EXHAUST_C := limits_test lowered_test mappings_test growth_test filters_test
EXHAUST_WAYS := preload static
EXHAUST_PROGRAMS := $(foreach way,$(EXHAUST_WAYS),$(addprefix $(BUILD)/tests/exhaust/$(way)/,$(EXHAUST_C)))
EXHAUST_PROGRAMS += $(BUILD)/tests/exhaust/plain/unlisted_test # has the layer in it
UNIT_EXHAUST = $(BUILD)/tests/unit/failure_pairs_test
EXHAUST_SCRIPTS := tests/exhaust/inject_test.py tests/exhaust/calls_test.py
EXHAUST_HEADERS := $(wildcard tests/exhaust/*.h) tests/bootstrap/common.h tests/own_thread.h tests/api/weak.h tests/tap.h include/hakmem/hakmem.h
EXHAUST_CFLAGS = $(CPPFLAGS) -Iinclude -Itests -D_GNU_SOURCE $(CFLAGS) -fPIE -pthread

# As in api.mk: with sanitizers there is no malloc of ours to test.
ifeq ($(SANITIZE),)
TEST_PROGRAMS += $(EXHAUST_PROGRAMS)
TESTS += $(EXHAUST_PROGRAMS) $(EXHAUST_SCRIPTS)
check-built: export HAKMEM_EXHAUST_BUILD := $(abspath $(BUILD))
endif

# Scripts have no recipe, but they need what they run.
$(EXHAUST_SCRIPTS): $(EXHAUST_PROGRAMS) $(LIB_SO)

.PHONY: exhaust exhaust-tests
exhaust-tests: $(EXHAUST_PROGRAMS)
exhaust: export HAKMEM_EXHAUST_WHOLE := 1
exhaust: export HAKMEM_EXHAUST_BUILD := $(abspath $(BUILD))
exhaust: all $(EXHAUST_PROGRAMS) $(UNIT_EXHAUST)
	/usr/bin/python3 tests/run.py --jobs 2 --timeout 7200 $(UNIT_EXHAUST) $(EXHAUST_PROGRAMS) $(EXHAUST_SCRIPTS)

$(BUILD)/tests/exhaust/preload/%: tests/api/preloaded.sh $(BUILD)/tests/exhaust/plain/% $(LIB_SO)
	@mkdir -p $(@D)
	cp $< $@

$(BUILD)/tests/exhaust/plain/unlisted_test: $(wildcard src/os/*)

$(BUILD)/tests/exhaust/plain/%: tests/exhaust/%.c $(EXHAUST_HEADERS)
	@mkdir -p $(@D)
	$(CC) $(EXHAUST_CFLAGS) -o $@ $< -pie

$(BUILD)/tests/exhaust/static/%: tests/exhaust/%.c $(EXHAUST_HEADERS) $(LIB_A)
	@mkdir -p $(@D)
	$(CC) $(EXHAUST_CFLAGS) -o $@ $< -static $(LIB_A)

.SECONDARY: $(addprefix $(BUILD)/tests/exhaust/plain/,$(EXHAUST_C))
