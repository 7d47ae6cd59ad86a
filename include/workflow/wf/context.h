// Weft public header, room: task, C++20 - contexts: typed objects that a task or a series owns
// SPDX-License-Identifier: Apache-2.0
//
// What the tasks of a series share, or a callback needs of whoever made its task, hangs on the
// series or the task as an object of its own type, and goes with it: after its callback has
// returned, and also when it is dismissed, or dropped by a cancel, without one. Contexts of one
// owner are destroyed in the opposite order of their making.
//
//     wf::emplace_context<Order>(*series, 17);        // before the start, or in a callback
//     Order *order = wf::find_context<Order>(*series_of(task));
//
// An owner has any number of contexts, one of each type; the type is exactly the one that was
// named, not a base of it. They have nothing to do with `get_context()` and `user_data`, the
// pointers of old.
//
// The owner is a series, or any task: a parallel and a graph too, whose contexts live until their
// callback has returned and their series are gone, and a module.
//
// There is no lock. Contexts are for whoever may touch the owner: who made it, before the start;
// then the callbacks of a series' tasks, which never overlap, and its own; of a task, its callback.
// What is to be shared by the series of a parallel or a graph is put there before the start and
// only looked for while they run. When the context itself is changed by several of them, it is for
// the context to have a lock.
#ifndef WEFT_CONTEXT_H
#define WEFT_CONTEXT_H

#include <type_traits>
#include <utility>

#include "../SubTask.h"
#include "../WFTask.h"
#include "../Workflow.h"
#include "../detail/context_list.h"

namespace wf {

// What can be a context: an object that is neither const nor an array.
template <class T>
concept ContextType = std::is_object_v<T> && !std::is_array_v<T> && !std::is_const_v<T> &&
                      !std::is_volatile_v<T> && std::is_destructible_v<T>;

namespace detail {

// Its address stands for the type. Not const, or linkers may lay those of several types together.
template <class T>
inline char context_tag = 0;

template <class T>
class ContextOf final : public ContextNode {
public:
    template <class... Args>
    explicit ContextOf(Args &&...args)
        : ContextNode(&context_tag<T>), value(std::forward<Args>(args)...) {}

    T value;
};

class ContextAccess {
public:
    static ContextList &of(SubTask &task) { return task.contexts_; }
    static const ContextList &of(const SubTask &task) { return task.contexts_; }
    static ContextList &of(SeriesWork &series) { return series.contexts_; }
    static const ContextList &of(const SeriesWork &series) { return series.contexts_; }

    template <class T, class... Args>
    static T &emplace(ContextList &list, Args &&...args) {
        ContextOf<T> *node = new ContextOf<T>(std::forward<Args>(args)...);
        list.put(node);
        return node->value;
    }

    template <class T>
    static T *find(const ContextList &list) {
        ContextNode *node = list.find(&context_tag<T>);
        return node ? &static_cast<ContextOf<T> *>(node)->value : nullptr;
    }

    template <class T>
    static bool remove(ContextList &list) {
        ContextNode *node = list.take(&context_tag<T>);
        delete node;
        return node != nullptr;
    }
};

} // namespace detail

// Makes a context out of the arguments and hangs it on the series or task. One of the same type
// that is there already is destroyed when the new one has been made: pointers to it are not valid
// any more, and the arguments may refer to it.
template <ContextType T, class... Args>
T &emplace_context(SeriesWork &series, Args &&...args) {
    return detail::ContextAccess::emplace<T>(detail::ContextAccess::of(series),
                                             std::forward<Args>(args)...);
}

template <ContextType T, class... Args>
T &emplace_context(SubTask &task, Args &&...args) {
    return detail::ContextAccess::emplace<T>(detail::ContextAccess::of(task),
                                             std::forward<Args>(args)...);
}

// The context of this type, which is valid until it is replaced or removed or its owner goes; NULL
// when there is none.
template <ContextType T>
T *find_context(const SeriesWork &series) {
    return detail::ContextAccess::find<T>(detail::ContextAccess::of(series));
}

template <ContextType T>
T *find_context(const SubTask &task) {
    return detail::ContextAccess::find<T>(detail::ContextAccess::of(task));
}

// Destroys the context of this type now. False: there was none.
template <ContextType T>
bool remove_context(SeriesWork &series) {
    return detail::ContextAccess::remove<T>(detail::ContextAccess::of(series));
}

template <ContextType T>
bool remove_context(SubTask &task) {
    return detail::ContextAccess::remove<T>(detail::ContextAccess::of(task));
}

// A module is a series too; these are the contexts of the task. Those of what runs in it hang on
// its sub_series().
template <ContextType T, class... Args>
T &emplace_context(WFModuleTask &task, Args &&...args) {
    return emplace_context<T>(static_cast<SubTask &>(static_cast<ParallelTask &>(task)),
                              std::forward<Args>(args)...);
}

template <ContextType T>
T *find_context(const WFModuleTask &task) {
    return find_context<T>(static_cast<const SubTask &>(static_cast<const ParallelTask &>(task)));
}

template <ContextType T>
bool remove_context(WFModuleTask &task) {
    return remove_context<T>(static_cast<SubTask &>(static_cast<ParallelTask &>(task)));
}

} // namespace wf

#endif
