# idle.mk - freed memory goes back to the system by itself: a few rows in `make check`, within a minute; `make idle`
# judges all of them, in about four. Its limits are those of the release library, so that no other build has the test.

ifeq ($(filter 1,$(DEBUG) $(CHECKED) $(TRAP))$(SANITIZE),)
TESTS += tests/idle/idle_test.py
endif

# A script has no recipe, but it needs what it runs.
tests/idle/idle_test.py: $(addprefix build/bench/,measure idle thrash) $(LIB_SO)

.PHONY: idle
idle: tests/idle/idle_test.py
	tests/idle/idle_test.py --whole --lib $(LIB_SO)
