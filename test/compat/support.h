// Weft - what the compat tests share: waiting without sleeping, a log of events, ports, main-thread helpers
// SPDX-License-Identifier: Apache-2.0
//
// Owned by the test that declares the object; Event and Log may be used from any thread. A wait
// that is not satisfied within kPatienceMs returns false, so that a lost callback is a failure
// with a line number instead of a test that hangs.

#ifndef WEFT_TEST_COMPAT_SUPPORT_H
#define WEFT_TEST_COMPAT_SUPPORT_H

#include <arpa/inet.h>
#include <netinet/in.h>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace compat {

static const int kPatienceMs = 30000;

typedef std::chrono::steady_clock Clock;

inline double ms_since(Clock::time_point begin) {
    return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

// Counts up; a waiter waits for a count.
class Event {
public:
    void set() {
        std::lock_guard<std::mutex> lock(mutex_);
        count_++;
        condition_.notify_all();
    }

    bool wait(int count = 1) {
        std::unique_lock<std::mutex> lock(mutex_);
        return condition_.wait_for(lock, std::chrono::milliseconds(kPatienceMs),
                                   [this, count] { return count_ >= count; });
    }

    // True when the count was reached within that time: a pace for those who must be slow.
    bool wait_for(int ms, int count = 1) {
        std::unique_lock<std::mutex> lock(mutex_);
        return condition_.wait_for(lock, std::chrono::milliseconds(ms),
                                   [this, count] { return count_ >= count; });
    }

    int count() {
        std::lock_guard<std::mutex> lock(mutex_);
        return count_;
    }

private:
    std::mutex mutex_;
    std::condition_variable condition_;
    int count_ = 0;
};

// A text that grows, and the threads it grew on.
class Log {
public:
    void add(const std::string &text) {
        std::lock_guard<std::mutex> lock(mutex_);
        text_ += text;
        threads_.push_back(std::this_thread::get_id());
    }

    std::string text() {
        std::lock_guard<std::mutex> lock(mutex_);
        return text_;
    }

    // True when all entries were made on one thread.
    bool one_thread() {
        std::lock_guard<std::mutex> lock(mutex_);
        for (const std::thread::id &id : threads_) {
            if (id != threads_[0])
                return false;
        }
        return true;
    }

private:
    std::mutex mutex_;
    std::string text_;
    std::vector<std::thread::id> threads_;
};

// Writes to a log when it dies. Captured by a callback it tells when the task was deleted.
class Obituary {
public:
    Obituary(Log *log, const std::string &text) : log_(log), text_(text) {}
    ~Obituary() { log_->add(text_); }
    Obituary(const Obituary &) = delete;
    Obituary &operator=(const Obituary &) = delete;

private:
    Log *log_;
    std::string text_;
};

template <class Server>
unsigned short port_of(const Server &server) {
    struct sockaddr_storage addr;
    socklen_t len = sizeof addr;
    if (server.get_listen_addr(reinterpret_cast<struct sockaddr *>(&addr), &len) < 0)
        return 0;
    return ntohs(reinterpret_cast<struct sockaddr_in *>(&addr)->sin_port);
}

inline std::string url_of(unsigned short port, const std::string &path = "/") {
    return "http://127.0.0.1:" + std::to_string(port) + path;
}

} // namespace compat

#endif
