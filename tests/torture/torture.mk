# torture.mk - threads, forks and signals where they hurt. A quick version of each test is in `make check`; all of them
# at full length, with a million threads and a hundred thousand forks, are `make torture`, which takes an hour or two.
#
# Ways as in tests/bootstrap/bootstrap.mk. lto: the library's sources and the test as one program, optimised as a whole.
# archive, source: the archive or the library's source file in a dynamic program, as README says.

TORTURE_OUT := $(BUILD)/tests/torture
TORTURE_HEADERS := tests/torture/torture.h tests/bootstrap/common.h tests/own_thread.h tests/api/weak.h tests/regress/sanitized.h tests/tap.h include/hakmem/hakmem.h
TORTURE_WARNINGS := -Wall -Wextra -Wshadow -Wundef -Werror
TORTURE_CFLAGS = $(CPPFLAGS) -Itests $(CFLAGS) -pthread
TORTURE_CXXFLAGS = $(CPPFLAGS) -Itests -std=c++17 -O2 -g $(TORTURE_WARNINGS) -pthread $(call trap_flags,$(CXX))

TORTURE_C := births_test lost_threads_test cancel_test forks_test fork_handlers_test handler_forks_test frames_test coroutines_test
TORTURE_CXX := signals_test ends_test
TORTURE_DYNAMIC := plugins_test copies_test
TORTURE_PRELOAD := $(addprefix $(TORTURE_OUT)/preload/,$(TORTURE_C) $(TORTURE_CXX) $(TORTURE_DYNAMIC))
TORTURE_STATIC := $(addprefix $(TORTURE_OUT)/static/,$(TORTURE_C) $(TORTURE_CXX))
TORTURE_LTO := $(if $(filter gcc%,$(CC)),$(TORTURE_OUT)/lto/coroutines_test)
TORTURE_LINKED := $(addprefix $(TORTURE_OUT)/,archive/fork_handlers_test source/fork_handlers_test)
TORTURE_WHITE := $(TORTURE_OUT)/fork_sites_test
TORTURE_PROGRAMS := $(TORTURE_PRELOAD) $(TORTURE_STATIC) $(TORTURE_LTO) $(TORTURE_LINKED) $(TORTURE_WHITE)

# Of the quick versions: statically only what differs there.
ifeq ($(SANITIZE),)
TEST_PROGRAMS += $(TORTURE_PROGRAMS)
TESTS += $(TORTURE_PRELOAD) $(TORTURE_LTO) $(TORTURE_LINKED) $(TORTURE_WHITE) \
    $(addprefix $(TORTURE_OUT)/static/,fork_handlers_test signals_test)
endif

.PHONY: torture torture-tests
torture-tests: $(TORTURE_PROGRAMS)

torture: torture-tests
	/usr/bin/python3 tests/run.py --jobs 2 --timeout 15000 --log $(BUILD)/torture-logs \
	    $(foreach t,$(TORTURE_PROGRAMS),"$(t) --whole")

$(TORTURE_OUT)/preload/%: tests/api/preloaded.sh $(TORTURE_OUT)/plain/% $(LIB_SO)
	@mkdir -p $(@D)
	cp $< $@

# Two copies are preloaded here.
$(TORTURE_OUT)/preload/copies_test: tests/torture/copies.sh $(TORTURE_OUT)/plain/copies_test $(LIB_SO) \
    $(TORTURE_OUT)/libcopy.so $(TORTURE_OUT)/holder.so
	@mkdir -p $(@D)
	cp $< $@

$(TORTURE_OUT)/preload/plugins_test: $(TORTURE_OUT)/plugin.so

$(TORTURE_OUT)/plain/%: tests/torture/%.c $(TORTURE_HEADERS)
	@mkdir -p $(@D)
	$(CC) $(TORTURE_CFLAGS) -fPIE -o $@ $< -pie

