# packaging.mk - make install, make uninstall.
#
#   PREFIX      where it will be used (default /usr/local)
#   BINDIR      default $(PREFIX)/bin: the tool, where it could be built (cli/cli.mk)
#   LIBDIR      default $(PREFIX)/lib
#   INCLUDEDIR  default $(PREFIX)/include
#   DOCDIR      default $(PREFIX)/share/doc/hakmem
#   MANDIR      default $(PREFIX)/share/man
#               all of these are absolute
#   DESTDIR     put in front of every path while installing, for packagers
#
# From the top Makefile: VERSION, LIB_SO, LIB_A, CLI. The soname is read from the library itself.

PREFIX ?= /usr/local
BINDIR ?= $(PREFIX)/bin
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
DOCDIR ?= $(PREFIX)/share/doc/hakmem
MANDIR ?= $(PREFIX)/share/man

INSTALL ?= install
CMAKEDIR := $(LIBDIR)/cmake/hakmem
PCDIR := $(LIBDIR)/pkgconfig

INSTALLED_DOCS := $(wildcard README.md LICENSE) $(shell find docs -name '*.md' -o -name '*.svg' 2>/dev/null | sort)
INSTALLED_MANS := $(wildcard docs/man/*.[1-8])

# Recursive: read when the recipe runs, after the library is built.
SONAME_READ = $(shell readelf -d $(LIB_SO) | sed -n 's/.*(SONAME).*\[\(.*\)\].*/\1/p')
POINTER_BYTES = $(if $(filter ELF64,$(shell readelf -h $(LIB_SO))),8,4)

# What stands for itself in the place of what sed has found; and the same of what the shell makes.
TO_SED = $(subst |,\|,$(subst &,\&,$(subst \,\\,$(1))))
MADE_TO_SED = sed 's/[\\&|]/\\&/g'

define FILL_IN
sed -e 's|@PREFIX@|$(call TO_SED,$(PREFIX))|' -e 's|@LIBDIR@|$(call TO_SED,$(LIBDIR))|' \
	-e 's|@INCLUDEDIR@|$(call TO_SED,$(INCLUDEDIR))|' \
	-e 's|@VERSION@|$(VERSION)|' -e 's|@MAJOR@|$(firstword $(subst ., ,$(VERSION)))|' \
	-e 's|@SONAME@|$(SONAME_READ)|' -e 's|@POINTER_BYTES@|$(POINTER_BYTES)|' \
	-e "s|@INCLUDEDIR_FROM_CMAKEDIR@|$$(realpath -ms --relative-to='$(CMAKEDIR)' '$(INCLUDEDIR)' | $(MADE_TO_SED))|"
endef

define REFUSE_RELATIVE
@for folder in '$(PREFIX)' '$(BINDIR)' '$(LIBDIR)' '$(INCLUDEDIR)' '$(DOCDIR)' '$(MANDIR)'; do \
	case $$folder in /*) ;; *) echo "$@: $$folder must be absolute" >&2; exit 1;; esac; done
endef

# Names of files, or folders, below a folder of the target.
IN_FOLDER = $(patsubst %,'$(DESTDIR)$(1)/%',$(2))
DOC_FOLDERS := $(shell find docs -type d 2>/dev/null | sort -r)

.PHONY: install uninstall

install: $(LIB_SO) $(LIB_A) $(CLI)
	$(REFUSE_RELATIVE)
	@test -n '$(SONAME_READ)' || { echo 'install: $(LIB_SO) has no soname' >&2; exit 1; }
	$(INSTALL) -d '$(DESTDIR)$(LIBDIR)' '$(DESTDIR)$(PCDIR)' '$(DESTDIR)$(CMAKEDIR)' '$(DESTDIR)$(INCLUDEDIR)/hakmem' '$(DESTDIR)$(DOCDIR)'
	$(INSTALL) -m 755 $(LIB_SO) '$(DESTDIR)$(LIBDIR)/libhakmem.so.$(VERSION)'
	ln -sfn 'libhakmem.so.$(VERSION)' '$(DESTDIR)$(LIBDIR)/$(SONAME_READ)'
	ln -sfn '$(SONAME_READ)' '$(DESTDIR)$(LIBDIR)/libhakmem.so'
	$(if $(CLI),$(INSTALL) -D -m 755 $(CLI) '$(DESTDIR)$(BINDIR)/hakmem')
	$(INSTALL) -m 644 $(LIB_A) '$(DESTDIR)$(LIBDIR)/libhakmem.a'
	$(INSTALL) -m 644 include/hakmem/*.h '$(DESTDIR)$(INCLUDEDIR)/hakmem'
	$(FILL_IN) packaging/hakmem.pc.in >'$(DESTDIR)$(PCDIR)/hakmem.pc'
	$(FILL_IN) packaging/hakmem-config.cmake.in >'$(DESTDIR)$(CMAKEDIR)/hakmem-config.cmake'
	$(FILL_IN) packaging/hakmem-config-version.cmake.in >'$(DESTDIR)$(CMAKEDIR)/hakmem-config-version.cmake'
	for file in $(INSTALLED_DOCS); do $(INSTALL) -D -m 644 "$$file" "$(DESTDIR)$(DOCDIR)/$$file" || exit 1; done
	$(INSTALL) -m 644 packaging/grafana.json '$(DESTDIR)$(DOCDIR)'
	for file in $(INSTALLED_MANS); do $(INSTALL) -D -m 644 "$$file" "$(DESTDIR)$(MANDIR)/man$${file##*.}/$${file##*/}" || exit 1; done
	@# The dynamic linker learns of the library when it was installed for use, by somebody who may say so.
	@[ -n '$(DESTDIR)' ] || ldconfig 2>/dev/null || true
	@echo "hakmem $(VERSION) is in $(DESTDIR)$(PREFIX). Try: LD_PRELOAD=$(LIBDIR)/$(SONAME_READ) program"

uninstall:
	$(REFUSE_RELATIVE)
	rm -f '$(DESTDIR)$(LIBDIR)'/libhakmem.so '$(DESTDIR)$(LIBDIR)'/libhakmem.so.[0-9]* '$(DESTDIR)$(LIBDIR)'/libhakmem.a
	rm -f '$(DESTDIR)$(BINDIR)'/hakmem
	rm -f '$(DESTDIR)$(PCDIR)'/hakmem.pc
	rm -f $(call IN_FOLDER,$(CMAKEDIR),hakmem-config.cmake hakmem-config-version.cmake)
	rm -f $(call IN_FOLDER,$(INCLUDEDIR)/hakmem,$(notdir $(wildcard include/hakmem/*.h)))
	rm -f $(call IN_FOLDER,$(DOCDIR),grafana.json $(INSTALLED_DOCS))
	@# Folders only where nothing else is in them: the deepest first.
	@rmdir $(call IN_FOLDER,$(DOCDIR),$(DOC_FOLDERS)) '$(DESTDIR)$(DOCDIR)' '$(DESTDIR)$(CMAKEDIR)' \
		'$(DESTDIR)$(INCLUDEDIR)/hakmem' 2>/dev/null || true
	for file in $(notdir $(INSTALLED_MANS)); do rm -f "$(DESTDIR)$(MANDIR)/man$${file##*.}/$$file" || exit 1; done
	@[ -n '$(DESTDIR)' ] || ldconfig 2>/dev/null || true
