# abuse.mk - builds tests/abuse and adds its tests to TESTS.
#
# abuse_test.py runs the misuses, so they are no TESTS of their own.

ABUSE_C := $(filter-out foreign_test,$(basename $(notdir $(wildcard tests/abuse/*.c))))
ABUSE_HEADERS := tests/abuse/abuse.h tests/api/weak.h tests/tap.h include/hakmem/hakmem.h
ABUSE_CFLAGS = $(CPPFLAGS) -Iinclude -Itests -D_GNU_SOURCE $(CFLAGS) -fPIE -pthread
ABUSE_PROGRAMS := $(foreach way,preload static,$(addprefix $(BUILD)/tests/abuse/$(way)/,$(ABUSE_C)))
ABUSE_FOREIGN := $(foreach way,preload shared,$(BUILD)/tests/abuse/$(way)/foreign_test)
ABUSE_SCRIPT := $(BUILD)/tests/abuse/abuse_test.py

# As in api.mk: with sanitizers there is no malloc of ours to test.
ifeq ($(SANITIZE),)
TEST_PROGRAMS += $(ABUSE_PROGRAMS) $(ABUSE_FOREIGN) $(ABUSE_SCRIPT)
TESTS += $(ABUSE_FOREIGN) $(ABUSE_SCRIPT)
endif

.PHONY: abuse-tests
abuse-tests: $(ABUSE_PROGRAMS) $(ABUSE_FOREIGN) $(ABUSE_SCRIPT)

# A copy beside the programs: it finds them from where it lies.
$(ABUSE_SCRIPT): tests/abuse/abuse_test.py
	@mkdir -p $(@D)
	cp $< $@

$(BUILD)/tests/abuse/preload/%: tests/api/preloaded.sh $(BUILD)/tests/abuse/plain/% $(LIB_SO)
	@mkdir -p $(@D)
	cp $< $@

$(BUILD)/tests/abuse/plain/%: tests/abuse/%.c $(ABUSE_HEADERS)
	@mkdir -p $(@D)
	$(CC) $(ABUSE_CFLAGS) -o $@ $< -pie

$(BUILD)/tests/abuse/shared/%: tests/abuse/%.c $(ABUSE_HEADERS) $(LIB_SO)
	@mkdir -p $(@D)
	$(CC) $(ABUSE_CFLAGS) -o $@ $< -pie -L$(BUILD) -lhakmem -Wl,-rpath,'$$ORIGIN/../../..'

$(BUILD)/tests/abuse/static/%: tests/abuse/%.c $(ABUSE_HEADERS) $(LIB_A)
	@mkdir -p $(@D)
	$(CC) $(ABUSE_CFLAGS) -o $@ $< -static $(LIB_A)

.SECONDARY: $(addprefix $(BUILD)/tests/abuse/plain/,$(ABUSE_C) foreign_test)
