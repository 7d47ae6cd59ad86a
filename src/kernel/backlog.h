// Weft - BacklogRule: when a peer takes too little of what waits to be sent to it; a pure structure
// SPDX-License-Identifier: Apache-2.0
//
// While more than a limit is unsent, a sample is taken every five seconds. One in which nearly
// nothing has moved is *stalled*; one in which the backlog has not shrunk enough is *slow*. Three
// stalled ones in a row, or twelve slow ones, are too many; and so are twelve that together have
// moved less than the rate asks for, since a peer that reads a little lets the system take much at
// once and then nothing for long. At or below the limit all is forgotten.
//
// The backlog of a sample is compared with the smallest one since: a sender that fills it up again
// whenever it has become small enough has a peer that takes enough. So a backlog that came back to
// where it had been before, while enough has moved, has not failed to shrink either. One that has
// done neither has grown, or stands still.
//
// Has no clock: whoever owns it says what time it is, and holds its lock.
#ifndef WEFT_SRC_KERNEL_BACKLOG_H
#define WEFT_SRC_KERNEL_BACKLOG_H

#include <stddef.h>
#include <stdint.h>

constexpr uint64_t BACKLOG_SAMPLE_NS = 5'000'000'000u;
constexpr size_t BACKLOG_STALLED = 1024; // bytes: a sample with less is stalled
constexpr unsigned BACKLOG_MOST_STALLED = 3;
constexpr unsigned BACKLOG_MOST_SLOW = 12;

class BacklogRule {
public:
    enum Verdict { OK, STALLED, SLOW };

    // `limit`: bytes that may wait, 0 for no rule at all. `min_rate`: bytes per second by which the
    // backlog must shrink; 0 or less for none, then only STALLED is found.
    BacklogRule(size_t limit, int min_rate)
        : limit_(limit),
          enough_(min_rate > 0 ? static_cast<size_t>(min_rate) * (BACKLOG_SAMPLE_NS / 1000000000u)
                               : 0) {}

    // Something is unsent, or more than before. Begins to look, if that is too much and it does not
    // look already.
    void begin(uint64_t now, size_t backlog) {
        if (is_running() || limit_ == 0 || backlog <= limit_)
            return;
        *this = BacklogRule(*this, now, backlog);
    }
    // That many bytes have moved, and this is left.
    void note(size_t moved, size_t backlog) {
        if (backlog <= limit_)
            next_ = UINT64_MAX;
        moved_ += moved;
        if (backlog < smallest_)
            smallest_ = backlog;
    }
    bool is_running() const { return next_ != UINT64_MAX; }
    // When sample() is to be called; UINT64_MAX when there is nothing to look at.
    uint64_t next_sample() const { return next_; }
    // Before its time: OK, and nothing else. Late: the sample is the longer.
    Verdict sample(uint64_t now, size_t backlog) {
        if (now < next_)
            return OK;
        note(0, backlog);
        if (!is_running())
            return OK;
        bool shrank = smallest_ + enough_ <= before_ || enough_ == 0;
        bool held = moved_ >= enough_ && smallest_ <= smallest_before_;
        stalled_ = moved_ < BACKLOG_STALLED ? stalled_ + 1 : 0;
        slow_ = shrank || held ? 0 : slow_ + 1;
        bool crept = count(moved_) < enough_ * BACKLOG_MOST_SLOW;
        next_ = now + BACKLOG_SAMPLE_NS;
        before_ = backlog;
        smallest_before_ = smallest_;
        smallest_ = backlog;
        moved_ = 0;
        if (stalled_ >= BACKLOG_MOST_STALLED)
            return STALLED;
        return slow_ >= BACKLOG_MOST_SLOW || crept ? SLOW : OK;
    }

private:
    BacklogRule(const BacklogRule &other, uint64_t now, size_t backlog)
        : limit_(other.limit_), enough_(other.enough_), next_(now + BACKLOG_SAMPLE_NS),
          before_(backlog), smallest_(backlog) {}

    // What the last twelve samples have moved; SIZE_MAX while there are fewer.
    size_t count(size_t moved) {
        history_[samples_ % BACKLOG_MOST_SLOW] =
            moved < UINT32_MAX ? static_cast<uint32_t>(moved) : UINT32_MAX;
        if (++samples_ < BACKLOG_MOST_SLOW)
            return SIZE_MAX;
        size_t sum = 0;
        for (uint32_t one : history_)
            sum += one;
        return sum;
    }

    size_t limit_;
    size_t enough_;                  // must move in a sample
    uint64_t next_ = UINT64_MAX;     // sample
    size_t before_ = 0;              // the backlog at the last sample,
    size_t smallest_ = 0;            // the smallest since,
    size_t smallest_before_ = 0;     // and the smallest in the sample before that
    size_t moved_ = 0;               // since the last sample
    uint8_t stalled_ = 0, slow_ = 0; // samples in a row
    uint32_t samples_ = 0;           // in all
    uint32_t history_[BACKLOG_MOST_SLOW] = {};
};

#endif
