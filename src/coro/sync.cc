// Weft - mutex, semaphore and latch for coroutines
// SPDX-License-Identifier: Apache-2.0
#include "workflow/wf/sync.h"

namespace wf {

namespace detail {

void WaitList::Waiter::enter() {
    prev_ = list_->last_;
    next_ = nullptr;
    (prev_ ? prev_->next_ : list_->first_) = this;
    list_->last_ = this;
    listed_ = true;
}

bool WaitList::Waiter::take_back() {
    std::lock_guard lock(*mutex_);
    if (!listed_)
        return false;
    list_->remove(this);
    return true;
}

void WaitList::remove(Waiter *waiter) {
    waiter->listed_ = false;
    (waiter->prev_ ? waiter->prev_->next_ : first_) = waiter->next_;
    (waiter->next_ ? waiter->next_->prev_ : last_) = waiter->prev_;
}

WaitList::Waiter *WaitList::take() {
    Waiter *first = first_;
    if (first)
        this->remove(first);
    return first;
}

} // namespace detail

bool Semaphore::try_acquire() {
    std::lock_guard lock(mutex_);
    if (permits_ == 0)
        return false;
    permits_--;
    return true;
}

// A permit goes straight to who waits: nobody who comes later can take it before.
void Semaphore::release(size_t permits) {
    for (; permits > 0; permits--) {
        detail::WaitList::Waiter *waiter;
        {
            std::lock_guard lock(mutex_);
            waiter = waiters_.take();
            if (!waiter)
                permits_++;
        }
        if (waiter)
            waiter->wake();
    }
}

bool Latch::is_open() {
    std::lock_guard lock(mutex_);
    return left_ == 0;
}

void Latch::count_down(size_t n) {
    std::vector<detail::WaitList::Waiter *> woken;
    {
        std::lock_guard lock(mutex_);
        left_ -= n < left_ ? n : left_;
        while (left_ == 0 && !waiters_.empty())
            woken.push_back(waiters_.take());
    }
    // The latch may be gone as soon as the first goes on.
    for (detail::WaitList::Waiter *waiter : woken)
        waiter->wake();
}

} // namespace wf
