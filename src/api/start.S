/* start.S - in a program with the archive: starts the library before all constructors.
 *
 * Uses: hak_start() of init.c. Two small objects come from this file, by HAK_START_PROGRAM.
 *
 * Constructors of a program run after those of the libraries that it needs; what is in .preinit_array runs before. But
 * linkers refuse that section in a shared library, and the archive may be linked into one. Which it is, the link itself
 * says: only with a program, glibc's crt1.o brings _IO_stdin_used. So hakmem.o refers to two names, in this order:
 *
 *   _IO_stdin_used      crt1.o has it already; in a library: found in start-library.o
 *   hak_start_program   found in start-program.o
 *
 * Each of the two objects has a group of the same name, of which linkers keep the one that they meet first. Where
 * start-library.o is linked, it comes first, by that order and by its place in the archive, and the .preinit_array of
 * the other is dropped, also when somebody links all of the archive. Then the library starts as a constructor.
 */
#if HAK_START_PROGRAM

    .globl hak_start_program
    .hidden hak_start_program
    .set hak_start_program, 0

    .section .preinit_array, "awG", @preinit_array, hak_start_group, comdat
    .balign 8
    .hidden hak_start
    .quad hak_start

#else

    .weak _IO_stdin_used /* that of crt1.o goes before */
    .hidden _IO_stdin_used
    .set _IO_stdin_used, 0

    .section .rodata.hak_start, "aG", @progbits, hak_start_group, comdat
    .byte 0

#endif

    .section .note.GNU-stack, "", @progbits
