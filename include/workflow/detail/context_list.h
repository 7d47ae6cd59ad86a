// Weft public header, room: kernel - ContextList: objects of any type that a task or a series owns
// SPDX-License-Identifier: Apache-2.0
//
// The storage below wf/context.h, which makes the nodes and knows their types. A list is one
// pointer, NULL as long as nothing hangs on it. It has no lock: it is for whoever may touch its
// owner.
#ifndef WEFT_DETAIL_CONTEXT_LIST_H
#define WEFT_DETAIL_CONTEXT_LIST_H

#include <stddef.h>

namespace wf {
namespace detail {

// A node, with an object behind it. `tag` is an address that stands for the type of the object.
class ContextNode {
public:
    explicit ContextNode(const void *tag) : tag_(tag), next_(NULL) {}
    virtual ~ContextNode() {}

    ContextNode(const ContextNode &) = delete;
    ContextNode &operator=(const ContextNode &) = delete;

private:
    friend class ContextList;
    const void *const tag_;
    ContextNode *next_;
};

// At most one node of each tag, the latest first; owned. A copy of the owner begins with none.
class ContextList {
public:
    ContextList() : first_(NULL) {}
    ContextList(const ContextList &) : first_(NULL) {}
    ContextList &operator=(const ContextList &) { return *this; } // NOLINT: nothing is assigned
    ~ContextList() {
        if (__builtin_expect(this->first_ != NULL, 0))
            this->clear();
    }

    // NULL when there is none.
    ContextNode *find(const void *tag) const;
    // Takes the node over. One with the same tag is deleted, when the new one stands in its place.
    void put(ContextNode *node);
    // Out of the list, to whoever calls; NULL when there is none.
    ContextNode *take(const void *tag);

private:
    void clear();

    ContextNode *first_;
};

} // namespace detail
} // namespace wf

#endif
