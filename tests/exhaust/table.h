/* table.h - EACH blocks of every sort, for tests that hold some of each.
 *
 * Uses: exhaust.h. Callers: tests of this folder, which define EACH before.
 */
#ifndef HAKMEM_TESTS_EXHAUST_TABLE_H
#define HAKMEM_TESTS_EXHAUST_TABLE_H

#include "exhaust.h"

static void *block[COUNT(sorts)][EACH]; /* NULL = could not be had */

static inline void fill_all(void)
{
    for (unsigned i = 0; i < COUNT(sorts); i++)
        for (unsigned k = 0; k < EACH; k++)
            if (!block[i][k]) block[i][k] = take_checked(&sorts[i]);
}

static inline void free_all(void)
{
    for (unsigned i = 0; i < COUNT(sorts); i++)
        for (unsigned k = 0; k < EACH; k++) {
            if (block[i][k]) give_checked(block[i][k], sorts[i].size);
            block[i][k] = NULL;
        }
}

#endif
