// Weft public header, room: coro - how something ended, as a value (C++20)
// SPDX-License-Identifier: Apache-2.0
#ifndef WEFT_RESULT_H
#define WEFT_RESULT_H

#include <string>
#include <utility>

#if defined(__cpp_exceptions)
#include <exception>
#endif

#include "../WFTask.h"

namespace wf {

// State and error of a task: one of WFT_STATE_*, and what belongs to it.
struct Status {
    int state = WFT_STATE_UNDEFINED;
    int error = 0;

    bool ok() const { return state == WFT_STATE_SUCCESS; }
    explicit operator bool() const { return this->ok(); }
    bool is_timeout() const { return state == WFT_STATE_SYS_ERROR && error == ETIMEDOUT; }
    bool is_canceled() const { return state == WFT_STATE_SYS_ERROR && error == ECANCELED; }
    // In English, for people.
    std::string message() const;

    static Status success() { return {WFT_STATE_SUCCESS, 0}; }
    static Status system(int error) { return {WFT_STATE_SYS_ERROR, error}; }
};

#if defined(__cpp_exceptions)
// What Result::get() throws.
class Error : public std::exception {
public:
    explicit Error(const Status &status) : status_(status), text_(status.message()) {}
    const Status &status() const { return status_; }
    const char *what() const noexcept override { return text_.c_str(); }

private:
    Status status_;
    std::string text_;
};
#endif

namespace detail {
// Ends the process with a message, in programs without exceptions.
[[noreturn]] void no_value(const Status &status);
} // namespace detail

// How something ended, and what came of it. Unless ok() the value is what it was at first.
template <class T>
struct [[nodiscard]] Result : Status {
    T value{};

    Result() = default;
    Result(const Status &status) : Status(status) {}
    Result(const Status &status, T value_in) : Status(status), value(std::move(value_in)) {}

    // The value; without one throws Error, or in a program without exceptions ends it.
    T &get() & {
        this->check();
        return value;
    }
    T &&get() && {
        this->check();
        return std::move(value);
    }

private:
    void check() const {
        if (this->ok())
            return;
#if defined(__cpp_exceptions)
        // tidy: allow throw - asked for by get(), for programs that build with exceptions
        throw Error(*this);
#else
        detail::no_value(*this);
#endif
    }
};

} // namespace wf

#endif
