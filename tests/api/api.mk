# api.mk - builds tests/api and adds its tests to TESTS.
#
# Each program is built in four ways: plain (run with the library preloaded, by a copy of preloaded.sh),
# linked with the shared library, -static and -static-pie.

API_C := $(basename $(notdir $(wildcard tests/api/*_test.c)))
API_CXX := $(basename $(notdir $(wildcard tests/api/*_test.cc)))
API_REPORT := report
API_WAYS := preload shared static static-pie
API_HEADERS := tests/api/calls.h tests/api/weak.h tests/regress/sanitized.h tests/tap.h include/hakmem/hakmem.h

API_WARNINGS := -Wall -Wextra -Wshadow -Wundef -Werror
API_CFLAGS = $(CPPFLAGS) -Iinclude -Itests -D_GNU_SOURCE $(CFLAGS) -fPIE -pthread
API_CXXFLAGS = $(CPPFLAGS) -Iinclude -Itests -std=c++17 -O2 -g $(API_WARNINGS) -fPIE -pthread -fsized-deallocation $(call trap_flags,$(CXX))

API_SHARED_LINK = -pie -L$(BUILD) -Wl,--no-as-needed -lhakmem -Wl,-rpath,'$$ORIGIN/../../..'

API_ALL := $(API_C) $(API_CXX) $(API_REPORT)
API_PROGRAMS := $(foreach way,$(API_WAYS),$(addprefix $(BUILD)/tests/api/$(way)/,$(API_ALL)))
API_SCRIPT := $(BUILD)/tests/api/report_test.py

# Sanitizers bring their own malloc, and the library then answers to hak_* only: nothing to test here.
ifeq ($(SANITIZE),)
TEST_PROGRAMS += $(API_PROGRAMS) $(API_SCRIPT)
TESTS += $(filter-out %/$(API_REPORT),$(API_PROGRAMS)) $(API_SCRIPT)
endif

.PHONY: api-tests
api-tests: $(API_PROGRAMS) $(API_SCRIPT)

# It gives all functions the same false type. Only gcc sees that, and has the warning, when it optimises whole programs.
$(BUILD)/tests/api/%/names_test: API_CFLAGS += $(if $(findstring clang,$(CC)),,-Wno-lto-type-mismatch)

# A preloaded library sees the operators of a program only if they are exported. The linker does that by itself where a
# C++ library is linked that has them too.
$(BUILD)/tests/api/plain/operators_alone_test: API_CFLAGS += -rdynamic

# A copy beside the programs: it finds them from where it lies.
$(API_SCRIPT): tests/api/report_test.py
	@mkdir -p $(@D)
	cp $< $@

$(BUILD)/tests/api/preload/%: tests/api/preloaded.sh $(BUILD)/tests/api/plain/% $(LIB_SO)
	@mkdir -p $(@D)
	cp $< $@

$(BUILD)/tests/api/plain/%: tests/api/%.c $(API_HEADERS)
	@mkdir -p $(@D)
	$(CC) $(API_CFLAGS) -o $@ $< -pie

$(BUILD)/tests/api/plain/%: tests/api/%.cc $(API_HEADERS)
	@mkdir -p $(@D)
	$(CXX) $(API_CXXFLAGS) -o $@ $< -pie

$(BUILD)/tests/api/shared/%: tests/api/%.c $(API_HEADERS) $(LIB_SO)
	@mkdir -p $(@D)
	$(CC) $(API_CFLAGS) -o $@ $< $(API_SHARED_LINK)

$(BUILD)/tests/api/shared/%: tests/api/%.cc $(API_HEADERS) $(LIB_SO)
	@mkdir -p $(@D)
	$(CXX) $(API_CXXFLAGS) -o $@ $< $(API_SHARED_LINK)

$(BUILD)/tests/api/static/%: tests/api/%.c $(API_HEADERS) $(LIB_A)
	@mkdir -p $(@D)
	$(CC) $(API_CFLAGS) -o $@ $< -static $(STATIC_WITH_CXX)

$(BUILD)/tests/api/static/%: tests/api/%.cc $(API_HEADERS) $(LIB_A)
	@mkdir -p $(@D)
	$(CXX) $(API_CXXFLAGS) -o $@ $< -static $(LIB_A)

$(BUILD)/tests/api/static-pie/%: tests/api/%.c $(API_HEADERS) $(LIB_A)
	@mkdir -p $(@D)
	$(CC) $(API_CFLAGS) -o $@ $< -static-pie $(STATIC_WITH_CXX)

$(BUILD)/tests/api/static-pie/%: tests/api/%.cc $(API_HEADERS) $(LIB_A)
	@mkdir -p $(@D)
	$(CXX) $(API_CXXFLAGS) -o $@ $< -static-pie $(LIB_A)

# Pattern rules chain these; without this, make would delete them as intermediate files.
.SECONDARY: $(addprefix $(BUILD)/tests/api/plain/,$(API_ALL))
