#!/usr/bin/env python3
"""matrix_linked.py - the matrix in a few runs, by programs that have hakmem linked in: for sanitized builds, whose
reports go to standard error and so make a run fail. HAKMEM_MATRIX_BUILD says where bench/linked is. Run from the
repository root. Prints TAP."""

import os
import sys

sys.dont_write_bytecode = True  # keeps the source folders clean
import matrix

if __name__ == "__main__":
    build = os.environ.get("HAKMEM_MATRIX_BUILD", "build")
    sys.exit(matrix.main(["--linked", "--build", build, "--runs", "3", "--larson-seconds", "1", *sys.argv[1:]]))
