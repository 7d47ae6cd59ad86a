// Weft public header, room: factory - a sort that shares its work among the compute threads
// SPDX-License-Identifier: Apache-2.0
//
// For WFAlgoTaskFactory.inl; programs do not include it.
//
// A piece of work is a range that nobody else touches. Whoever has one parts it about an element
// from its middle, gives the larger side to the executor as a new piece, and goes on with the
// smaller, until what it has is small enough to be sorted on the spot. So there are no rounds, and
// no thread waits for another; whoever ends the last piece ends the task. Parting is in place.
#ifndef WEFT_DETAIL_PARALLEL_SORT_H
#define WEFT_DETAIL_PARALLEL_SORT_H

#include <algorithm>
#include <atomic>
#include <stddef.h>
#include <utility>

#include "../WFTask.h"
#include "compute_task.h"

namespace algorithm {
template <typename T>
struct SortInput;
template <typename T>
struct SortOutput;
} // namespace algorithm

namespace wf {
namespace detail {

struct Less {
    template <class T>
    bool operator()(const T &a, const T &b) const {
        return a < b;
    }
};

// How many elements of n a piece may have to be sorted on the spot: so few that there are some
// pieces for each compute thread, and so many that they are worth their while. n itself when there
// is one thread only.
size_t sort_piece(size_t n);

// What the pieces of a sort have in common but their types: how many are not done, and what went
// wrong first. From any thread.
class SortPieces {
public:
    SortPieces() : open_(1), failure_(0), error_(0) {}

    void add() { this->open_.fetch_add(1, std::memory_order_relaxed); }
    // True for the last.
    bool done() { return this->open_.fetch_sub(1, std::memory_order_acq_rel) == 1; }

    // A state of WFT_STATE_* and its error, before one's own done(); the first stays.
    void fail(int state, int error) {
        int none = 0;
        if (this->failure_.compare_exchange_strong(none, state))
            this->error_ = error;
    }
    // 0, or the state.
    int failure() const { return this->failure_.load(); }
    // For the last.
    int error() const { return this->error_; }

private:
    std::atomic<size_t> open_;
    std::atomic<int> failure_;
    int error_;
};

// Parts [first, last), which has two elements at least, about one from the middle of a sample.
// Afterwards nothing before *low is greater, and nothing from *high on is less, than what is
// between them, which is in its place.
template <typename T, class CMP>
void part_range(T *first, T *last, CMP compare, T **low, T **high) {
    enum { SAMPLE = 63 };
    T *sample[SAMPLE];
    size_t n = static_cast<size_t>(last - first);
    for (size_t i = 0; i < SAMPLE; i++)
        sample[i] = first + n / SAMPLE * i + n % SAMPLE * i / SAMPLE;
    std::nth_element(sample, sample + SAMPLE / 2, sample + SAMPLE,
                     [&compare](const T *a, const T *b) { return compare(*a, *b); });

    // The one to compare with stands in front meanwhile.
    using std::swap;
    T *middle = sample[SAMPLE / 2];
    if (middle != first)
        swap(*first, *middle);
    const T &pivot = *first;
    T *end = std::partition(first + 1, last,
                            [&compare, &pivot](const T &x) { return compare(x, pivot); });
    *low = end - 1;
    if (*low != first)
        swap(*first, **low);
    *high = end;

    // Few are less: many may be equal, and these are done with.
    if (static_cast<size_t>(*low - first) < n / 8) {
        const T &equal = **low;
        *high = std::partition(end, last,
                               [&compare, &equal](const T &x) { return !compare(equal, x); });
    }
}

template <typename T, class CMP>
class ParallelSort : public WFThreadTask<algorithm::SortInput<T>, algorithm::SortOutput<T>> {
private:
    typedef WFThreadTask<algorithm::SortInput<T>, algorithm::SortOutput<T>> Task;

public:
    ParallelSort(ExecQueue *queue_in, Executor *executor_in, CMP &&compare_in,
                 std::function<void(Task *)> &&cb)
        : Task(queue_in, executor_in, std::move(cb)), compare(std::move(compare_in)), limit(0) {}

protected:
    // The first piece.
    void execute() override {
        T *first = this->input.first;
        T *last = this->input.last;
        if (!(first < last))
            last = first;
        this->output.first = first;
        this->output.last = last;
        size_t n = static_cast<size_t>(last - first);
        this->limit = sort_piece(n);
        unsigned depth = 8; // then luck was bad: each parting should halve
        for (size_t left = n; left > this->limit; left /= 2)
            depth += 2;
        this->sort(first, last, depth);
    }

    void handle(int state_in, int error_in) override { this->piece_done(state_in, error_in); }

    ~ParallelSort() override {}

private:
    struct Range {
        ParallelSort *task;
        T *first;
        T *last;
        unsigned depth;
    };

    class Piece : public ExecSession {
    public:
        explicit Piece(const Range &range) : range_(range) {}

    private:
        void execute() override { range_.task->sort(range_.first, range_.last, range_.depth); }

        void handle(int state_in, int error_in) override {
            ParallelSort *task = range_.task;
            delete this;
            task->piece_done(state_in, error_in);
        }

        Range range_;
    };

    void sort(T *first, T *last, unsigned depth) {
        Range range = {this, first, last, depth};
        if (this->pieces.failure() == 0 && !run_body(sort_range, &range))
            this->pieces.fail(WFT_STATE_TASK_ERROR, WFT_ERR_TASK_EXCEPTION);
    }

    static void sort_range(void *arg) {
        Range range = *static_cast<Range *>(arg);
        ParallelSort *task = range.task;
        CMP compare = task->compare;
        while (static_cast<size_t>(range.last - range.first) > task->limit && range.depth > 0) {
            T *low, *high;
            part_range<T, CMP &>(range.first, range.last, compare, &low, &high);
            range.depth--;
            Range other = range;
            if (low - range.first < range.last - high) {
                range.last = low;
                other.first = high;
            } else {
                range.first = high;
                other.last = low;
            }
            task->give(other);
        }
        std::sort(range.first, range.last, compare);
    }

    // To another thread, or when none will take it, to this one.
    void give(const Range &range) {
        if (range.last - range.first < 2)
            return;
        Piece *piece = new Piece(range);
        this->pieces.add();
        if (this->executor->request(piece, this->queue) >= 0)
            return;
        delete piece;
        this->pieces.done();
        this->sort(range.first, range.last, range.depth);
    }

    // The states of executors are those of tasks.
    void piece_done(int state_in, int error_in) {
        if (state_in != ES_STATE_FINISHED)
            this->pieces.fail(state_in, error_in);
        if (this->pieces.done())
            Task::handle(this->pieces.failure(), this->pieces.error());
    }

    CMP compare;
    size_t limit;
    SortPieces pieces;
};

} // namespace detail
} // namespace wf

#endif
