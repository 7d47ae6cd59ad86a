// Weft public header, room: util - an intrusive red-black tree
// SPDX-License-Identifier: Apache-2.0
//
// The user owns the nodes (inside their objects), the order and the search; the tree keeps itself
// balanced. Nothing here allocates or locks; one thread at a time. Works in C99 and C++11.
// To insert: walk down from root->rb_node to the empty link, rb_link_node, rb_insert_color.
//
// Field names and colour values are part of the interface: containers built on top read them.
// Always true outside a call: the root is black, a red node has no red child, every way from the
// root down to an empty link passes the same number of black nodes.
// The root's own rb_parent is NULL, or whatever the user put there: the tree knows its root by
// root->rb_node alone and keeps that value, so that a sentinel may stand above the root.

#ifndef WEFT_RBTREE_H
#define WEFT_RBTREE_H

#include <stddef.h>

#include "detail/container_of.h"

#ifdef __cplusplus
extern "C" {
#endif

#define RB_RED   0
#define RB_BLACK 1

struct rb_node {
    struct rb_node *rb_parent;
    struct rb_node *rb_right;
    struct rb_node *rb_left;
    char rb_color;
};

struct rb_root {
    struct rb_node *rb_node;
};

#ifdef __cplusplus
#define RB_ROOT (::rb_root{nullptr})
#else
#define RB_ROOT ((struct rb_root){NULL})
#endif

// The object of `type` whose field `member` is the node at `ptr`.
#define rb_entry(ptr, type, member) WEFT_CONTAINER_OF(ptr, type, member)

// Restores the balance after rb_link_node put `node` at a leaf.
void rb_insert_color(struct rb_node *node, struct rb_root *root);

// Takes `node` out, which must be in the tree. Its own fields keep no meaning.
void rb_erase(struct rb_node *node, struct rb_root *root);

// The neighbours in order; NULL at the end.
struct rb_node *rb_next(const struct rb_node *node);
struct rb_node *rb_prev(const struct rb_node *node);

// The ends; NULL when the tree is empty.
struct rb_node *rb_first(const struct rb_root *root);
struct rb_node *rb_last(const struct rb_root *root);

// `fresh` takes the exact place of `victim`; the user answers for the order.
void rb_replace_node(struct rb_node *victim, struct rb_node *fresh, struct rb_root *root);

// Hangs `node` below `parent` (NULL for the first one) at `link`, which is &parent->rb_left,
// &parent->rb_right or &root->rb_node. rb_insert_color must follow.
static inline void rb_link_node(struct rb_node *node, struct rb_node *parent,
                                struct rb_node **link) {
    node->rb_parent = parent;
    node->rb_right = NULL;
    node->rb_left = NULL;
    node->rb_color = RB_RED;
    *link = node;
}

#ifdef __cplusplus
}
#endif

#endif // WEFT_RBTREE_H
