# install.mk - the installed library, used through pkg-config and CMake; the archive, as each linker takes it.

# A library built with a sanitizer has no malloc that a program could be linked to.
ifeq ($(SANITIZE),)
TESTS += tests/install/install_test tests/install/linkers_test
endif
