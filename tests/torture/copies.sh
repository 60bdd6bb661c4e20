#!/bin/sh
# copies.sh - runs ../plain/copies_test with the library preloaded, and a copy of it under another name after it.
#
# The build copies this file to build/tests/torture/preload/copies_test; the paths follow from there.
here=$(cd "$(dirname "$0")" && pwd)
LD_PRELOAD=$here/../../../libhakmem.so:$here/../libcopy.so
export LD_PRELOAD
exec "$here/../plain/copies_test" "$@"
