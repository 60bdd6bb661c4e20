# soak.mk - `make soak HOURS=n`: everything at once for hours, and as many short processes as fit beside it; `make
# briefs PROCESSES=n`: short processes alone, a million if nothing is said. `make check` does it for half a minute.

HOURS ?= 2
PROCESSES ?= 1000000
SOAK_NEEDS = $(addprefix $(BUILD)/tests/soak/,resident brief launch)

ifeq ($(SANITIZE),)
TESTS += tests/soak/soak_test.py
check-built: export HAKMEM_SOAK_BUILD := $(BUILD)
endif

# Scripts have no recipe, but they need what they run.
tests/soak/soak_test.py: $(SOAK_NEEDS) $(LIB_SO) $(patsubst %,build/tests/matrix/libfaulty_%.so,twice crash)

$(SOAK_NEEDS): $(BUILD)/tests/soak/%: tests/soak/%.c tests/soak/block.h tests/regress/random.h tests/tap.h
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) -Itests $(CFLAGS) $< -o $@ -pthread

.PHONY: soak briefs
soak: $(SOAK_NEEDS) $(LIB_SO)
	tests/soak/soak.py --build $(BUILD) --hours $(HOURS)

briefs: $(SOAK_NEEDS) $(LIB_SO)
	tests/soak/soak.py --build $(BUILD) --hours 0 --processes $(PROCESSES)
