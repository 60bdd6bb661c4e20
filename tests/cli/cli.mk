# cli.mk - the command-line tool, on real processes.

CLI_TEST_PROGRAMS := $(addprefix $(BUILD)/tests/cli/,known known_static known_archive known_source known_own_names begun busy corrupt other_build own_malloc deepbind calls_malloc.so shrinks.so plain_static)

# The tool reads a stock library; and where ncurses' headers are missing there is no tool.
ifneq ($(CLI),)
TEST_PROGRAMS += $(CLI_TEST_PROGRAMS) $(CLI)
ifeq ($(BUILD),build)
TESTS += tests/cli/cli_test.py tests/cli/figures_test.py
endif
endif
ifeq ($(SANITIZE),)
TEST_PROGRAMS += $(BUILD)/tests/cli/process_test
TESTS += $(BUILD)/tests/cli/process_test
endif

.PHONY: cli-tests
cli-tests: $(CLI_TEST_PROGRAMS) $(BUILD)/tests/cli/process_test $(CLI)

$(BUILD)/tests/cli/%: tests/cli/%.c include/hakmem/hakmem.h $(LIB_SO)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -pthread -o $@ $< -L$(BUILD) -lhakmem -Wl,-rpath,'$$ORIGIN/../..'

$(BUILD)/tests/cli/known_static: tests/cli/known.c include/hakmem/hakmem.h $(LIB_A)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -pthread -o $@ $< -static $(LIB_A) -s

# Its own copy of the library comes first, whatever is preloaded.
$(BUILD)/tests/cli/known_archive: tests/cli/known.c include/hakmem/hakmem.h $(LIB_A)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -pthread -o $@ $< $(LIB_A) -rdynamic

# As README says: the source file, under the build of the tool.
$(BUILD)/tests/cli/known_source: tests/cli/known.c $(SOURCES) $(CLI)
	@mkdir -p $(@D)
	$(CC) -std=gnu17 -D_GNU_SOURCE -DHAK_BUILD_ID="\"$$($(CLI) --version | cut -d' ' -f4)\"" -O2 -Iinclude $< src/hakmem.c -o $@

# The same with hakmem beside libc's malloc.
$(BUILD)/tests/cli/known_own_names: tests/cli/known.c $(SOURCES) $(CLI)
	@mkdir -p $(@D)
	$(CC) -std=gnu17 -D_GNU_SOURCE -DHAK_BUILD_ID="\"$$($(CLI) --version | cut -d' ' -f4)\"" -DHAK_REPLACE_LIBC=0 -O2 -Iinclude $< src/hakmem.c -o $@

$(BUILD)/tests/cli/corrupt: $(BUILD)/id/$(BUILD_ID)

$(BUILD)/tests/cli/other_build $(BUILD)/tests/cli/own_malloc $(BUILD)/tests/cli/deepbind: $(BUILD)/tests/cli/%: tests/cli/%.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -o $@ $<

$(BUILD)/tests/cli/plain_static: tests/cli/deepbind.c
	@mkdir -p $(@D)
	printf 'int main(void) { return 0; }' | $(CC) -x c - -static -o $@

# A part of the tool.
$(BUILD)/tests/cli/process_test: tests/cli/process_test.c cli/process.c cli/text.c $(CLI_HEADERS) tests/tap.h
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) -Itests $(CFLAGS) -pthread -o $@ $<

$(BUILD)/tests/cli/calls_malloc.so $(BUILD)/tests/cli/shrinks.so: $(BUILD)/tests/cli/%.so: tests/cli/%.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -fPIC -shared -Wl,-z,now -o $@ $<
