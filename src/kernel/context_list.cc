// Weft - ContextList: objects of any type that a task or a series owns
// SPDX-License-Identifier: Apache-2.0
//
// A node is out of the list before it is deleted, so that the destructor of its object may look for
// the others.
#include "workflow/detail/context_list.h"

namespace wf::detail {

ContextNode *ContextList::find(const void *tag) const {
    ContextNode *node = first_;
    while (node && node->tag_ != tag)
        node = node->next_;
    return node;
}

void ContextList::put(ContextNode *node) {
    ContextNode *old = this->take(node->tag_);
    node->next_ = first_;
    first_ = node;
    delete old;
}

ContextNode *ContextList::take(const void *tag) {
    for (ContextNode **at = &first_; *at; at = &(*at)->next_) {
        ContextNode *node = *at;
        if (node->tag_ == tag) {
            *at = node->next_;
            return node;
        }
    }
    return nullptr;
}

void ContextList::clear() {
    while (ContextNode *node = first_) {
        first_ = node->next_;
        delete node;
    }
}

} // namespace wf::detail
