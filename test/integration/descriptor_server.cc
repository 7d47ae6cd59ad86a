// Weft - integration: a hello server in a process of its own, to be starved of descriptors
// SPDX-License-Identifier: Apache-2.0
//
// Prints its port and that of a second server beside it, serves until TERM, then says how it went.
// Started by descriptor_test.cc. Some paths let the program itself starve the server: /take begins
// to take every descriptor there is, in a thread that does not let up, so that it also gets those
// that are free for a moment only; /flicker takes one again and again and gives it back at once;
// /enough ends either thread, /release gives all back. /refused says how many newcomers found no
// descriptor.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "workflow/WFFacilities.h"
#include "workflow/WFHttpServer.h"

static WFFacilities::WaitGroup stop_asked(1);

static void on_signal(int) { stop_asked.done(); }

// One at a time uses it: the test's only client that asks for it.
class Taker {
public:
    ~Taker() { release(); }
    void take() {
        enough_ = false;
        thread_ = std::thread([this] {
            while (!enough_) {
                int fd = dup(STDOUT_FILENO);
                if (fd >= 0)
                    taken_.push_back(fd);
            }
        });
    }
    void flicker() {
        enough_ = false;
        thread_ = std::thread([this] {
            while (!enough_) {
                close(dup(STDOUT_FILENO));
                // tidy: allow test-sleep - it waits for nothing, this is how often it takes one
                std::this_thread::sleep_for(std::chrono::microseconds(100));
            }
        });
    }
    void enough() {
        enough_ = true;
        if (thread_.joinable())
            thread_.join();
    }
    void release() {
        enough();
        for (int fd : taken_)
            close(fd);
        taken_.clear();
    }

private:
    std::atomic<bool> enough_{false};
    std::thread thread_;
    std::vector<int> taken_;
};

static void serve(WFHttpTask *task, WFHttpServer *server, Taker *taker) {
    std::string path = task->get_req()->get_request_uri();
    std::string body = "hello";
    if (path == "/take")
        taker->take();
    else if (path == "/flicker")
        taker->flicker();
    else if (path == "/enough")
        taker->enough();
    else if (path == "/release")
        taker->release();
    else if (path == "/refused")
        body = std::to_string(server->get_close_count(CCR_REFUSED_NO_FD));
    task->get_resp()->append_output_body(body);
}

static unsigned port_of(const WFHttpServer &server) {
    sockaddr_in addr = {};
    socklen_t len = sizeof addr;
    server.get_listen_addr(reinterpret_cast<sockaddr *>(&addr), &len);
    return ntohs(addr.sin_port);
}

int main() {
    WFServerParams params = HTTP_SERVER_PARAMS_DEFAULT;
    params.max_connections = 100000;
    Taker taker;
    WFHttpServer *self = nullptr;
    WFHttpServer server(&params, [&](WFHttpTask *task) { serve(task, self, &taker); });
    self = &server;
    signal(SIGTERM, on_signal);
    if (server.start("127.0.0.1", 0) < 0) {
        perror("start");
        return 1;
    }
    WFHttpServer second(&params, [&](WFHttpTask *task) { serve(task, self, &taker); });
    if (second.start("127.0.0.1", 0) < 0) {
        perror("start");
        return 1;
    }
    printf("port %u\nsecond %u\n", port_of(server), port_of(second));
    fflush(stdout);
    stop_asked.wait();
    second.stop();
    server.stop();
    printf("stopped\n");
    return 0;
}
