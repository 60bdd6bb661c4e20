/* list.h - an intrusive, doubly linked, circular list.
 *
 * Uses: compiler. Locks: the caller's.
 * A zeroed head is an empty list: tables of lists cost no memory until they are used.
 * I1  node->next->prev == node and node->prev->next == node, for a head in use too
 */
#ifndef HAK_BASE_LIST_H
#define HAK_BASE_LIST_H

#include "compiler.h"

struct list {
    struct list *next; /* first of the list, in a head */
    struct list *prev; /* last of the list, in a head */
};

ALWAYS_INLINE bool list_is_empty(const struct list *head)
{
    return head->next == head || head->next == NULL;
}

/* First node, or the head itself: for walking until the head comes. */
ALWAYS_INLINE struct list *list_first(struct list *head)
{
    return head->next ? head->next : head;
}

ALWAYS_INLINE void list_push_front(struct list *head, struct list *node)
{
    if (!head->next) head->next = head->prev = head;
    node->next = head->next;
    node->prev = head;
    head->next->prev = node;
    head->next = node;
}

ALWAYS_INLINE void list_push_back(struct list *head, struct list *node)
{
    if (!head->next) head->next = head->prev = head;
    list_push_front(head->prev, node);
}

ALWAYS_INLINE void list_remove(struct list *node)
{
    node->next->prev = node->prev;
    node->prev->next = node->next;
}

#endif
