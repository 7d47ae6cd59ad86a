// Weft - the balancing of the intrusive red-black tree
// SPDX-License-Identifier: Apache-2.0
//
// Pure pointer work on nodes of the caller, who also holds whatever lock there is. The two mirror
// images of each case are written once: a side is an int, and link_of() gives the child's link.
// The root is known by root->rb_node, never by an empty rb_parent; see rbtree.h.

#include "workflow/rbtree.h"

enum { LEFT = 0, RIGHT = 1 };

static struct rb_node **link_of(struct rb_node *node, int side) {
    return side == LEFT ? &node->rb_left : &node->rb_right;
}

static struct rb_node *child_of(const struct rb_node *node, int side) {
    return side == LEFT ? node->rb_left : node->rb_right;
}

static int side_of(const struct rb_node *node, const struct rb_node *parent) {
    return parent->rb_left == node ? LEFT : RIGHT;
}

static int is_red(const struct rb_node *node) { return node && node->rb_color == RB_RED; }

// An empty link counts as a black node.
static void paint(struct rb_node *node, char color) {
    if (node)
        node->rb_color = color;
}

static struct rb_node *outermost(struct rb_node *node, int side) {
    while (child_of(node, side))
        node = child_of(node, side);
    return node;
}

// Whatever pointed down at `old` points at `now`, which may be NULL.
static void put_in_place(struct rb_node *old, struct rb_node *now, struct rb_root *root) {
    if (root->rb_node == old)
        root->rb_node = now;
    else
        *link_of(old->rb_parent, side_of(old, old->rb_parent)) = now;

    if (now)
        now->rb_parent = old->rb_parent;
}

static void adopt(struct rb_node *parent, int side, struct rb_node *child) {
    *link_of(parent, side) = child;
    if (child)
        child->rb_parent = parent;
}

// `node` sinks to `side`, and its child of the other side takes its place.
static void rotate(struct rb_node *node, int side, struct rb_root *root) {
    struct rb_node *riser = child_of(node, !side);

    put_in_place(node, riser, root);
    adopt(node, !side, child_of(riser, side));
    adopt(riser, side, node);
}

void rb_insert_color(struct rb_node *node, struct rb_root *root) {
    while (node != root->rb_node && node->rb_parent->rb_color == RB_RED) {
        // A red parent is not the root, so there is a node above it.
        struct rb_node *parent = node->rb_parent;
        struct rb_node *grand = parent->rb_parent;
        int side = side_of(parent, grand);
        struct rb_node *uncle = child_of(grand, !side);

        if (is_red(uncle)) {
            parent->rb_color = RB_BLACK;
            uncle->rb_color = RB_BLACK;
            grand->rb_color = RB_RED;
            node = grand;
            continue;
        }

        if (side_of(node, parent) != side) {
            rotate(parent, side, root);
            parent = node;
        }

        parent->rb_color = RB_BLACK;
        grand->rb_color = RB_RED;
        rotate(grand, !side, root);
        break;
    }

    root->rb_node->rb_color = RB_BLACK;
}

// The ways through `node` (perhaps an empty link below `parent`) have one black node too few.
static void restore_black(struct rb_node *node, struct rb_node *parent, struct rb_root *root) {
    while (node != root->rb_node && !is_red(node)) {
        // There is a sibling: its side still has the black node that this one lost. So even an
        // empty `node` is found on the right side.
        int side = side_of(node, parent);
        struct rb_node *sibling = child_of(parent, !side);

        if (is_red(sibling)) {
            sibling->rb_color = RB_BLACK;
            parent->rb_color = RB_RED;
            rotate(parent, side, root);
            sibling = child_of(parent, !side);
        }

        if (!is_red(sibling->rb_left) && !is_red(sibling->rb_right)) {
            sibling->rb_color = RB_RED;
            node = parent;
            parent = node->rb_parent;
            continue;
        }

        if (!is_red(child_of(sibling, !side))) {
            paint(child_of(sibling, side), RB_BLACK);
            sibling->rb_color = RB_RED;
            rotate(sibling, !side, root);
            sibling = child_of(parent, !side);
        }

        sibling->rb_color = parent->rb_color;
        parent->rb_color = RB_BLACK;
        paint(child_of(sibling, !side), RB_BLACK);
        rotate(parent, side, root);
        return;
    }

    paint(node, RB_BLACK);
}

void rb_erase(struct rb_node *node, struct rb_root *root) {
    struct rb_node *child;  // what moved up into the gap
    struct rb_node *parent; // of the gap
    char lost;              // the colour that is missing there now

    if (!node->rb_left || !node->rb_right) {
        child = node->rb_left ? node->rb_left : node->rb_right;
        parent = node->rb_parent;
        lost = node->rb_color;
        put_in_place(node, child, root);
    } else {
        // The next node in order has no left child: it can leave its place and take this one.
        struct rb_node *heir = outermost(node->rb_right, LEFT);

        child = heir->rb_right;
        lost = heir->rb_color;
        if (heir == node->rb_right) {
            parent = heir;
        } else {
            parent = heir->rb_parent;
            adopt(parent, LEFT, child);
            adopt(heir, RIGHT, node->rb_right);
        }

        adopt(heir, LEFT, node->rb_left);
        heir->rb_color = node->rb_color;
        put_in_place(node, heir, root);
    }

    if (lost == RB_BLACK)
        restore_black(child, parent, root);
}

static struct rb_node *neighbour(const struct rb_node *node, int side) {
    const struct rb_node *parent;

    if (child_of(node, side))
        return outermost(child_of(node, side), !side);

    parent = node->rb_parent;
    while (parent && node == child_of(parent, side)) {
        node = parent;
        parent = node->rb_parent;
    }

    return (struct rb_node *)parent;
}

struct rb_node *rb_next(const struct rb_node *node) {
    return neighbour(node, RIGHT);
}

struct rb_node *rb_prev(const struct rb_node *node) {
    return neighbour(node, LEFT);
}

struct rb_node *rb_first(const struct rb_root *root) {
    return root->rb_node ? outermost(root->rb_node, LEFT) : NULL;
}

struct rb_node *rb_last(const struct rb_root *root) {
    return root->rb_node ? outermost(root->rb_node, RIGHT) : NULL;
}

void rb_replace_node(struct rb_node *victim, struct rb_node *fresh, struct rb_root *root) {
    put_in_place(victim, fresh, root);
    adopt(fresh, LEFT, victim->rb_left);
    adopt(fresh, RIGHT, victim->rb_right);
    fresh->rb_color = victim->rb_color;
}
