// Weft - integration: the tutorials on counters, mailboxes, selectors, limits and modules
// SPDX-License-Identifier: Apache-2.0
#include <atomic>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "integration/peer.h"
#include "integration/raw_socket.h"
#include "integration/workshop.h"

namespace {

std::string program(const std::string &name) { return std::string(WEFT_TUTORIALS) + "/" + name; }

bool has(const std::string &text, const std::string &part) {
    return text.find(part) != std::string::npos;
}

std::string nowhere() { return "http://127.0.0.1:" + std::to_string(raw::refusing_port()) + "/"; }

TEST(TutorialCompose, BadCommandLines) {
    const std::vector<std::vector<std::string>> lines = {
        {"tally"},
        {"tally", "--help"},
        {"first_answer"},
        {"first_answer", "-1"},
        {"polite_wget"},
        {"polite_wget", "2"},
        {"polite_wget", "0", "http://127.0.0.1/"},
        {"polite_wget", "1001", "http://127.0.0.1/"},
        {"polite_wget", "many", "http://127.0.0.1/"},
        {"await_url"},
        {"await_url", "--help"},
        {"await_url", "http://127.0.0.1/", "0"},
        {"await_url", "http://127.0.0.1/", "x"},
        {"await_url", "http://127.0.0.1/", "1", "2"},
        {"timeline"},
        {"timeline", "page.html"},
    };
    for (std::vector<std::string> line : lines) {
        std::string text;
        for (const std::string &word : line)
            text += word + " ";
        line[0] = program(line[0]);
        peer::Result result = peer::run(line);
        EXPECT_EQ(2, result.status) << text;
        EXPECT_TRUE(has(result.err, "usage: ")) << text;
        EXPECT_EQ("", result.out) << text;
    }
}

TEST(TutorialCompose, Tally) {
    peer::TempDir dir;
    ASSERT_TRUE(dir.write("two", "one\ntwo\n"));
    ASSERT_TRUE(dir.write("none", ""));
    ASSERT_TRUE(dir.write("three", "a\nb\nc\nno end"));
    peer::Result result = peer::run(
        {program("tally"), dir.file("two"), dir.file("none"), dir.file("three"), dir.file("two")});
    EXPECT_EQ(0, result.status) << result.err;
    EXPECT_EQ("7 lines\n", result.out);
}

// The first that cannot be read finds the mailbox, and only the first.
TEST(TutorialCompose, TallyWithProblems) {
    peer::TempDir dir;
    ASSERT_TRUE(dir.write("two", "one\ntwo\n"));
    peer::Result result = peer::run(
        {program("tally"), dir.file("gone"), dir.file("two"), dir.file("gone"), dir.file("gone")});
    EXPECT_EQ(1, result.status) << result.err;
    EXPECT_TRUE(has(result.out, "2 lines\n")) << result.out;
    EXPECT_TRUE(has(result.out, "gone cannot be read\n")) << result.out;
    size_t first = result.out.find("cannot be read either");
    ASSERT_NE(std::string::npos, first) << result.out;
    EXPECT_NE(std::string::npos, result.out.find("cannot be read either", first + 1)) << result.out;
}

// A server with an answer that it holds back until it is told to give it.
class Holding {
public:
    Holding()
        : server_([this](WFHttpTask *task) {
              if (std::string(task->get_req()->get_request_uri()) != "/held")
                  task->get_resp()->append_output_body("quick");
              else
                  *series_of(task) << WFTaskFactory::create_conditional(
                      "held", WFTaskFactory::create_counter_task(
                                  0, [this](WFCounterTask *) { given_ = true; }));
          }) {
        EXPECT_EQ(0, server_.start("127.0.0.1", 0));
    }
    ~Holding() { server_.stop(); }

    std::string url(const std::string &path) const {
        sockaddr_in addr = {};
        socklen_t len = sizeof addr;
        server_.get_listen_addr(reinterpret_cast<sockaddr *>(&addr), &len);
        return "http://127.0.0.1:" + std::to_string(ntohs(addr.sin_port)) + path;
    }
    // 0 until the question has come.
    int give() { return WFTaskFactory::signal_by_name("held", nullptr); }
    bool given() const { return given_; }

private:
    std::atomic<bool> given_{false};
    WFHttpServer server_;
};

TEST(TutorialCompose, FirstAnswer) {
    Holding server;
    peer::Process process;
    process.start({program("first_answer"), server.url("/held"), nowhere(), server.url("/quick")});
    std::string line = process.wait_line("first: ");
    EXPECT_EQ("first: " + server.url("/quick") + ", status 200, 5 bytes", line);
    EXPECT_FALSE(server.given());
    while (server.give() == 0 && process.running()) {}
    EXPECT_EQ(0, process.wait()) << process.err();
    EXPECT_TRUE(has(process.out(), "3 started\n")) << process.out();
    EXPECT_TRUE(has(process.out(), server.url("/held") + ": too late\n")) << process.out();
    EXPECT_TRUE(has(process.out(), "Connection refused")) << process.out();
}

TEST(TutorialCompose, NobodyAnswers) {
    peer::Result result = peer::run({program("first_answer"), nowhere(), "x://y", nowhere()});
    EXPECT_EQ(1, result.status) << result.out << result.err;
    EXPECT_TRUE(has(result.out, "nobody answered\n")) << result.out;
}

// How many of one host, and in all, the server has in hand, and the most there were.
class Crowd {
public:
    Crowd()
        : server_([this](WFHttpTask *task) {
              protocol::HttpHeaderMap headers(task->get_req());
              Count *host = &hosts_[has(headers.get("Host"), "localhost") ? 1 : 0];
              all_.enter();
              host->enter();
              *series_of(task) << WFTaskFactory::create_timer_task(0, 3000000,
                                                                   [this, host](WFTimerTask *) {
                                                                       host->now--;
                                                                       all_.now--;
                                                                   });
          }) {
        EXPECT_EQ(0, server_.start("127.0.0.1", 0));
    }
    ~Crowd() { server_.stop(); }

