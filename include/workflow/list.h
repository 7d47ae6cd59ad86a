// Weft public header, room: util - intrusive lists: a double ring and a single chain
// SPDX-License-Identifier: Apache-2.0
//
// The nodes live inside the user's objects; nothing here allocates, locks or owns. A list may be
// touched by one thread at a time. Works in C99 and C++11.
//
// list_head: a ring in which the head is a node like the others, so that adding and removing
//     needs neither the head nor a branch. Always true: n->next->prev == n and n->prev->next == n.
// slist_head: a chain of half the size. `first` is a node standing before the first element,
//     `last` is the last element, or `first` itself when there is none; last->next is NULL.
//     The head must not be copied or moved while `last` may point into it.

#ifndef WEFT_LIST_H
#define WEFT_LIST_H

#include <stddef.h>

#include "detail/container_of.h"

struct list_head {
    struct list_head *next, *prev;
};

#define LIST_HEAD_INIT(name) \
    { &(name), &(name) }
#define LIST_HEAD(name) struct list_head name = LIST_HEAD_INIT(name)

// Makes an empty list of `head`, whatever it held before.
static inline void INIT_LIST_HEAD(struct list_head *head) {
    head->next = head;
    head->prev = head;
}

// After `place` stands `node`; both must belong to rings or be about to.
static inline void list_add(struct list_head *node, struct list_head *place) {
    node->prev = place;
    node->next = place->next;
    node->next->prev = node;
    place->next = node;
}

// Before `place`, which means at the end when `place` is the head.
static inline void list_add_tail(struct list_head *node, struct list_head *place) {
    list_add(node, place->prev);
}

// Takes `node` out. Its own pointers stay as they were; use INIT_LIST_HEAD to ask it list_empty.
static inline void list_del(struct list_head *node) {
    node->prev->next = node->next;
    node->next->prev = node->prev;
}

static inline void list_move(struct list_head *node, struct list_head *place) {
    list_del(node);
    list_add(node, place);
}

static inline void list_move_tail(struct list_head *node, struct list_head *place) {
    list_del(node);
    list_add_tail(node, place);
}

// 1 when nothing but the head is in the ring, else 0.
static inline int list_empty(const struct list_head *head) { return head->next == head; }

// All elements of `from` after `place`, in their order. `from` must be initialized before it is
// used again; list_splice_init does that.
static inline void list_splice(struct list_head *from, struct list_head *place) {
    if (list_empty(from))
        return;

    from->prev->next = place->next;
    place->next->prev = from->prev;
    from->next->prev = place;
    place->next = from->next;
}

static inline void list_splice_init(struct list_head *from, struct list_head *place) {
    list_splice(from, place);
    INIT_LIST_HEAD(from);
}

// The object of `type` whose field `member` is the node at `ptr`.
#define list_entry(ptr, type, member) WEFT_CONTAINER_OF(ptr, type, member)

#define list_for_each(pos, head) for ((pos) = (head)->next; (pos) != (head); (pos) = (pos)->next)

#define list_for_each_prev(pos, head) \
    for ((pos) = (head)->prev; (pos) != (head); (pos) = (pos)->prev)

// The body may remove `pos` (and free it), but not `n`, which is the one that follows.
#define list_for_each_safe(pos, n, head) \
    for ((pos) = (head)->next, (n) = (pos)->next; (pos) != (head); (pos) = (n), (n) = (pos)->next)

// `pos` is a pointer to the objects; after a full walk it points at no object.
#define list_for_each_entry(pos, head, member)                                                    \
    for (WEFT_POINT_AT_CONTAINER(pos, (head)->next, member); WEFT_NODE_OF(pos, member) != (head); \
         WEFT_POINT_AT_CONTAINER(pos, WEFT_NODE_OF(pos, member)->next, member))

struct slist_node {
    struct slist_node *next;
};

struct slist_head {
    struct slist_node first, *last;
};

#define SLIST_HEAD_INIT(name) \
    { {(struct slist_node *)0}, &(name).first }
#define SLIST_HEAD(name) struct slist_head name = SLIST_HEAD_INIT(name)

static inline void INIT_SLIST_HEAD(struct slist_head *head) {
    head->first.next = (struct slist_node *)0;
    head->last = &head->first;
}

static inline int slist_empty(const struct slist_head *head) {
    return head->first.next == (struct slist_node *)0;
}

// `place` is an element of `head`, or &head->first.
static inline void slist_add_after(struct slist_node *node, struct slist_node *place,
                                   struct slist_head *head) {
    node->next = place->next;
    place->next = node;
    if (head->last == place)
        head->last = node;
}

static inline void slist_add_head(struct slist_node *node, struct slist_head *head) {
    slist_add_after(node, &head->first, head);
}

static inline void slist_add_tail(struct slist_node *node, struct slist_head *head) {
    slist_add_after(node, head->last, head);
}

// Takes out the element that follows `place`; there must be one.
static inline void slist_del_after(struct slist_node *place, struct slist_head *head) {
    struct slist_node *gone = place->next;

    place->next = gone->next;
    if (head->last == gone)
        head->last = place;
}

static inline void slist_del_head(struct slist_head *head) { slist_del_after(&head->first, head); }

// All elements of `from` after `place`, which is an element of `head` or &head->first.
static inline void slist_splice(struct slist_head *from, struct slist_node *place,
                                struct slist_head *head) {
    if (slist_empty(from))
        return;

    from->last->next = place->next;
    if (head->last == place)
        head->last = from->last;
    place->next = from->first.next;
}

static inline void slist_splice_init(struct slist_head *from, struct slist_node *place,
                                     struct slist_head *head) {
    slist_splice(from, place, head);
    INIT_SLIST_HEAD(from);
}

#define slist_entry(ptr, type, member) WEFT_CONTAINER_OF(ptr, type, member)

#define slist_for_each(pos, head) for ((pos) = (head)->first.next; (pos); (pos) = (pos)->next)

// `prev` is the one before `pos`. The body may take `pos` out by slist_del_after(prev, head);
// the walk then goes on with what follows.
#define slist_for_each_safe(pos, prev, head)                   \
    for ((prev) = &(head)->first, (pos) = (prev)->next; (pos); \
         (prev) = (prev)->next == (pos) ? (pos) : (prev), (pos) = (prev)->next)

// `pos` is a pointer to the objects; it points at no object after a full walk.
#define slist_for_each_entry(pos, head, member)                           \
    for (struct slist_node *weft_at_ = (head)->first.next;                \
         weft_at_ && (WEFT_POINT_AT_CONTAINER(pos, weft_at_, member), 1); \
         weft_at_ = weft_at_->next)

#endif // WEFT_LIST_H
