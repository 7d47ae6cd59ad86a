// Weft - for tests of channels: a server on a free port, and a record of what happened that can be waited for
// SPDX-License-Identifier: Apache-2.0
//
// A Record may be written by any thread; the test's own waits for it, with a limit, so that a test
// fails and never hangs.

#ifndef WEFT_TEST_INTEGRATION_CHANNEL_SUPPORT_H
#define WEFT_TEST_INTEGRATION_CHANNEL_SUPPORT_H

#include <arpa/inet.h>
#include <netinet/in.h>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <vector>

#include "integration/raw_socket.h"
#include "workflow/wf/tcp_client.h"
#include "workflow/wf/tcp_server.h"

class Record {
public:
    void add(std::string line) {
        std::lock_guard<std::mutex> lock(mutex_);
        lines_.push_back(std::move(line));
        changed_.notify_all();
    }
    // Until that many are there.
    bool wait(size_t count) {
        std::unique_lock<std::mutex> lock(mutex_);
        return changed_.wait_for(lock, std::chrono::milliseconds(raw::kPatienceMs),
                                 [&] { return lines_.size() >= count; });
    }
    // Until one is exactly that.
    bool wait(const std::string &line) {
        std::unique_lock<std::mutex> lock(mutex_);
        return changed_.wait_for(lock, std::chrono::milliseconds(raw::kPatienceMs), [&] {
            for (const std::string &one : lines_) {
                if (one == line)
                    return true;
            }
            return false;
        });
    }
    std::vector<std::string> lines() const {
        std::lock_guard<std::mutex> lock(mutex_);
        return lines_;
    }
    size_t count(const std::string &line) const {
        size_t n = 0;
        for (const std::string &one : lines())
            n += one == line;
        return n;
    }

private:
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<std::string> lines_;
};

// A gate that a callback blocks at, until it is opened.
class Gate {
public:
    void open() {
        std::lock_guard<std::mutex> lock(mutex_);
        open_ = true;
        changed_.notify_all();
    }
    bool pass() {
        std::unique_lock<std::mutex> lock(mutex_);
        return changed_.wait_for(lock, std::chrono::milliseconds(raw::kPatienceMs),
                                 [this] { return open_; });
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    bool open_ = false;
};

inline unsigned short listen_on_free_port(wf::TcpServer &server, const char *cert = nullptr,
                                          const char *key = nullptr) {
    struct sockaddr_in addr = {};
    socklen_t len = sizeof addr;
    if (server.start(AF_INET, "127.0.0.1", 0, cert, key) < 0 ||
        server.get_listen_addr(reinterpret_cast<struct sockaddr *>(&addr), &len) < 0)
        return 0;
    return ntohs(addr.sin_port);
}

inline std::string event_name(const CommChannelEvent &event) {
    static const char *const names[] = {"connecting", "established", "written",
                                        "high water", "low water",   "finished",
                                        "heartbeat",  "error",       "closed"};
    std::string name = names[event.type];
    if (event.type == CCE_ERROR || event.type == CCE_CLOSED)
        name += " " + std::to_string(event.reason);
    return name;
}

#endif
