/* top_screen.c - the screen of hakmem top: the only file that knows ncurses. */
#include "top.h"

#include <ncurses.h>
#include <poll.h>
#include <unistd.h>

/* getch() has found no key: none came in time, or the terminal is gone and none will. */
static bool input_has_ended(void)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    return poll(&input, 1, 0) > 0;
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
    if (!initscr()) fail(STATUS_FAILED, "no terminal; try --once");
    cbreak();
    noecho();
    curs_set(0);
    keypad(stdscr, TRUE);
    timeout((int)(t->delay * 1000));
    top_look(t);
    for (int key = 0; key != 'q';) {
        draw(t);
        key = getch();
        if (key == ERR && input_has_ended()) break;
        if (key > 0 && key < 128 && column_of((char)key))
            t->sort = (char)key;
        else
            top_look(t);
    }
    endwin();
}
