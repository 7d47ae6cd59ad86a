// Weft - the containers from C; list_test.cc calls this
// SPDX-License-Identifier: Apache-2.0

#include "workflow/list.h"
#include "workflow/rbtree.h"

struct item {
    int value;
    struct list_head link;
    struct slist_node chain;
    struct rb_node node;
};

// 0, or the number of the check that failed.
int check_containers_in_c(void);

int check_containers_in_c(void) {
    LIST_HEAD(ring);
    SLIST_HEAD(chain);
    struct rb_root root = RB_ROOT;
    struct item items[2];
    struct item *item;
    struct rb_node *node;
    int seen = 0;

    for (int i = 0; i < 2; i++) {
        items[i].value = i + 1;
        list_add_tail(&items[i].link, &ring);
        slist_add_tail(&items[i].chain, &chain);
    }
    rb_link_node(&items[0].node, NULL, &root.rb_node);
    rb_insert_color(&items[0].node, &root);
    rb_link_node(&items[1].node, &items[0].node, &items[0].node.rb_right);
    rb_insert_color(&items[1].node, &root);

    list_for_each_entry(item, &ring, link)
        seen = seen * 10 + item->value;
    if (seen != 12)
        return 1;

    slist_for_each_entry(item, &chain, chain) seen = seen * 10 + item->value;
    if (seen != 1212)
        return 2;

    for (node = rb_first(&root); node; node = rb_next(node))
        seen = seen * 10 + rb_entry(node, struct item, node)->value;
    if (seen != 121212)
        return 3;

    return list_entry(ring.next, struct item, link) == &items[0] ? 0 : 4;
}
