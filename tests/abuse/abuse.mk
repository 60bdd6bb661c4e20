# abuse.mk - builds tests/abuse and adds its tests to TESTS.
#
# abuse_test.py runs the misuses, so they are no TESTS of their own. Those that call C++ operators are not linked
# statically: that would take a program in C++.

ABUSE_TESTS := foreign_test deepbind_test outside_break_test late_test
ABUSE_CXX := delete_sized_more delete_sized_more_large
ABUSE_C := $(filter-out $(ABUSE_TESTS) deepbind_plugin,$(basename $(notdir $(wildcard tests/abuse/*.c))))
ABUSE_HEADERS := tests/abuse/abuse.h tests/api/weak.h tests/tap.h include/hakmem/hakmem.h
ABUSE_CFLAGS = $(CPPFLAGS) -Iinclude -Itests -D_GNU_SOURCE $(CFLAGS) -fPIE -pthread
ABUSE_PROGRAMS := $(addprefix $(BUILD)/tests/abuse/preload/,$(ABUSE_C)) \
    $(addprefix $(BUILD)/tests/abuse/static/,$(filter-out $(ABUSE_CXX),$(ABUSE_C)))
ABUSE_PLUGIN := $(BUILD)/tests/abuse/deepbind_plugin.so
ABUSE_FOREIGN := $(foreach way,preload shared,$(addprefix $(BUILD)/tests/abuse/$(way)/,foreign_test deepbind_test \
    outside_break_test)) \
    $(BUILD)/tests/abuse/plain/late_test
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

$(ABUSE_PLUGIN): tests/abuse/deepbind_plugin.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -fPIC -shared -o $@ $<

$(BUILD)/tests/abuse/preload/deepbind_test $(BUILD)/tests/abuse/shared/deepbind_test: | $(ABUSE_PLUGIN)
$(BUILD)/tests/abuse/plain/late_test: | $(LIB_SO)

$(BUILD)/tests/abuse/preload/%: tests/api/preloaded.sh $(BUILD)/tests/abuse/plain/% $(LIB_SO)
	@mkdir -p $(@D)
	cp $< $@

$(BUILD)/tests/abuse/plain/%: tests/abuse/%.c $(ABUSE_HEADERS)
	@mkdir -p $(@D)
	$(CC) $(ABUSE_CFLAGS) -o $@ $< -pie

$(BUILD)/tests/abuse/shared/%: tests/abuse/%.c $(ABUSE_HEADERS) $(LIB_SO)
	@mkdir -p $(@D)
	$(CC) $(ABUSE_CFLAGS) -o $@ $< -pie -L$(BUILD) -Wl,--no-as-needed -lhakmem -Wl,-rpath,'$$ORIGIN/../../..'

$(BUILD)/tests/abuse/static/%: tests/abuse/%.c $(ABUSE_HEADERS) $(LIB_A)
	@mkdir -p $(@D)
	$(CC) $(ABUSE_CFLAGS) -o $@ $< -static $(LIB_A)

.SECONDARY: $(addprefix $(BUILD)/tests/abuse/plain/,$(ABUSE_C) $(ABUSE_TESTS))
