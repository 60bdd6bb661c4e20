# bootstrap.mk - builds tests/bootstrap and adds its tests to TESTS.
#
# Ways as in tests/api/api.mk; dlopen_test, interposed_test and unload_test bring the library in by themselves
# and run plainly, those of BOOTSTRAP_DYNAMIC need a dynamic linker; fork_test is slow, and two ways show what there is to see.

BOOTSTRAP_PLAIN := dlopen_test interposed_test unload_test
BOOTSTRAP_DYNAMIC := plugin_test end_fork_test loading_test local_cxx_test own_malloc_test
BOOTSTRAP_SLOW := fork_test
BOOTSTRAP_C := $(filter-out $(BOOTSTRAP_PLAIN) $(BOOTSTRAP_DYNAMIC) $(BOOTSTRAP_SLOW),$(basename $(notdir $(wildcard tests/bootstrap/*_test.c))))
BOOTSTRAP_CXX := $(basename $(notdir $(wildcard tests/bootstrap/*_test.cc)))
BOOTSTRAP_WAYS := preload shared static static-pie
BOOTSTRAP_HEADERS := tests/bootstrap/common.h tests/bootstrap/loading.h tests/bootstrap/workers.h tests/own_thread.h tests/api/weak.h tests/regress/sanitized.h tests/tap.h include/hakmem/hakmem.h

BOOTSTRAP_WARNINGS := -Wall -Wextra -Wshadow -Wundef -Werror
BOOTSTRAP_CFLAGS = $(CPPFLAGS) -Iinclude -Itests -D_GNU_SOURCE $(CFLAGS) -fPIE -pthread
BOOTSTRAP_CXXFLAGS = $(CPPFLAGS) -Iinclude -Itests -std=c++17 -O2 -g $(BOOTSTRAP_WARNINGS) -fPIE -pthread $(call trap_flags,$(CXX))
BOOTSTRAP_SHARED_LINK = -pie -L$(BUILD) -Wl,--no-as-needed -lhakmem -Wl,-rpath,'$$ORIGIN/../../..'

BOOTSTRAP_PROGRAMS := \
    $(foreach way,$(BOOTSTRAP_WAYS),$(addprefix $(BUILD)/tests/bootstrap/$(way)/,$(BOOTSTRAP_C) $(BOOTSTRAP_CXX))) \
    $(foreach way,preload shared,$(addprefix $(BUILD)/tests/bootstrap/$(way)/,$(BOOTSTRAP_DYNAMIC))) \
    $(foreach way,preload static,$(addprefix $(BUILD)/tests/bootstrap/$(way)/,$(BOOTSTRAP_SLOW))) \
    $(addprefix $(BUILD)/tests/bootstrap/plain/,$(BOOTSTRAP_PLAIN))

# As in api.mk: with sanitizers there is no malloc of ours to test.
ifeq ($(SANITIZE),)
TEST_PROGRAMS += $(BOOTSTRAP_PROGRAMS)
TESTS += $(BOOTSTRAP_PROGRAMS)
endif

.PHONY: bootstrap-tests
bootstrap-tests: $(BOOTSTRAP_PROGRAMS)

BOOTSTRAP_LIBRARIES := $(addprefix $(BUILD)/tests/bootstrap/,$(addsuffix .so,alloc_on_load fork_on_unload calling_interposer waiting_plugin aborting_allocator))
$(BOOTSTRAP_LIBRARIES): $(BUILD)/tests/bootstrap/%.so: tests/bootstrap/%.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) -Iinclude -Itests -D_GNU_SOURCE $(CFLAGS) -fPIC -shared -o $@ $< -pthread

$(BUILD)/tests/bootstrap/throwing_plugin.so: tests/bootstrap/throwing_plugin.cc
	@mkdir -p $(@D)
	$(CXX) $(BOOTSTRAP_CXXFLAGS) -fPIC -shared -o $@ $<

$(BUILD)/tests/bootstrap/throwing_plugin_static.so: tests/bootstrap/throwing_plugin.cc
	@mkdir -p $(@D)
	$(CXX) $(BOOTSTRAP_CXXFLAGS) -fPIC -shared -static-libstdc++ -static-libgcc -o $@ $<

# Which must stay mapped without the linker's -z nodelete.
$(BUILD)/tests/bootstrap/embeds_source.so: tests/bootstrap/embedding_plugin.c $(SOURCES)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -fPIC -DEMBEDS_SOURCE -DHAK_REPLACE_LIBC=0 -shared -o $@ $< -pthread

$(BUILD)/tests/bootstrap/embeds_archive.so: tests/bootstrap/embedding_plugin.c $(LIB_A)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -fPIC -shared -o $@ $< $(LIB_A) -pthread

$(BUILD)/tests/bootstrap/hides_archive.so: tests/bootstrap/embedding_plugin.c $(LIB_A)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -fPIC -shared -Wl,--exclude-libs,ALL -o $@ $< $(LIB_A) -pthread

$(BUILD)/tests/bootstrap/preload/plugin_test $(BUILD)/tests/bootstrap/shared/plugin_test: | $(BUILD)/tests/bootstrap/alloc_on_load.so
$(BUILD)/tests/bootstrap/preload/end_fork_test $(BUILD)/tests/bootstrap/shared/end_fork_test: | $(BUILD)/tests/bootstrap/fork_on_unload.so
$(foreach way,preload shared,$(addprefix $(BUILD)/tests/bootstrap/$(way)/,loading_test local_cxx_test)): | $(BUILD)/tests/bootstrap/waiting_plugin.so
$(foreach way,preload shared,$(BUILD)/tests/bootstrap/$(way)/local_cxx_test): | $(BUILD)/tests/bootstrap/throwing_plugin.so $(BUILD)/tests/bootstrap/throwing_plugin_static.so
$(BUILD)/tests/bootstrap/plain/dlopen_test: | $(LIB_SO)
$(BUILD)/tests/bootstrap/plain/unload_test: | $(addprefix $(BUILD)/tests/bootstrap/,embeds_source.so embeds_archive.so hides_archive.so)
$(BUILD)/tests/bootstrap/plain/interposed_test: | $(BUILD)/tests/bootstrap/calling_interposer.so $(BUILD)/tests/bootstrap/aborting_allocator.so $(LIB_SO)

$(BUILD)/tests/bootstrap/preload/%: tests/api/preloaded.sh $(BUILD)/tests/bootstrap/plain/% $(LIB_SO)
	@mkdir -p $(@D)
	cp $< $@

$(BUILD)/tests/bootstrap/plain/%: tests/bootstrap/%.c $(BOOTSTRAP_HEADERS)
	@mkdir -p $(@D)
	$(CC) $(BOOTSTRAP_CFLAGS) -o $@ $< -pie

$(BUILD)/tests/bootstrap/plain/%: tests/bootstrap/%.cc $(BOOTSTRAP_HEADERS)
	@mkdir -p $(@D)
	$(CXX) $(BOOTSTRAP_CXXFLAGS) -o $@ $< -pie

$(BUILD)/tests/bootstrap/shared/%: tests/bootstrap/%.c $(BOOTSTRAP_HEADERS) $(LIB_SO)
	@mkdir -p $(@D)
	$(CC) $(BOOTSTRAP_CFLAGS) -o $@ $< $(BOOTSTRAP_SHARED_LINK)

$(BUILD)/tests/bootstrap/shared/%: tests/bootstrap/%.cc $(BOOTSTRAP_HEADERS) $(LIB_SO)
	@mkdir -p $(@D)
	$(CXX) $(BOOTSTRAP_CXXFLAGS) -o $@ $< $(BOOTSTRAP_SHARED_LINK)

$(BUILD)/tests/bootstrap/static/%: tests/bootstrap/%.c $(BOOTSTRAP_HEADERS) $(LIB_A)
	@mkdir -p $(@D)
	$(CC) $(BOOTSTRAP_CFLAGS) -o $@ $< -static $(STATIC_WITH_CXX)

$(BUILD)/tests/bootstrap/static/%: tests/bootstrap/%.cc $(BOOTSTRAP_HEADERS) $(LIB_A)
	@mkdir -p $(@D)
	$(CXX) $(BOOTSTRAP_CXXFLAGS) -o $@ $< -static $(LIB_A)

$(BUILD)/tests/bootstrap/static-pie/%: tests/bootstrap/%.c $(BOOTSTRAP_HEADERS) $(LIB_A)
	@mkdir -p $(@D)
	$(CC) $(BOOTSTRAP_CFLAGS) -o $@ $< -static-pie $(STATIC_WITH_CXX)

$(BUILD)/tests/bootstrap/static-pie/%: tests/bootstrap/%.cc $(BOOTSTRAP_HEADERS) $(LIB_A)
	@mkdir -p $(@D)
	$(CXX) $(BOOTSTRAP_CXXFLAGS) -o $@ $< -static-pie $(LIB_A)

.SECONDARY: $(addprefix $(BUILD)/tests/bootstrap/plain/,$(BOOTSTRAP_C) $(BOOTSTRAP_CXX) $(BOOTSTRAP_DYNAMIC) $(BOOTSTRAP_SLOW))
