/* list: intrusive, doubly linked, circular. libc only.
 *
 * A link lives inside its element and is on one list at a time; a link that is on
 * none points at itself. The list owns nothing. */
#ifndef SLUICE_COMMON_LIST_H
#define SLUICE_COMMON_LIST_H

#include "common/check.h"

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *next, *prev;
};

#define list_entry(link, type, member) ((type *)((char *)(link) - offsetof(type, member)))

static inline void list_init(struct list *list)
{
    list->next = list->prev = list;
}

/* True for an empty list, and for a link that is on none. */
static inline bool list_empty(const struct list *list)
{
    return list->next == list;
}

static inline void list_insert_before(struct list *at, struct list *link)
{
    link->prev = at->prev;
    link->next = at;
    at->prev->next = link;
    at->prev = link;
}

static inline void list_push_back(struct list *list, struct list *link)
{
    CHECK(list_empty(link));
    list_insert_before(list, link);
}

static inline void list_push_front(struct list *list, struct list *link)
{
    CHECK(list_empty(link));
    list_insert_before(list->next, link);
}

/* Takes `link` off its list, if it is on one. */
static inline void list_unlink(struct list *link)
{
    link->prev->next = link->next;
    link->next->prev = link->prev;
    list_init(link);
}

/* First or last link, NULL when empty. Borrowed. */
static inline struct list *list_first(const struct list *list)
{
    return list_empty(list) ? NULL : list->next;
}

static inline struct list *list_last(const struct list *list)
{
    return list_empty(list) ? NULL : list->prev;
}

/* There is exactly one link on it. */
static inline bool list_only(const struct list *list)
{
    return !list_empty(list) && list->next == list->prev;
}

static inline struct list *list_pop_front(struct list *list)
{
    struct list *link = list_first(list);

    if (link != NULL) {
        list_unlink(link);
    }
    return link;
}

/* Moves everything on `from` to the end of `to`. */
static inline void list_append(struct list *to, struct list *from)
{
    if (list_empty(from)) {
        return;
    }
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    list_init(from);
}

/* The element under way may be unlinked; its neighbours may not. */
#define list_each(link, head)                                                                      \
    for (struct list *link = (head)->next, *link##_next = link->next; link != (head);              \
         link = link##_next, link##_next = link->next)

#endif
