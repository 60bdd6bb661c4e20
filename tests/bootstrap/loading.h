/* loading.h - one thread is in dlopen(), whose library waits in its constructor for another thread's work.
 *
 * Uses: common.h, waiting_plugin.so beside the folder of the program.
 */
#ifndef HAKMEM_TESTS_BOOTSTRAP_LOADING_H
#define HAKMEM_TESTS_BOOTSTRAP_LOADING_H

#include <dlfcn.h>
#include <pthread.h>

#include "bootstrap/common.h"

enum { ASK = 60, ANSWER = 61 }; /* as in waiting_plugin.c */

static void (*work_meanwhile)(void);
static int asked, answered; /* the other ends */

static void *work_when_asked(void *unused)
{
    char byte;
    if (read(asked, &byte, 1) != 1) bail_out("read: errno %d", errno);
    work_meanwhile();
    if (write(answered, &byte, 1) != 1) bail_out("write: errno %d", errno);
    return unused;
}

/* false = the work came to no end while the constructor waited. */
static bool can_be_done_while_loading(void (*work)(void))
{
    char path[PATH_MAX];
    int ask[2], answer[2];
    pthread_t thread;
    beside_folder(path, "waiting_plugin.so");
    if (pipe(ask) != 0 || pipe(answer) != 0) bail_out("pipe: errno %d", errno);
    if (dup2(ask[1], ASK) < 0 || dup2(answer[0], ANSWER) < 0) bail_out("dup2: errno %d", errno);
    asked = ask[0];
    answered = answer[1];
    work_meanwhile = work;
    if (pthread_create(&thread, NULL, work_when_asked, NULL) != 0) bail_out("pthread_create");
    void *plugin = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!plugin) bail_out("%s", dlerror());
    pthread_join(thread, NULL);
    const int *was_answered = (const int *)dlsym(plugin, "plugin_was_answered");
    bool done = was_answered && *was_answered;
    dlclose(plugin);
    return done;
}

#endif
