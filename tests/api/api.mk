# api.mk - builds tests/api and adds its tests to TESTS.
#
# Each program is built in four ways: plain (run with the library preloaded, by a copy of preloaded.sh),
# linked with the shared library, -static and -static-pie.

API_C := $(basename $(notdir $(wildcard tests/api/*_test.c)))
API_CXX := $(basename $(notdir $(wildcard tests/api/*_test.cc)))
API_REPORT := report
API_WAYS := preload shared static static-pie
API_HEADERS := tests/api/calls.h tests/api/weak.h tests/tap.h include/hakmem/hakmem.h

API_WARNINGS := -Wall -Wextra -Wshadow -Wundef -Werror
API_CFLAGS = $(CPPFLAGS) -Iinclude -Itests -D_GNU_SOURCE $(CFLAGS) -fPIE -pthread
API_CXXFLAGS = $(CPPFLAGS) -Iinclude -Itests -std=c++17 -O2 -g $(API_WARNINGS) -fPIE -pthread -fsized-deallocation

API_SHARED_LINK = -pie -Lbuild -lhakmem -Wl,-rpath,'$$ORIGIN/../../..'

API_ALL := $(API_C) $(API_CXX) $(API_REPORT)
API_PROGRAMS := $(foreach way,$(API_WAYS),$(addprefix build/tests/api/$(way)/,$(API_ALL)))
TESTS += $(filter-out %/$(API_REPORT),$(API_PROGRAMS)) tests/api/report_test.py

.PHONY: api-tests
api-tests: $(API_PROGRAMS)
# report_test.py runs these; whoever builds the TESTS builds them with the first of its programs.
build/tests/api/preload/names_test: | $(filter %/$(API_REPORT),$(API_PROGRAMS))

build/tests/api/preload/%: tests/api/preloaded.sh build/tests/api/plain/% $(LIB_SO)
	@mkdir -p $(@D)
	cp $< $@

build/tests/api/plain/%: tests/api/%.c $(API_HEADERS)
	@mkdir -p $(@D)
	$(CC) $(API_CFLAGS) -o $@ $< -pie

build/tests/api/plain/%: tests/api/%.cc $(API_HEADERS)
	@mkdir -p $(@D)
	$(CXX) $(API_CXXFLAGS) -o $@ $< -pie

build/tests/api/shared/%: tests/api/%.c $(API_HEADERS) $(LIB_SO)
	@mkdir -p $(@D)
	$(CC) $(API_CFLAGS) -o $@ $< $(API_SHARED_LINK)

build/tests/api/shared/%: tests/api/%.cc $(API_HEADERS) $(LIB_SO)
	@mkdir -p $(@D)
	$(CXX) $(API_CXXFLAGS) -o $@ $< $(API_SHARED_LINK)

build/tests/api/static/%: tests/api/%.c $(API_HEADERS) $(LIB_A)
	@mkdir -p $(@D)
	$(CC) $(API_CFLAGS) -o $@ $< -static $(LIB_A)

build/tests/api/static/%: tests/api/%.cc $(API_HEADERS) $(LIB_A)
	@mkdir -p $(@D)
	$(CXX) $(API_CXXFLAGS) -o $@ $< -static $(LIB_A)

build/tests/api/static-pie/%: tests/api/%.c $(API_HEADERS) $(LIB_A)
	@mkdir -p $(@D)
	$(CC) $(API_CFLAGS) -o $@ $< -static-pie $(LIB_A)

build/tests/api/static-pie/%: tests/api/%.cc $(API_HEADERS) $(LIB_A)
	@mkdir -p $(@D)
	$(CXX) $(API_CXXFLAGS) -o $@ $< -static-pie $(LIB_A)

# Pattern rules chain these; without this, make would delete them as intermediate files.
.SECONDARY: $(addprefix build/tests/api/plain/,$(API_ALL))
