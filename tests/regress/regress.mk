# regress.mk - builds tests/regress, one test for each bug that must never come back, and adds them to TESTS.
#
# White-box tests hold the whole library; most of them with every invariant checked at every visit. Black-box
# tests are linked with libhakmem.a and call hak_*, so that they work in every variant.

REGRESS_CHECKED := refill_switches_superslab stride_matches_capacity block_check_is_slab_relative \
    splice_counts_blocks emptied_slab_initialised_once closed_inbox_push_forwards_once
# These check by themselves what they are about; at every visit it would cost minutes.
REGRESS_WHITE := payload_mimics_header full_is_not_empty waits_for_its_thread_end
REGRESS_BLACK := expansion_race random_mixed_survives

REGRESS_OUT := $(BUILD)/tests/regress
REGRESS_HEADERS := tests/tap.h $(wildcard tests/regress/*.h)
REGRESS_PROGRAMS := $(addprefix $(REGRESS_OUT)/,$(REGRESS_CHECKED) $(REGRESS_WHITE) $(REGRESS_BLACK))

TEST_PROGRAMS += $(REGRESS_PROGRAMS)
TESTS += $(REGRESS_PROGRAMS)

# These need a malloc of ours, which a sanitized build does not have.
ifeq ($(SANITIZE),)
TEST_PROGRAMS += $(REGRESS_OUT)/preload/pointer_from_other_allocator
TESTS += $(REGRESS_OUT)/preload/pointer_from_other_allocator tests/regress/build_is_whole.py
endif

.PHONY: regress-tests
regress-tests: $(REGRESS_PROGRAMS) $(REGRESS_OUT)/preload/pointer_from_other_allocator

$(addprefix $(REGRESS_OUT)/,$(REGRESS_CHECKED)): REGRESS_DEFINES := -DHAK_REPLACE_LIBC=0 -DHAK_CHECKED=1
$(addprefix $(REGRESS_OUT)/,$(REGRESS_WHITE)): REGRESS_DEFINES := -DHAK_REPLACE_LIBC=0

REGRESS_WITH_SOURCES := $(addprefix $(REGRESS_OUT)/,$(REGRESS_CHECKED) $(REGRESS_WHITE))
$(REGRESS_WITH_SOURCES): $(REGRESS_OUT)/%: tests/regress/%.c $(REGRESS_HEADERS) $(SOURCES)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) $(REGRESS_DEFINES) $< -o $@ -pthread

$(addprefix $(REGRESS_OUT)/,$(REGRESS_BLACK)): $(REGRESS_OUT)/%: tests/regress/%.c $(REGRESS_HEADERS) $(LIB_A)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) $< -o $@ $(LIB_A) -pthread

$(REGRESS_OUT)/preload/%: tests/api/preloaded.sh $(REGRESS_OUT)/plain/% $(LIB_SO)
	@mkdir -p $(@D)
	cp $< $@

$(REGRESS_OUT)/plain/%: tests/regress/%.c $(REGRESS_HEADERS) tests/api/weak.h
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) $< -o $@ -pthread

.SECONDARY: $(REGRESS_OUT)/plain/pointer_from_other_allocator
