// Weft public header, room: coro - mutex, semaphore, latch and bounded queue for coroutines (C++20)
// SPDX-License-Identifier: Apache-2.0
//
// Waiting suspends the coroutine and never a thread. Who waits is served in the order of coming,
// and goes on on a worker; a wait that is cut with its scope (wf/coro.h) ends with ECANCELED or
// ETIMEDOUT and has got nothing. Everything but the waits may be called on any thread, by anybody.
// The object must outlive those who wait.
#ifndef WEFT_SYNC_H
#define WEFT_SYNC_H

#include <deque>
#include <mutex>
#include <optional>

#include "coro.h"

namespace wf {

namespace detail {

// Who waits, in order; under the lock of the object that has it.
class WaitList {
public:
    class Waiter : public CoroWait {
    public:
        explicit Waiter(WaitList *list, std::mutex *mutex) : list_(list), mutex_(mutex) {}

    protected:
        ~Waiter() = default;
        bool take_back() override;
        // Waits in line, unless `get`, called with the lock, has got it after all. Whether the
        // coroutine stays suspended.
        template <class P, class GET>
        bool wait(std::coroutine_handle<P> handle, GET get) {
            this->begin(handle, handle.promise().scope);
            {
                std::lock_guard lock(*mutex_);
                if (get())
                    return false;
                this->enter();
            }
            return this->stay();
        }
        Status status() const {
            return this->error() ? Status::system(this->error()) : Status::success();
        }

    private:
        void enter();

        WaitList *list_;
        std::mutex *mutex_;
        Waiter *next_ = nullptr, *prev_ = nullptr;
        bool listed_ = false;
        friend class WaitList;
    };

    // The first, out of line; NULL when nobody waits.
    Waiter *take();
    bool empty() const { return !first_; }

private:
    void remove(Waiter *waiter);

    Waiter *first_ = nullptr, *last_ = nullptr;
};

} // namespace detail

// Counts permits. acquire() takes one, and waits as long as there is none.
class Semaphore {
public:
    explicit Semaphore(size_t permits) : permits_(permits) {}
    Semaphore(const Semaphore &) = delete;
    Semaphore &operator=(const Semaphore &) = delete;

    class Acquire : private detail::WaitList::Waiter {
    public:
        explicit Acquire(Semaphore *semaphore)
            : Waiter(&semaphore->waiters_, &semaphore->mutex_), semaphore_(semaphore) {}
        bool await_ready() const noexcept { return semaphore_->try_acquire(); }
        template <class P>
        bool await_suspend(std::coroutine_handle<P> handle) {
            return this->wait(handle, [this] {
                bool taken = semaphore_->permits_ > 0;
                semaphore_->permits_ -= taken ? 1 : 0;
                return taken;
            });
        }
        // Success: the permit is the caller's.
        [[nodiscard]] Status await_resume() const { return this->status(); }

    private:
        Semaphore *semaphore_;
    };
    // co_await semaphore.acquire() gives a Status.
    Acquire acquire() { return Acquire(this); }
    bool try_acquire();
    void release(size_t permits = 1);

private:
    std::mutex mutex_; // guards the rest
    size_t permits_;
    detail::WaitList waiters_;
    friend class Acquire;
};

// One coroutine at a time. `auto lock = co_await mutex.lock();` - held as long as `lock` lives, if
// lock.owns().
class Mutex {
public:
    class [[nodiscard]] Lock {
    public:
        explicit Lock(Mutex *mutex, Status status) : mutex_(mutex), status_(status) {}
        Lock(Lock &&other) noexcept
            : mutex_(std::exchange(other.mutex_, nullptr)), status_(other.status_) {}
        Lock &operator=(Lock &&) = delete;
        ~Lock() { this->unlock(); }
        bool owns() const { return mutex_ && status_.ok(); }
        const Status &status() const { return status_; }
        void unlock() {
            if (this->owns())
                mutex_->semaphore_.release();
            mutex_ = nullptr;
        }

    private:
        Mutex *mutex_; // NULL when it was unlocked
        Status status_;
    };
    class Locking {
    public:
        explicit Locking(Mutex *mutex) : mutex_(mutex), acquire_(&mutex->semaphore_) {}
        bool await_ready() const noexcept { return acquire_.await_ready(); }
        template <class P>
        bool await_suspend(std::coroutine_handle<P> handle) {
            return acquire_.await_suspend(handle);
        }
        Lock await_resume() const { return Lock(mutex_, acquire_.await_resume()); }

    private:
        Mutex *mutex_;
        Semaphore::Acquire acquire_;
    };
    Locking lock() { return Locking(this); }

private:
    Semaphore semaphore_{1};
};

// Opens once, when it was counted down to 0.
class Latch {
public:
    explicit Latch(size_t count) : left_(count) {}
    Latch(const Latch &) = delete;
    Latch &operator=(const Latch &) = delete;

    void count_down(size_t n = 1);
    bool is_open();

    class Wait : private detail::WaitList::Waiter {
    public:
        explicit Wait(Latch *latch) : Waiter(&latch->waiters_, &latch->mutex_), latch_(latch) {}
        bool await_ready() const { return latch_->is_open(); }
        template <class P>
        bool await_suspend(std::coroutine_handle<P> handle) {
            return this->wait(handle, [this] { return latch_->left_ == 0; });
        }
        [[nodiscard]] Status await_resume() const { return this->status(); }

    private:
        Latch *latch_;
    };
    Wait wait() { return Wait(this); }

private:
    std::mutex mutex_; // guards the rest
    size_t left_;
    detail::WaitList waiters_;
    friend class Wait;
};

// A queue of at most `room` values between coroutines. push() waits for room, pop() for a value;
// after close() pushes fail with EPIPE, and pops too when it is empty.
template <class T>
class Queue {
public:
    explicit Queue(size_t room) : room_(room) {}

    Task<Status> push(T value) {
        Status status = co_await room_.acquire();
        if (!status.ok())
            co_return status;
        if (!this->put(std::move(value))) {
            room_.release();
            co_return Status::system(EPIPE);
        }
        filled_.release();
        co_return status;
    }
    Task<Result<T>> pop() {
        Status status = co_await filled_.acquire();
        if (!status.ok())
            co_return Result<T>(status);
        std::optional<T> value = this->get();
        if (!value) { // closed and empty: the next one is to find that too
            filled_.release();
            co_return Result<T>(Status::system(EPIPE));
        }
        room_.release();
        co_return Result<T>(status, std::move(*value));
    }
    // Any thread. What is in it can still be popped.
    void close() {
        {
            std::lock_guard lock(mutex_);
            if (std::exchange(closed_, true))
                return;
        }
        filled_.release(); // one permit beyond the values: it wakes all, one by one
        room_.release();
    }

private:
    bool put(T &&value) {
        std::lock_guard lock(mutex_);
        if (!closed_)
            values_.push_back(std::move(value));
        return !closed_;
    }
    std::optional<T> get() {
        std::lock_guard lock(mutex_);
        if (values_.empty())
            return std::nullopt;
        std::optional<T> value(std::move(values_.front()));
        values_.pop_front();
        return value;
    }

    Semaphore room_;
    Semaphore filled_{0};
    std::mutex mutex_; // guards the rest
    std::deque<T> values_;
    bool closed_ = false;
};

} // namespace wf

#endif
