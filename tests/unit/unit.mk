# unit.mk - builds tests/unit and adds its tests to TESTS.
#
# Each program holds the library on the fake system (tests/unit/fake_os.c), answers to hak_* only, and is
# a checked build, so that ranks of locks and the slabs of every visit are looked at as well. At -O1 gcc sees
# too little to tell what is initialized.

UNIT_C := $(basename $(notdir $(wildcard tests/unit/*_test.c)))
UNIT_PROGRAMS := $(addprefix $(BUILD)/tests/unit/,$(UNIT_C))
UNIT_SOURCES = $(SOURCES) $(wildcard tests/unit/*.h) tests/regress/sanitized.h $(wildcard tests/unit/fake_*.c)
UNIT_CFLAGS = $(CPPFLAGS) $(filter-out -O2,$(CFLAGS)) -O1 $(if $(filter clang%,$(CC)),,-Wno-maybe-uninitialized) -fno-builtin-malloc -DHAK_REPLACE_LIBC=0 -DHAK_CHECKED=1 \
	-DHAK_FAKE_OS='"../tests/unit/fake_os.c"'

TEST_PROGRAMS += $(UNIT_PROGRAMS)
TESTS += $(UNIT_PROGRAMS)

.PHONY: unit-tests
unit-tests: $(UNIT_PROGRAMS)

$(BUILD)/tests/unit/%: tests/unit/%.c $(UNIT_SOURCES)
	@mkdir -p $(@D)
	$(CC) $(UNIT_CFLAGS) $< -o $@ -lcmocka -pthread
