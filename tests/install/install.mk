# install.mk - the installed library, used through pkg-config and CMake.

# A library built with a sanitizer has no malloc that a program could be linked to.
ifeq ($(SANITIZE),)
TESTS += tests/install/install_test
endif
