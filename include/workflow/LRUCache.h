// Weft public header, room: util - a map that forgets what was not used for the longest time
// SPDX-License-Identifier: Apache-2.0
//
// One thread at a time: the user locks. get() and put() pin what they return until release(), so a
// value is never freed while somebody reads it; a pinned entry that was deleted or replaced lives
// on, outside the cache, until its last release.
// Always true: idle_ holds the entries that are in the map and not pinned, the longest unused one
// first; an entry is freed when it is neither in the map nor pinned.

#ifndef WEFT_LRUCACHE_H
#define WEFT_LRUCACHE_H

#include <assert.h>
#include <map>
#include <stddef.h>
#include <utility>

#include "list.h"

template <typename KEY, typename VALUE>
class LRUHandle {
public:
    VALUE value;

private:
    typedef std::map<KEY, LRUHandle *> Map;

    explicit LRUHandle(VALUE &&v) : value(std::move(v)), pins(0), in_map(false) {}

    LRUHandle(const LRUHandle &);
    LRUHandle &operator=(const LRUHandle &);

    struct list_head node;        // in idle_, while in the map and not pinned
    typename Map::iterator place; // means something while in_map
    size_t pins;
    bool in_map;

    template <typename, typename, class>
    friend class LRUCache;
};

// KEY needs operator<. ValueDeleter is called as `ValueDeleter()(value)` (the value is const) once
// for each value, right before it is destroyed.
template <typename KEY, typename VALUE, class ValueDeleter>
class LRUCache {
public:
    typedef LRUHandle<KEY, VALUE> Handle;

    LRUCache() : max_size_(0) { INIT_LIST_HEAD(&idle_); }

    // Every handle must have been released.
    ~LRUCache() {
        prune();
        assert(map_.empty());
    }

    // 0 means no limit. Pinned entries count, but cannot be forgotten; the size is brought down
    // with the next put or release.
    void set_max_size(size_t max_size) { max_size_ = max_size; }

    // Forgets everything that is not pinned.
    void prune() {
        while (!list_empty(&idle_))
            forget_oldest();
    }

    // NULL when there is no such key. Else a pinned handle: release() it.
    const Handle *get(const KEY &key) {
        typename Map::iterator it = map_.find(key);

        if (it == map_.end())
            return NULL;

        pin(it->second);
        return it->second;
    }

    // Replaces what had the key. Returns a pinned handle: release() it.
    const Handle *put(const KEY &key, VALUE value) {
        Handle *handle = new Handle(std::move(value));
        std::pair<typename Map::iterator, bool> res =
            map_.insert(typename Map::value_type(key, handle));

        if (!res.second) {
            Handle *old = res.first->second;

            res.first->second = handle;
            leave_map(old);
        }

        handle->place = res.first;
        handle->in_map = true;
        handle->pins = 1;
        shrink();
        return handle;
    }

    // Once for each get and put.
    void release(const Handle *pinned) {
        Handle *handle = const_cast<Handle *>(pinned);

        assert(handle->pins > 0);
        if (--handle->pins > 0)
            return;

        if (handle->in_map) {
            list_add_tail(&handle->node, &idle_);
            shrink();
        } else {
            destroy(handle);
        }
    }

    void del(const KEY &key) {
        typename Map::iterator it = map_.find(key);

        if (it != map_.end()) {
            Handle *handle = it->second;

            map_.erase(it);
            leave_map(handle);
        }
    }

private:
    typedef typename Handle::Map Map;

    LRUCache(const LRUCache &);
    LRUCache &operator=(const LRUCache &);

    void pin(Handle *handle) {
        if (handle->pins++ == 0)
            list_del(&handle->node);
    }

    // The map does not point at it any more.
    void leave_map(Handle *handle) {
        handle->in_map = false;
        if (handle->pins == 0) {
            list_del(&handle->node);
            destroy(handle);
        }
    }

    void forget_oldest() {
        Handle *handle = list_entry(idle_.next, Handle, node);

        map_.erase(handle->place);
        leave_map(handle);
    }

    void shrink() {
        while (max_size_ != 0 && map_.size() > max_size_ && !list_empty(&idle_))
            forget_oldest();
    }

    void destroy(Handle *handle) {
        const VALUE &value = handle->value;

        ValueDeleter()(value);
        delete handle;
    }

    size_t max_size_;
    Map map_;
    struct list_head idle_;
};

#endif // WEFT_LRUCACHE_H
