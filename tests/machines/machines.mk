# machines.mk - `make machines`: Debian's kernels in emulated machines, for what tests cannot change on the machine that
# they run on: overcommit, control groups, huge pages, little memory, an aarch64 kernel. Some of the scenes:
# make machines SCENES="group huge".
# `make check` has the test of the script that reads what a machine prints.

SCENES ?=
MACHINES_ARM64 := build/platforms/aarch64
MACHINES_CROSS := aarch64-linux-gnu
MACHINES_CFLAGS = $(CPPFLAGS) -Itests $(CFLAGS) -pthread
MACHINES_STATIC := edge addresses_test
MACHINES_PLAIN := edge in_group heap_pages

MACHINES_STATIC_PROGRAMS = $(addprefix $(BUILD)/tests/machines/static/,$(MACHINES_STATIC))
MACHINES_PROGRAMS = $(MACHINES_STATIC_PROGRAMS) $(addprefix $(BUILD)/tests/machines/plain/,$(MACHINES_PLAIN))
MACHINES_BOOTSTRAP := threads atfork fork background spawn
# What is built for both processors.
MACHINES_BOTH = $(MACHINES_STATIC_PROGRAMS) $(BUILD)/tests/model/model_threads_test \
	$(addprefix $(BUILD)/tests/api/static/,$(API_C) $(API_CXX)) \
	$(patsubst %,$(BUILD)/tests/bootstrap/static/%_test,$(MACHINES_BOOTSTRAP))

ifeq ($(SANITIZE),)
TESTS += tests/machines/machines_test.py
endif

.PHONY: machines machines-both
machines-both: $(MACHINES_BOTH)
machines: all machines-both $(MACHINES_PROGRAMS) $(filter %_test,$(API_PROGRAMS)) $(BUILD)/tests/limit/at_limit \
		$(foreach way,static preload,$(addprefix $(BUILD)/tests/exhaust/$(way)/,limits_test mappings_test))
	scripts/install-packages machines
	$(MAKE) BUILD=$(MACHINES_ARM64) CC=$(MACHINES_CROSS)-gcc CXX=$(MACHINES_CROSS)-g++ AR=$(MACHINES_CROSS)-ar \
		OPTIMIZE=-O2 machines-both
	/usr/bin/python3 tests/machines/machines.py --build $(BUILD) --build-arm64 $(MACHINES_ARM64) $(SCENES)

$(BUILD)/tests/machines/plain/%: tests/machines/%.c
	@mkdir -p $(@D)
	$(CC) $(MACHINES_CFLAGS) $< -o $@

$(BUILD)/tests/machines/static/%: tests/machines/%.c tests/tap.h $(LIB_A)
	@mkdir -p $(@D)
	$(CC) $(MACHINES_CFLAGS) $< -o $@ -static $(LIB_A)
