/* waiting_plugin.c - a library whose constructor says that it is there, and waits for an answer; see loading.h. */
#include <poll.h>
#include <unistd.h>

enum { ASK = 60, ANSWER = 61, MOST_MS = 5000 }; /* descriptors of the program's */

extern int plugin_was_answered;
int plugin_was_answered;

__attribute__((constructor)) static void load(void)
{
    struct pollfd answer = {.fd = ANSWER, .events = POLLIN};
    char byte = 'a';
    if (write(ASK, &byte, 1) != 1 || poll(&answer, 1, MOST_MS) != 1) return;
    plugin_was_answered = read(ANSWER, &byte, 1) == 1;
}
