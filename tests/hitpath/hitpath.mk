# hitpath.mk - the instruction budget of the hit paths, part of `make check`. It judges the release library: in a
# debug, checked, trapping or sanitized build the budget means nothing, and the test is not in the list.

ifeq ($(filter 1,$(DEBUG) $(CHECKED) $(TRAP))$(SANITIZE),)
TESTS += tests/hitpath/hitpath.py
endif

# A script has no recipe, but it needs what it runs.
tests/hitpath/hitpath.py: build/tests/hitpath/hitpath $(LIB_SO)

build/tests/hitpath/hitpath: tests/hitpath/hitpath.c
	@mkdir -p $(@D)
	$(CC) -std=gnu17 -O2 -g -Wall -Wextra -Wshadow -Wundef -Werror $< -o $@
