// Weft public header, room: factory - WFAlgoTaskFactory: sorting and other algorithms as compute tasks
// SPDX-License-Identifier: Apache-2.0
//
// A task of these works on the program's own array, which must stay where it is until the callback.
// It runs on a compute thread, in the queue of the given name, and calls back there. get_input() is
// what the factory was given; get_output() says in the callback where the result lies. A range
// whose last is not behind its first is empty. What an element's own operations or a comparator
// throw ends the task with WFT_STATE_TASK_ERROR, WFT_ERR_TASK_EXCEPTION. Callbacks may be nullptr.
#ifndef WEFT_WFALGOTASKFACTORY_H
#define WEFT_WFALGOTASKFACTORY_H

#include <string>
#include <utility>
#include <vector>

#include "WFTaskFactory.h"

namespace algorithm {

template <typename T>
struct SortInput {
    T *first;
    T *last;
};

template <typename T>
struct SortOutput {
    T *first;
    T *last;
};

template <typename T>
struct MergeInput {
    T *first1;
    T *last1;
    T *first2;
    T *last2;
    T *d_first;
};

template <typename T>
struct MergeOutput {
    T *first;
    T *last;
};

template <typename T>
struct ShuffleInput {
    T *first;
    T *last;
};

template <typename T>
struct ShuffleOutput {
    T *first;
    T *last;
};

template <typename T>
struct RemoveInput {
    T *first;
    T *last;
    T value;
};

// Up to `last` stands what was kept; what is behind it has values of no meaning.
template <typename T>
struct RemoveOutput {
    T *first;
    T *last;
};

template <typename T>
struct UniqueInput {
    T *first;
    T *last;
};

// As RemoveOutput.
template <typename T>
struct UniqueOutput {
    T *first;
    T *last;
};

template <typename T>
struct ReverseInput {
    T *first;
    T *last;
};

template <typename T>
struct ReverseOutput {
    T *first;
    T *last;
};

template <typename T>
struct RotateInput {
    T *first;
    T *middle;
    T *last;
};

template <typename T>
struct RotateOutput {
    T *first;
    T *last;
};

// Pairs to be reduced by key; no task of the library works on them.
template <typename KEY = std::string, typename VAL = std::string>
using ReduceInput = std::vector<std::pair<KEY, VAL>>;

template <typename KEY = std::string, typename VAL = std::string>
using ReduceOutput = std::vector<std::pair<KEY, VAL>>;

} // namespace algorithm

template <typename T>
using WFSortTask = WFThreadTask<algorithm::SortInput<T>, algorithm::SortOutput<T>>;
template <typename T>
using sort_callback_t = std::function<void(WFSortTask<T> *)>;

template <typename T>
using WFMergeTask = WFThreadTask<algorithm::MergeInput<T>, algorithm::MergeOutput<T>>;
template <typename T>
using merge_callback_t = std::function<void(WFMergeTask<T> *)>;

template <typename T>
using WFShuffleTask = WFThreadTask<algorithm::ShuffleInput<T>, algorithm::ShuffleOutput<T>>;
template <typename T>
using shuffle_callback_t = std::function<void(WFShuffleTask<T> *)>;

template <typename T>
using WFRemoveTask = WFThreadTask<algorithm::RemoveInput<T>, algorithm::RemoveOutput<T>>;
template <typename T>
using remove_callback_t = std::function<void(WFRemoveTask<T> *)>;

template <typename T>
using WFUniqueTask = WFThreadTask<algorithm::UniqueInput<T>, algorithm::UniqueOutput<T>>;
template <typename T>
using unique_callback_t = std::function<void(WFUniqueTask<T> *)>;

template <typename T>
using WFReverseTask = WFThreadTask<algorithm::ReverseInput<T>, algorithm::ReverseOutput<T>>;
template <typename T>
using reverse_callback_t = std::function<void(WFReverseTask<T> *)>;

template <typename T>
using WFRotateTask = WFThreadTask<algorithm::RotateInput<T>, algorithm::RotateOutput<T>>;
template <typename T>
using rotate_callback_t = std::function<void(WFRotateTask<T> *)>;

class WFAlgoTaskFactory {
public:
    // Sorts by `<`, or by a comparator, on one thread. Not stable.
    template <typename T, class CB = sort_callback_t<T>>
    static WFSortTask<T> *create_sort_task(const std::string &queue_name, T *first, T *last,
                                           CB callback);
    template <typename T, class CMP, class CB = sort_callback_t<T>>
    static WFSortTask<T> *create_sort_task(const std::string &queue_name, T *first, T *last,
                                           CMP compare, CB callback);

    // The same on all compute threads: the range is parted in place, and the parts are sorted side
    // by side in the same queue. Needs no memory beside the range; elements are only moved. The
    // comparator is copied, and called on several threads at a time. A process that ends while it
    // runs leaves the elements in any order, with WFT_STATE_ABORTED.
    template <typename T, class CB = sort_callback_t<T>>
    static WFSortTask<T> *create_psort_task(const std::string &queue_name, T *first, T *last,
                                            CB callback);
    template <typename T, class CMP, class CB = sort_callback_t<T>>
    static WFSortTask<T> *create_psort_task(const std::string &queue_name, T *first, T *last,
                                            CMP compare, CB callback);

    // Merges two sorted ranges into a third, which must have room and must not overlap them. Of
    // equal elements those of the first range come first. Elements are copied; those that cannot be
    // are moved.
    template <typename T, class CB = merge_callback_t<T>>
    static WFMergeTask<T> *create_merge_task(const std::string &queue_name, T *first1, T *last1,
                                             T *first2, T *last2, T *d_first, CB callback);
    template <typename T, class CMP, class CB = merge_callback_t<T>>
    static WFMergeTask<T> *create_merge_task(const std::string &queue_name, T *first1, T *last1,
                                             T *first2, T *last2, T *d_first, CMP compare,
                                             CB callback);

    // Brings the elements into a random order, by a generator of the task's own that no one can
    // foresee, or by a copy of the given one.
    template <typename T, class CB = shuffle_callback_t<T>>
    static WFShuffleTask<T> *create_shuffle_task(const std::string &queue_name, T *first, T *last,
                                                 CB callback);
    template <typename T, class URBG, class CB = shuffle_callback_t<T>>
    static WFShuffleTask<T> *create_shuffle_task(const std::string &queue_name, T *first, T *last,
                                                 URBG generator, CB callback);

    // Moves what is not equal to the value to the front, in its order; get_output()->last is its
    // end.
    template <typename T, class CB = remove_callback_t<T>>
    static WFRemoveTask<T> *create_remove_task(const std::string &queue_name, T *first, T *last,
                                               T value, CB callback);

    // Keeps the first of each run of equal elements; get_output()->last is the end of what is kept.
    template <typename T, class CB = unique_callback_t<T>>
    static WFUniqueTask<T> *create_unique_task(const std::string &queue_name, T *first, T *last,
                                               CB callback);

    template <typename T, class CB = reverse_callback_t<T>>
    static WFReverseTask<T> *create_reverse_task(const std::string &queue_name, T *first, T *last,
                                                 CB callback);

    // Makes the element at `middle`, which lies in the range, the first, and what was before it the
    // end.
    template <typename T, class CB = rotate_callback_t<T>>
    static WFRotateTask<T> *create_rotate_task(const std::string &queue_name, T *first, T *middle,
                                               T *last, CB callback);
};

#include "WFAlgoTaskFactory.inl"

#endif
