// Weft - tutorial 15: a line protocol, keys and values
// SPDX-License-Identifier: Apache-2.0
//
// GET key, SET key value, DEL key, QUIT; one line of answer for each. Page:
// docs/tutorial-15-line_protocol.md

#include <memory>
#include <mutex>
#include <stdio.h>
#include <string>
#include <unordered_map>

#include "workflow/wf/tcp_server.h"

#include "args.h"

namespace {

constexpr size_t MAX_LINE = 4 * 1024;   // of a command
constexpr size_t MAX_BYTES = 64 * 1024; // a line that is longer is not even waited for
constexpr size_t MAX_KEY = 250;
constexpr size_t MAX_KEYS = 100 * 1000;
constexpr size_t HIGH_WATER = 256 * 1024; // answers that one client may leave unread

// The keys and their values. Any thread.
class Store {
public:
    std::string get(const std::string &key) {
        std::lock_guard<std::mutex> lock(mutex_);
        auto at = values_.find(key);
        return at == values_.end() ? "NONE" : "VALUE " + at->second;
    }
    std::string set(const std::string &key, std::string value) {
        std::lock_guard<std::mutex> lock(mutex_);
        if (values_.size() >= MAX_KEYS && !values_.count(key))
            return "ERROR no room for another key";
        values_[key] = std::move(value);
        return "OK";
    }
    std::string del(const std::string &key) {
        std::lock_guard<std::mutex> lock(mutex_);
        return values_.erase(key) ? "OK" : "NONE";
    }

private:
    std::mutex mutex_;
    std::unordered_map<std::string, std::string> values_;
};

// Takes the first word off, and the one space behind it.
std::string take_word(std::string_view *text) {
    size_t end = text->find(' ');
    std::string word(text->substr(0, end));
    text->remove_prefix(end == std::string_view::npos ? text->size() : end + 1);
    return word;
}

std::string run(Store &store, std::string_view line) {
    if (line.size() > MAX_LINE)
        return "ERROR line too long";
    std::string command = take_word(&line);
    bool has_value = line.find(' ') != std::string_view::npos;
    std::string key = take_word(&line);
    if (command != "GET" && command != "SET" && command != "DEL")
        return "ERROR unknown command, try GET, SET, DEL or QUIT";
    if (key.empty() || key.size() > MAX_KEY)
        return "ERROR a key has 1 to 250 bytes";
    if (command == "SET")
        return has_value ? store.set(key, std::string(line)) : "ERROR usage: SET key value";
    if (has_value)
        return "ERROR usage: " + command + " key";
    return command == "GET" ? store.get(key) : store.del(key);
}

} // namespace

int main(int argc, char *argv[]) {
    unsigned short port = 0;
    if (argc != 2 || !parse_port(argv[1], &port)) {
        fprintf(stderr,
                "usage: %s PORT\n"
                "Keeps values by their keys for whoever connects to PORT (0: a free one).\n",
                argv[0]);
        return 2;
    }

    watch_ctrl_c();
    Store store;
    wf::TcpServer server;
    server.set_framing(wf::delimiter_framing("\n", MAX_BYTES));
    server.options().high_water = HIGH_WATER;
    server.options().low_water = HIGH_WATER / 4;
    server.on_message([&store](wf::Channel &channel, const wf::Frame &frame) {
        if (channel.context<bool>()) // behind QUIT nothing counts
            return;
        if (frame.bytes == "QUIT") {
            channel.set_context(std::make_shared<bool>(true));
            channel.send("BYE");
            channel.shutdown();
            return;
        }
        channel.send(run(store, frame.bytes));
        // Whoever does not read his answers is not asked what else he wants.
        if (channel.get_queued() > HIGH_WATER)
            channel.stop_read();
    });
    server.events().low_water = [](wf::Channel &channel) { channel.start_read(); };

    if (server.start(port) < 0) {
        perror("cannot start the server");
        return 1;
    }
    printf("listening on port %u; Ctrl-C ends\n", port_of(server));
    fflush(stdout);
    ctrl_c_group().wait();
    server.stop();
    printf("stopped\n");
    return 0;
}