    std::string url(const std::string &host) const {
        sockaddr_in addr = {};
        socklen_t len = sizeof addr;
        server_.get_listen_addr(reinterpret_cast<sockaddr *>(&addr), &len);
        return "http://" + host + ":" + std::to_string(ntohs(addr.sin_port)) + "/";
    }
    int most() const { return all_.most; }
    int most_of_a_host() const { return std::max(hosts_[0].most.load(), hosts_[1].most.load()); }
    int asked() const { return all_.asked; }

private:
    struct Count {
        std::atomic<int> now{0}, most{0}, asked{0};
        void enter() {
            int here = ++now, before = most;
            asked++;
            while (here > before && !most.compare_exchange_weak(before, here)) {}
        }
    };

    Count all_, hosts_[2];
    WFHttpServer server_;
};

TEST(TutorialCompose, PoliteWget) {
    for (int limit : {1, 4}) {
        Crowd server;
        std::vector<std::string> line = {program("polite_wget"), std::to_string(limit)};
        for (int i = 0; i < 10; i++)
            line.push_back(server.url(i % 2 ? "localhost" : "127.0.0.1"));
        peer::Result result = peer::run(line);
        EXPECT_EQ(0, result.status) << result.out << result.err;
        EXPECT_EQ(10, server.asked());
        EXPECT_EQ(1, server.most_of_a_host());
        EXPECT_GE(std::min(limit, 2), server.most());
        EXPECT_TRUE(has(result.out, "200 " + server.url("localhost"))) << result.out;
        EXPECT_TRUE(has(result.out, " at a time\n")) << result.out;
    }
    // What fails gives its host and its slot back.
    peer::Result result = peer::run({program("polite_wget"), "1", nowhere(), "x://y", nowhere()});
    EXPECT_EQ(1, result.status) << result.err;
    EXPECT_TRUE(has(result.out, "at most 1 at a time\n")) << result.out;
}

TEST(TutorialCompose, AwaitUrl) {
    std::atomic<int> asked{0};
    WFHttpServer server([&](WFHttpTask *task) {
        if (++asked <= 3)
            protocol::HttpUtil::set_response_status(task->get_resp(), 503);
        else
            task->get_resp()->append_output_body("here");
    });
    ASSERT_EQ(0, server.start("127.0.0.1", 0));
    sockaddr_in addr = {};
    socklen_t len = sizeof addr;
    server.get_listen_addr(reinterpret_cast<sockaddr *>(&addr), &len);
    std::string url = "127.0.0.1:" + std::to_string(ntohs(addr.sin_port));

    peer::Result result = peer::run({program("await_url"), url, "2"});
    EXPECT_EQ(1, result.status) << result.out << result.err;
    EXPECT_EQ("not yet: status 503\nnot yet: status 503\ngave up\n", result.out);
    EXPECT_EQ(2, asked);

    result = peer::run({program("await_url"), url});
    EXPECT_EQ(0, result.status) << result.out << result.err;
    EXPECT_EQ("not yet: status 503\nready: status 200, 4 bytes\n", result.out);
    EXPECT_EQ(5, asked); // two tries, and the page itself
    server.stop();
}

TEST(TutorialCompose, AwaitUrlThatNeverComes) {
    peer::Result result = peer::run({program("await_url"), nowhere(), "3"});
    EXPECT_EQ(1, result.status) << result.out << result.err;
    EXPECT_EQ("not yet: Connection refused\nnot yet: Connection refused\n"
              "not yet: Connection refused\ngave up\n",
              result.out);
}

TEST(TutorialCompose, Timeline) {
    peer::TempDir dir;
    peer::Result result = peer::run({program("timeline"), dir.file("page.html"), nowhere()});
    EXPECT_EQ(0, result.status) << result.err;
    EXPECT_TRUE(has(result.out, "\"the order\", waits for: Counter paid, 1 more to be counted"))
        << result.out;
    peer::Result page = peer::run({"cat", dir.file("page.html")});
    for (const char *part : {"the order", "ask everybody", "think", "GET 127.0.0.1", "connecting"})
        EXPECT_TRUE(has(page.out, part)) << part;
    result = peer::run({program("timeline"), dir.file("no/page.html"), nowhere()});
    EXPECT_EQ(1, result.status);
    EXPECT_TRUE(has(result.err, "No such file")) << result.err;
}

} // namespace
