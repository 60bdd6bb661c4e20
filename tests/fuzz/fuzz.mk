# fuzz.mk - builds the fuzz targets. `make check` replays their corpus and frozen crashes by plain programs; the fuzzers
# come with scripts/install-packages fuzz.
#
#   make fuzz        libFuzzer goes on from the corpus: SECONDS=60 for each TARGET="heap threads reader texts elf";
#                    SANITIZED=1: with AddressSanitizer and UndefinedBehaviorSanitizer
#   make fuzz-afl    AFL++ does, for SECONDS of one TARGET (default heap)
#
# What they find is in build/tests/fuzz/found, their corpora in build/tests/fuzz/corpus, the counts of all runs, which
# build/tests/fuzz/replay_heap_test prints, in build/tests/fuzz/stats. A crash: replay_TARGET_test FILE.
#
# The library is an object of its own, with sections and names that library.c relies on. Instrumented are it and the
# tool; of heap and threads, not the shadow.

FUZZ_DIR := $(BUILD)/tests/fuzz
FUZZ_TARGETS := heap threads reader texts elf
FUZZ_REPLAYS := $(FUZZ_TARGETS:%=$(FUZZ_DIR)/replay_%_test)
FUZZ_CLI := walk divide text rss screen metrics svg map explain stat
FUZZ_SOURCES = $(SOURCES) $(wildcard cli/*.[ch]) $(wildcard tests/fuzz/*.[ch]) tests/model/held.h tests/tap.h \
	$(wildcard tests/unit/fake_*.[ch])

TARGET ?= $(FUZZ_TARGETS)
SECONDS ?= 60
SANITIZED ?= 0
FUZZ_KIND := $(if $(filter 1,$(SANITIZED)),sanitized,libfuzzer)

ifeq ($(SANITIZE),)
TEST_PROGRAMS += $(FUZZ_REPLAYS)
TESTS += $(FUZZ_REPLAYS)
ifeq ($(BUILD),build)
TESTS += tests/fuzz/oracle_test.py
endif
endif

.PHONY: fuzz fuzz-afl fuzz-tests
fuzz-tests: $(FUZZ_REPLAYS)

FUZZ_CFLAGS = $(CPPFLAGS) -std=gnu17 -g -O1 $(WARNINGS) -fno-builtin-malloc -fno-pie

# For each kind of program: the compiler, what instruments objects, what links.
FUZZ_CC_replay = $(CC) $(if $(filter clang%,$(CC)),,-Wno-maybe-uninitialized)
FUZZ_CC_libfuzzer := clang
FUZZ_FLAGS_libfuzzer := -O2 -fsanitize=fuzzer-no-link
FUZZ_LINK_libfuzzer := -fsanitize=fuzzer
FUZZ_CC_sanitized := clang
FUZZ_ASAN := -fsanitize=address,undefined -fno-sanitize-recover=undefined
FUZZ_FLAGS_sanitized := -fsanitize=fuzzer-no-link $(FUZZ_ASAN)
FUZZ_LINK_sanitized := -fsanitize=fuzzer $(FUZZ_ASAN)
FUZZ_CC_afl := AFL_QUIET=1 afl-clang-fast
FUZZ_FLAGS_afl := -O2
FUZZ_LINK_afl := -fsanitize=fuzzer

# The tool computes with pointers of another process, which it never follows.
FUZZ_READER = $(filter-out -O2,$(1)) $(if $(findstring undefined,$(1)),-fno-sanitize=pointer-overflow)

# Arguments: kind, program's name for a target, file with main() or nothing.
define FUZZ_RULES
$(FUZZ_DIR)/$(1)/library.o: $$(FUZZ_SOURCES)
	@mkdir -p $$(@D)
	$$(FUZZ_CC_$(1)) $$(FUZZ_CFLAGS) $$(FUZZ_FLAGS_$(1)) -DHAK_CHECKED=1 -DHAK_FAKE_OS='"../tests/unit/fake_os.c"' \
		-c tests/fuzz/library.c -o $$@.raw
	nm -g --defined-only $$@.raw | awk '$$$$3 ~ /^(__libc_|__malloc_|mall|calloc$$$$|cfree$$$$|free|realloc|memalign$$$$|aligned_alloc$$$$|posix_memalign$$$$|p?valloc$$$$)/ { print $$$$3, "libc_" $$$$3 }' > $$@.names
	objcopy --redefine-syms=$$@.names --rename-section .data=library_data --rename-section .bss=library_bss $$@.raw $$@

$(FUZZ_DIR)/$(1)/world-1.o $(FUZZ_DIR)/$(1)/world-4.o: $(FUZZ_DIR)/$(1)/world-%.o: $$(FUZZ_SOURCES)
	@mkdir -p $$(@D)
	for file in world calls settings; do \
		$$(FUZZ_CC_replay) $$(FUZZ_CFLAGS) $(if $(filter sanitized,$(1)),-DFUZZ_SANITIZED=1) -O2 -DFUZZ_ACTORS=$$* \
			-c tests/fuzz/$$$$file.c -o $$@.$$$$file || exit 1; done
	ld -r $$@.world $$@.calls $$@.settings -o $$@

$(FUZZ_DIR)/$(1)/reader.o: $$(FUZZ_SOURCES)
	@mkdir -p $$(@D)
	for file in $(FUZZ_CLI); do \
		$$(FUZZ_CC_$(1)) $$(FUZZ_CFLAGS) $$(call FUZZ_READER,$$(FUZZ_FLAGS_$(1))) -Dfree=reader_free -c cli/$$$$file.c \
			-o $$@.$$$$file || exit 1; done
	$$(FUZZ_CC_$(1)) $$(FUZZ_CFLAGS) $$(call FUZZ_READER,$$(FUZZ_FLAGS_$(1))) -DHAK_CHECKED=1 -c tests/fuzz/reader.c \
		-o $$@.reader
	ld -r $$@.reader $(FUZZ_CLI:%=$$@.%) -o $$@

$(FUZZ_DIR)/$(1)/texts.o $(FUZZ_DIR)/$(1)/elf.o: $(FUZZ_DIR)/$(1)/%.o: $$(FUZZ_SOURCES)
	@mkdir -p $$(@D)
	$$(FUZZ_CC_$(1)) $$(FUZZ_CFLAGS) $$(FUZZ_FLAGS_$(1)) -c tests/fuzz/$$*.c -o $$@

$(call $(2),heap): $(FUZZ_DIR)/$(1)/world-1.o $(FUZZ_DIR)/$(1)/library.o
$(call $(2),threads): $(FUZZ_DIR)/$(1)/world-4.o $(FUZZ_DIR)/$(1)/library.o
$(call $(2),reader): $(FUZZ_DIR)/$(1)/reader.o $(FUZZ_DIR)/$(1)/library.o
$(call $(2),texts): $(FUZZ_DIR)/$(1)/texts.o
$(call $(2),elf): $(FUZZ_DIR)/$(1)/elf.o
$(foreach target,$(FUZZ_TARGETS),$(call $(2),$(target))): $(call $(2),%): $$(FUZZ_SOURCES)
	$$(FUZZ_CC_$(1)) $$(FUZZ_CFLAGS) $$(FUZZ_LINK_$(1)) -DFUZZ_TARGET='"$$*"' tests/fuzz/fuzz.c $(3) $$(filter %.o,$$^) \
		-no-pie -pthread -o $$@
endef

fuzz_replay_name = $(FUZZ_DIR)/replay_$(1)_test
fuzz_libfuzzer_name = $(FUZZ_DIR)/libfuzzer/$(1)
fuzz_sanitized_name = $(FUZZ_DIR)/sanitized/$(1)
fuzz_afl_name = $(FUZZ_DIR)/afl/$(1)
$(eval $(call FUZZ_RULES,replay,fuzz_replay_name,tests/fuzz/replay.c))
$(eval $(call FUZZ_RULES,libfuzzer,fuzz_libfuzzer_name,))
$(eval $(call FUZZ_RULES,sanitized,fuzz_sanitized_name,))
$(eval $(call FUZZ_RULES,afl,fuzz_afl_name,))

FUZZ_OPTIONS := -max_len=2000 -len_control=0 -timeout=60 -rss_limit_mb=8000

fuzz:
	scripts/install-packages fuzz
	$(MAKE) $(TARGET:%=$(FUZZ_DIR)/$(FUZZ_KIND)/%)
	@mkdir -p $(FUZZ_DIR)/found $(FUZZ_DIR)/stats $(TARGET:%=$(FUZZ_DIR)/corpus/%)
	for target in $(TARGET); do \
		ASAN_OPTIONS=detect_leaks=0 FUZZ_STATS=$(FUZZ_DIR)/stats/$$target $(FUZZ_DIR)/$(FUZZ_KIND)/$$target $(FUZZ_OPTIONS) \
			-max_total_time=$(SECONDS) -artifact_prefix=$(FUZZ_DIR)/found/$$target- \
			$(FUZZ_DIR)/corpus/$$target tests/fuzz/corpus/$$target || exit 1; done

fuzz-afl: FUZZ_ONE := $(firstword $(TARGET))
fuzz-afl:
	scripts/install-packages fuzz
	$(MAKE) $(FUZZ_DIR)/afl/$(FUZZ_ONE)
	@mkdir -p $(FUZZ_DIR)/stats
	AFL_NO_UI=1 AFL_SKIP_CPUFREQ=1 AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES=1 AFL_AUTORESUME=1 \
		FUZZ_STATS=$(FUZZ_DIR)/stats/$(FUZZ_ONE) afl-fuzz -V $(SECONDS) -t 10000 -m none -i tests/fuzz/corpus/$(FUZZ_ONE) \
		-o $(FUZZ_DIR)/found-afl-$(FUZZ_ONE) $(FUZZ_DIR)/afl/$(FUZZ_ONE)
