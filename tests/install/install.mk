# install.mk - the installed library, used through pkg-config and CMake.

TESTS += tests/install/install_test
