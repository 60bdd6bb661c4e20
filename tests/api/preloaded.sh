#!/bin/sh
# preloaded.sh - runs the program of the same name in ../plain with the library preloaded.
#
# The build copies this file to build/tests/<folder>/preload/<program>; the paths follow from there.
here=$(cd "$(dirname "$0")" && pwd)
program=$here/../plain/$(basename "$0")
LD_PRELOAD=$here/../../../libhakmem.so
export LD_PRELOAD
exec "$program" "$@"
