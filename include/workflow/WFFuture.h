// Weft public header, room: task - futures and promises whose waits cost the engine no thread
// SPDX-License-Identifier: Apache-2.0
#ifndef WEFT_WFFUTURE_H
#define WEFT_WFFUTURE_H

#include <chrono>
#include <future>
#include <utility>

#include "detail/runtime.h"

// A std::future that tells the engine when it really waits: on a thread of the engine, others take
// over meanwhile.
template <typename RES>
class WFFuture {
public:
    WFFuture() {}
    WFFuture(std::future<RES> &&fr) : future_(std::move(fr)) {}
    WFFuture(WFFuture &&move) noexcept : future_(std::move(move.future_)) {}
    WFFuture &operator=(WFFuture &&move) noexcept {
        this->future_ = std::move(move.future_);
        return *this;
    }

    WFFuture(const WFFuture &) = delete;
    WFFuture &operator=(const WFFuture &) = delete;

    void wait() const {
        if (this->is_ready())
            return;
        int cookie = wf::detail::runtime_wait_begin();
        this->future_.wait();
        wf::detail::runtime_wait_end(cookie);
    }

    template <class REP, class PERIOD>
    std::future_status wait_for(const std::chrono::duration<REP, PERIOD> &time_duration) const {
        if (this->is_ready())
            return std::future_status::ready;
        int cookie = wf::detail::runtime_wait_begin();
        std::future_status status = this->future_.wait_for(time_duration);
        wf::detail::runtime_wait_end(cookie);
        return status;
    }

    template <class CLOCK, class DURATION>
    std::future_status wait_until(
        const std::chrono::time_point<CLOCK, DURATION> &timeout_time) const {
        if (this->is_ready())
            return std::future_status::ready;
        int cookie = wf::detail::runtime_wait_begin();
        std::future_status status = this->future_.wait_until(timeout_time);
        wf::detail::runtime_wait_end(cookie);
        return status;
    }

    // Waits, and leaves the future invalid.
    RES get() {
        this->wait();
        return this->future_.get();
    }

    bool valid() const { return this->future_.valid(); }

private:
    bool is_ready() const {
        return this->future_.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
    }

    std::future<RES> future_;
};

namespace wf {
namespace detail {

// What both forms of WFPromise share. The future is made at once and the promise is moved away
// before its value is set: whoever waits may destroy the WFPromise as soon as it has the value,
// while set_value() is still at work.
template <typename RES>
class PromiseBase {
public:
    PromiseBase() : future_(this->promise_.get_future()) {}
    PromiseBase(PromiseBase &&move) noexcept
        : promise_(std::move(move.promise_)), future_(std::move(move.future_)) {}
    PromiseBase &operator=(PromiseBase &&move) noexcept {
        this->promise_ = std::move(move.promise_);
        this->future_ = std::move(move.future_);
        return *this;
    }

    PromiseBase(const PromiseBase &) = delete;
    PromiseBase &operator=(const PromiseBase &) = delete;

    // Once.
    WFFuture<RES> get_future() { return WFFuture<RES>(std::move(this->future_)); }

protected:
    std::promise<RES> take() { return std::move(this->promise_); }

private:
    std::promise<RES> promise_;
    std::future<RES> future_;
};

} // namespace detail
} // namespace wf

// The other end of a WFFuture: the value is set once, from any thread.
template <typename RES>
class WFPromise : public wf::detail::PromiseBase<RES> {
public:
    WFPromise() {}
    WFPromise(WFPromise &&move) noexcept : wf::detail::PromiseBase<RES>(std::move(move)) {}
    WFPromise &operator=(WFPromise &&move) noexcept {
        wf::detail::PromiseBase<RES>::operator=(std::move(move));
        return *this;
    }

    void set_value(const RES &value) { this->take().set_value(value); }
    void set_value(RES &&value) { this->take().set_value(std::move(value)); }
};

template <>
class WFPromise<void> : public wf::detail::PromiseBase<void> {
public:
    WFPromise() {}
    WFPromise(WFPromise &&move) noexcept : wf::detail::PromiseBase<void>(std::move(move)) {}
    WFPromise &operator=(WFPromise &&move) noexcept {
        wf::detail::PromiseBase<void>::operator=(std::move(move));
        return *this;
    }

    void set_value() { this->take().set_value(); }
};

#endif