$(TORTURE_OUT)/plain/%: tests/torture/%.cc $(TORTURE_HEADERS)
	@mkdir -p $(@D)
	$(CXX) $(TORTURE_CXXFLAGS) -fPIE -o $@ $< -pie

$(TORTURE_OUT)/static/%: tests/torture/%.c $(TORTURE_HEADERS) $(LIB_A)
	@mkdir -p $(@D)
	$(CC) $(TORTURE_CFLAGS) -DTORTURE_STATIC -o $@ $< -static $(STATIC_WITH_CXX)

$(TORTURE_OUT)/static/%: tests/torture/%.cc $(TORTURE_HEADERS) $(LIB_A)
	@mkdir -p $(@D)
	$(CXX) $(TORTURE_CXXFLAGS) -DTORTURE_STATIC -o $@ $< -static $(LIB_A)

# Not the flag -fno-builtin-malloc, nor what only a shared library needs: the compiler may do what it can.
$(TORTURE_OUT)/lto/coroutines_test: tests/torture/coroutines_test.c $(TORTURE_HEADERS) $(SOURCES)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) -Itests -std=gnu17 -g -O3 -flto=auto $(TORTURE_WARNINGS) -fno-builtin -DTORTURE_DIRECT -static \
	    $< src/hakmem.c -o $@ -pthread

TORTURE_EARLY := $(TORTURE_OUT)/libearly_handlers.so
TORTURE_LINK_EARLY = -L$(TORTURE_OUT) -learly_handlers -Wl,-rpath,'$$ORIGIN/..'

$(TORTURE_OUT)/archive/%: tests/torture/%.c $(TORTURE_HEADERS) $(LIB_A) $(TORTURE_EARLY)
	@mkdir -p $(@D)
	$(CC) $(TORTURE_CFLAGS) -DTORTURE_LINKED -fPIE -o $@ $< -pie -Wl,-u,malloc $(LIB_A) $(TORTURE_LINK_EARLY)

$(TORTURE_OUT)/source/%: tests/torture/%.c $(TORTURE_HEADERS) $(SOURCES) $(TORTURE_EARLY)
	@mkdir -p $(@D)
	$(CC) $(TORTURE_CFLAGS) -DTORTURE_LINKED -fPIE -o $@ $< src/hakmem.c -pie $(TORTURE_LINK_EARLY)

$(TORTURE_EARLY): tests/torture/early_handlers.c
	@mkdir -p $(@D)
	$(CC) $(TORTURE_CFLAGS) -fPIC -shared -o $@ $<

$(TORTURE_WHITE): tests/torture/fork_sites_test.c $(wildcard tests/regress/*.h) tests/tap.h $(SOURCES)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) -Itests $(CFLAGS) -DHAK_REPLACE_LIBC=0 -DHAK_CHECKED=1 $< -o $@ -pthread

$(TORTURE_OUT)/plugin.so: tests/torture/plugin.cc
	@mkdir -p $(@D)
	$(CXX) $(TORTURE_CXXFLAGS) -fPIC -shared -fvisibility=hidden -ftls-model=global-dynamic -o $@ $<

$(TORTURE_OUT)/holder.so: tests/torture/holder.c $(SOURCES)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(LIB_CFLAGS) -DHAK_REPLACE_LIBC=0 -shared -Wl,-Bsymbolic -Wl,-z,nodelete -o $@ $< -pthread

# The library under another name.
$(TORTURE_OUT)/libcopy.so: $(LIB_SO)
	@mkdir -p $(@D)
	$(CC) -shared -Wl,-soname,libcopy.so -Wl,--version-script=src/api/hakmem.map -Wl,-z,nodelete -Wl,-z,now \
	    -Wl,-z,relro $(BUILD)/hakmem.o $(CXX_SO) $(START) -o $@ -pthread

.SECONDARY: $(addprefix $(TORTURE_OUT)/plain/,$(TORTURE_C) $(TORTURE_CXX) $(TORTURE_DYNAMIC))
