# platforms.mk - `make platforms`: other compilers, C libraries and processors. Much longer than its part of `make check`,
# which is two tests in each quick row whose compiler is installed. Some rows: make platforms PLATFORMS='aarch64-64k musl'

ifeq ($(SANITIZE)$(filter clang%,$(CC)),)
TESTS += tests/platforms/platforms.py
endif

.PHONY: platforms
platforms:
	scripts/install-packages platforms
	/usr/bin/python3 tests/platforms/platforms.py --full $(PLATFORMS)
