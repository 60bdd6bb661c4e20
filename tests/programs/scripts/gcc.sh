# Work for gcc and g++: compiles what scripts/sources.py wrote, both at once, and runs it.
set -euo pipefail
g++ -O2 -c big.cc -o cc.o 2>&1 & cc=$!
gcc -O2 -fwrapv -c big.c -o c.o 2>&1
gcc -O0 -g -fwrapv -S big.c -o c.s 2>&1
wait $cc
gcc c.o -o c.out
./c.out
g++ cc.o -o cc.out
./cc.out
ar rcs both.a c.o cc.o
nm -C both.a | sha256sum
objdump -d c.o | sha256sum
