// Weft - what the tests of the room task share: events, a log, small tasks, an engine of the test's own
// SPDX-License-Identifier: Apache-2.0
//
// Event and Log may be used from any thread. A wait that is not satisfied in time returns false: a
// lost callback is a failure with a line number, and not a test that hangs.
#ifndef WEFT_TEST_TASK_SUPPORT_H
#define WEFT_TEST_TASK_SUPPORT_H

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "workflow/CommScheduler.h"
#include "workflow/Executor.h"
#include "workflow/WFTask.h"
#include "workflow/Workflow.h"

namespace tasktest {

class Event {
public:
    void set();
    bool wait(int count = 1);
    int count();

private:
    std::mutex mutex_;
    std::condition_variable condition_;
    int count_ = 0;
};

class Log {
public:
    void add(const std::string &text);
    std::string text();

private:
    std::mutex mutex_;
    std::string text_;
};

// Writes to a log when it dies; held by a callback, it tells when that was freed.
class Obituary {
public:
    Obituary(Log *log, std::string text) : log_(log), text_(std::move(text)) {}
    ~Obituary() { log_->add(text_); }
    Obituary(const Obituary &) = delete;
    Obituary &operator=(const Obituary &) = delete;

private:
    Log *log_;
    std::string text_;
};

// A task that ends in place and writes its name: at its end, and when it is deleted without one.
class Say : public SubTask {
public:
    Say(Log *log, std::string name) : log_(log), name_(std::move(name)) {}
    ~Say() override;
    void dispatch() override { this->subtask_done(); }

private:
    SubTask *done() override;

    Log *log_;
    std::string name_;
    bool ended_ = false;
};

// A task that calls a function with itself, in place.
class Call : public SubTask {
public:
    explicit Call(std::function<void(SubTask *)> call) : call_(std::move(call)) {}
    void dispatch() override { this->subtask_done(); }

private:
    SubTask *done() override;

    std::function<void(SubTask *)> call_;
};

// A task that ends when somebody opens it.
class Gate : public SubTask {
public:
    explicit Gate(Event *dispatched = nullptr) : dispatched_(dispatched) {}
    void dispatch() override;
    void open() { this->subtask_done(); }

private:
    SubTask *done() override;

    Event *dispatched_;
};

// A scheduler that lives for the whole program, and takes what has grown too deep on other threads.
CommScheduler *scheduler();

// An executor and a queue of the test's own.
class Compute {
public:
    explicit Compute(size_t threads);
    ~Compute();

    Executor executor;
    ExecQueue queue;
};

} // namespace tasktest

#endif
