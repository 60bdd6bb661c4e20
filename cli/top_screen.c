/* top_screen.c - the screen of hakmem top: the only file that knows ncurses. */
#include "top.h"

#include <ncurses.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

/* A key; ERR = none came in time, 'q' = the terminal is gone and none will. */
static int next_key(void)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    int key = getch();
    if (key != ERR || poll(&input, 1, 0) <= 0) return key;
    key = getch(); /* one that came just now, or the end */
    return key == ERR ? 'q' : key;
}

static void draw(struct top *t)
{
    char line[256];
    top_sort(t);
    erase();
    mvprintw(0, 0, "hakmem top: %zu processes; sort by r l p c m t n (now %c), space looks again, q "
             "ends", t->count, t->sort);
    attron(A_REVERSE);
    mvaddnstr(1, 0, top_title(), COLS);
    attroff(A_REVERSE);
    for (size_t i = 0; i < t->count && (int)i + 2 < LINES; i++) {
        top_line(&t->row[i], line, sizeof(line));
        mvaddnstr((int)i + 2, 0, line, COLS);
    }
    refresh();
}

void top_screen(struct top *t)
{
    const char *kind = getenv("TERM");
    SCREEN *screen = newterm(NULL, stdout, stdin);
    if (!screen) fail(STATUS_FAILED, "cannot draw on a terminal of kind '%s' (TERM); try --once", kind ? kind : "");
    cbreak();
    noecho();
    curs_set(0);
    keypad(stdscr, TRUE);
    timeout((int)(t->delay * 1000));
    top_look(t);
    for (int key = 0; key != 'q';) {
        draw(t);
        key = next_key();
        if (key > 0 && key < 128 && column_of((char)key))
            t->sort = (char)key;
        else
            top_look(t);
    }
    endwin();
    delscreen(screen);
}
