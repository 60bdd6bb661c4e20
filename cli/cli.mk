# cli.mk - builds the command-line tool, where ncurses is there. From the top Makefile.
#
# The tool includes the library's headers, and reads processes of the same build only: BUILD_ID goes into both.

CLI_SOURCES := $(sort $(wildcard cli/*.c))
CLI_HEADERS := $(sort $(wildcard cli/*.h))
HAS_NCURSES := $(shell printf '\043include <ncurses.h>\n' | $(CC) -E -x c - >/dev/null 2>&1 && echo 1)
CLI := $(if $(SANITIZE),,$(if $(HAS_NCURSES),$(BUILD)/hakmem))

ifneq ($(CLI),)
all: $(CLI)

$(CLI): $(CLI_SOURCES) $(CLI_HEADERS) $(BUILD)/id/$(BUILD_ID)
	$(CC) $(CPPFLAGS) $(CFLAGS) $(LIB_DEFINES) -DHAK_BUILD_ID='"$(BUILD_ID)"' $(CLI_SOURCES) -o $@ -lncurses
endif
