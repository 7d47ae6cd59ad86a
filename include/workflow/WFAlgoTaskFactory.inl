// Weft public header, room: factory - template bodies of WFAlgoTaskFactory.h
// SPDX-License-Identifier: Apache-2.0
#ifndef WEFT_WFALGOTASKFACTORY_INL
#define WEFT_WFALGOTASKFACTORY_INL

#include <algorithm>
#include <iterator>
#include <random>
#include <type_traits>

#include "detail/parallel_sort.h"

namespace wf {
namespace detail {

// A seed that no one can foresee; from any thread.
unsigned long long shuffle_seed();

// Seen from the end, so that a range whose ends are swapped counts as empty.
template <typename T>
T *range_end(T *first, T *last) {
    return first < last ? last : first;
}

template <typename TASK, class ROUTINE, class CB>
TASK *algo_task(const std::string &queue_name, ROUTINE routine, CB callback) {
    return new TASK(runtime_exec_queue(queue_name.c_str()), runtime_compute_executor(),
                    std::move(routine), std::move(callback));
}

// Those whose input is a range, and nothing else.
template <template <typename> class IN, template <typename> class OUT, typename T, class ROUTINE,
          class CB>
WFThreadTask<IN<T>, OUT<T>> *range_task(const std::string &queue_name, T *first, T *last,
                                        ROUTINE routine, CB callback) {
    auto *task =
        algo_task<RoutineTask<IN<T>, OUT<T>>>(queue_name, std::move(routine), std::move(callback));
    task->get_input()->first = first;
    task->get_input()->last = last;
    return task;
}

template <typename T, class CMP>
T *merge_ranges(const algorithm::MergeInput<T> &in, T *end1, T *end2, CMP compare, std::true_type) {
    return std::merge(in.first1, end1, in.first2, end2, in.d_first, compare);
}

template <typename T, class CMP>
T *merge_ranges(const algorithm::MergeInput<T> &in, T *end1, T *end2, CMP compare,
                std::false_type) {
    return std::merge(std::make_move_iterator(in.first1), std::make_move_iterator(end1),
                      std::make_move_iterator(in.first2), std::make_move_iterator(end2), in.d_first,
                      compare);
}

} // namespace detail
} // namespace wf

template <typename T, class CMP, class CB>
WFSortTask<T> *WFAlgoTaskFactory::create_sort_task(const std::string &queue_name, T *first, T *last,
                                                   CMP compare, CB callback) {
    typedef algorithm::SortInput<T> In;
    typedef algorithm::SortOutput<T> Out;
    return wf::detail::range_task<algorithm::SortInput, algorithm::SortOutput>(
        queue_name, first, last,
        [compare](In *in, Out *out) {
            out->first = in->first;
            out->last = wf::detail::range_end(in->first, in->last);
            std::sort(out->first, out->last, compare);
        },
        std::move(callback));
}

template <typename T, class CB>
WFSortTask<T> *WFAlgoTaskFactory::create_sort_task(const std::string &queue_name, T *first, T *last,
                                                   CB callback) {
    return create_sort_task(queue_name, first, last, wf::detail::Less(), std::move(callback));
}

template <typename T, class CMP, class CB>
WFSortTask<T> *WFAlgoTaskFactory::create_psort_task(const std::string &queue_name, T *first,
                                                    T *last, CMP compare, CB callback) {
    auto *task = wf::detail::algo_task<wf::detail::ParallelSort<T, CMP>>(
        queue_name, std::move(compare), std::move(callback));
    task->get_input()->first = first;
    task->get_input()->last = last;
    return task;
}

template <typename T, class CB>
WFSortTask<T> *WFAlgoTaskFactory::create_psort_task(const std::string &queue_name, T *first,
                                                    T *last, CB callback) {
    return create_psort_task(queue_name, first, last, wf::detail::Less(), std::move(callback));
}

template <typename T, class CMP, class CB>
WFMergeTask<T> *WFAlgoTaskFactory::create_merge_task(const std::string &queue_name, T *first1,
                                                     T *last1, T *first2, T *last2, T *d_first,
                                                     CMP compare, CB callback) {
    typedef algorithm::MergeInput<T> In;
    typedef algorithm::MergeOutput<T> Out;
    auto *task = wf::detail::algo_task<wf::detail::RoutineTask<In, Out>>(
        queue_name,
        [compare](In *in, Out *out) {
            out->first = in->d_first;
            out->last = wf::detail::merge_ranges(
                *in, wf::detail::range_end(in->first1, in->last1),
                wf::detail::range_end(in->first2, in->last2), compare,
                std::integral_constant<bool, std::is_copy_assignable<T>::value>());
        },
        std::move(callback));
    *task->get_input() = In{first1, last1, first2, last2, d_first};
    return task;
}

