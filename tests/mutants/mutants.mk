# mutants.mk - the tests that find what only a mutant would show, and `make mutants`, which breaks the library in
# many ways and sees that a test finds each (some minutes). One of them: make mutants MUTANTS=splice_forgets_to_count

MUTANT_OUT := $(BUILD)/tests/mutants
MUTANT_TESTS := $(patsubst tests/mutants/%.c,$(MUTANT_OUT)/%,$(wildcard tests/mutants/*_test.c))
MUTANT_HEADERS := tests/tap.h tests/mutants/refusing_os.c $(wildcard tests/regress/*.h)

TEST_PROGRAMS += $(MUTANT_TESTS)
TESTS += $(MUTANT_TESTS)

.PHONY: mutant-tests
mutant-tests: $(MUTANT_TESTS)

# White-box, with every invariant checked at every visit.
$(MUTANT_OUT)/%: tests/mutants/%.c $(MUTANT_HEADERS) $(SOURCES)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -DHAK_REPLACE_LIBC=0 -DHAK_CHECKED=1 $< -o $@ -pthread

mutants:
	/usr/bin/python3 tests/mutants/run_mutants.py $(MUTANTS)