template <typename T, class CB>
WFMergeTask<T> *WFAlgoTaskFactory::create_merge_task(const std::string &queue_name, T *first1,
                                                     T *last1, T *first2, T *last2, T *d_first,
                                                     CB callback) {
    return create_merge_task(queue_name, first1, last1, first2, last2, d_first, wf::detail::Less(),
                             std::move(callback));
}

template <typename T, class URBG, class CB>
WFShuffleTask<T> *WFAlgoTaskFactory::create_shuffle_task(const std::string &queue_name, T *first,
                                                         T *last, URBG generator, CB callback) {
    typedef algorithm::ShuffleInput<T> In;
    typedef algorithm::ShuffleOutput<T> Out;
    return wf::detail::range_task<algorithm::ShuffleInput, algorithm::ShuffleOutput>(
        queue_name, first, last,
        [generator](In *in, Out *out) mutable {
            out->first = in->first;
            out->last = wf::detail::range_end(in->first, in->last);
            std::shuffle(out->first, out->last, generator);
        },
        std::move(callback));
}

template <typename T, class CB>
WFShuffleTask<T> *WFAlgoTaskFactory::create_shuffle_task(const std::string &queue_name, T *first,
                                                         T *last, CB callback) {
    return create_shuffle_task(queue_name, first, last, std::mt19937_64(wf::detail::shuffle_seed()),
                               std::move(callback));
}

template <typename T, class CB>
WFRemoveTask<T> *WFAlgoTaskFactory::create_remove_task(const std::string &queue_name, T *first,
                                                       T *last, T value, CB callback) {
    typedef algorithm::RemoveInput<T> In;
    typedef algorithm::RemoveOutput<T> Out;
    auto *task = wf::detail::range_task<algorithm::RemoveInput, algorithm::RemoveOutput>(
        queue_name, first, last,
        [](In *in, Out *out) {
            out->first = in->first;
            out->last =
                std::remove(in->first, wf::detail::range_end(in->first, in->last), in->value);
        },
        std::move(callback));
    task->get_input()->value = std::move(value);
    return task;
}

template <typename T, class CB>
WFUniqueTask<T> *WFAlgoTaskFactory::create_unique_task(const std::string &queue_name, T *first,
                                                       T *last, CB callback) {
    typedef algorithm::UniqueInput<T> In;
    typedef algorithm::UniqueOutput<T> Out;
    return wf::detail::range_task<algorithm::UniqueInput, algorithm::UniqueOutput>(
        queue_name, first, last,
        [](In *in, Out *out) {
            out->first = in->first;
            out->last = std::unique(in->first, wf::detail::range_end(in->first, in->last));
        },
        std::move(callback));
}

template <typename T, class CB>
WFReverseTask<T> *WFAlgoTaskFactory::create_reverse_task(const std::string &queue_name, T *first,
                                                         T *last, CB callback) {
    typedef algorithm::ReverseInput<T> In;
    typedef algorithm::ReverseOutput<T> Out;
    return wf::detail::range_task<algorithm::ReverseInput, algorithm::ReverseOutput>(
        queue_name, first, last,
        [](In *in, Out *out) {
            out->first = in->first;
            out->last = wf::detail::range_end(in->first, in->last);
            std::reverse(out->first, out->last);
        },
        std::move(callback));
}

template <typename T, class CB>
WFRotateTask<T> *WFAlgoTaskFactory::create_rotate_task(const std::string &queue_name, T *first,
                                                       T *middle, T *last, CB callback) {
    typedef algorithm::RotateInput<T> In;
    typedef algorithm::RotateOutput<T> Out;
    auto *task = wf::detail::algo_task<wf::detail::RoutineTask<In, Out>>(
        queue_name,
        [](In *in, Out *out) {
            out->first = in->first;
            out->last = wf::detail::range_end(in->first, in->last);
            if (in->middle > out->first && in->middle < out->last)
                std::rotate(out->first, in->middle, out->last);
        },
        std::move(callback));
    *task->get_input() = In{first, middle, last};
    return task;
}

#endif
