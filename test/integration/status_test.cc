// Weft - integration: the status page and its numbers, asked for by curl, checked by promtool
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <map>
#include <mutex>
#include <sstream>
#include <vector>

#include <gtest/gtest.h>

#include "integration/call.h"
#include "integration/certificates.h"
#include "integration/channel_support.h"
#include "integration/patience.h"
#include "integration/peer.h"
#include "integration/raw_socket.h"
#include "integration/workshop.h"
#include "workflow/json_parser.h"
#include "workflow/wf/connections.h"
#include "workflow/wf/metrics.h"
#include "workflow/wf/status.h"

namespace {

// Lines of the text format: what stands before the last space, and the number behind it.
std::map<std::string, double> read_lines(const std::string &text) {
    std::map<std::string, double> values;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
        size_t space = line.rfind(' ');
        if (line[0] != '#' && space != std::string::npos)
            values[line.substr(0, space)] = strtod(line.c_str() + space + 1, nullptr);
    }
    return values;
}

class StatusTest : public ::testing::Test {
protected:
    StatusTest() : server_([this](WFHttpTask *task) { serve(task); }) {}

    void SetUp() override {
        ASSERT_TRUE(peer::have("curl"));
        ASSERT_EQ(0, server_.start("127.0.0.1", 0));
        sockaddr_in addr = {};
        socklen_t len = sizeof addr;
        server_.get_listen_addr(reinterpret_cast<sockaddr *>(&addr), &len);
        port_ = ntohs(addr.sin_port);
    }
    void TearDown() override { server_.stop(); }

    void serve(WFHttpTask *task) {
        std::unique_lock<std::mutex> lock(mutex_);
        wf::StatusOptions options = options_;
        lock.unlock();
        if (wf::serve_status(task, options))
            return;
        std::string target = task->get_req()->get_request_uri();
        if (target == "/bad")
            protocol::HttpUtil::set_response_status(task->get_resp(), HttpStatusBadRequest);
        else
            task->get_resp()->append_output_body(target);
    }

    peer::Result curl(const std::vector<std::string> &args) {
        std::vector<std::string> all = {"curl", "-sS", "--noproxy", "*", "--max-time", "60"};
        all.insert(all.end(), args.begin(), args.end());
        return peer::run(all);
    }
    std::string url(const std::string &path) const {
        return "http://127.0.0.1:" + std::to_string(port_) + path;
    }
    std::map<std::string, double> scrape() {
        peer::Result result = curl({url("/status/metrics")});
        EXPECT_EQ(0, result.status) << result.err;
        return read_lines(result.out);
    }

    void change(void (*how)(wf::StatusOptions *)) {
        std::lock_guard<std::mutex> lock(mutex_);
        how(&options_);
    }

    std::mutex mutex_;
    wf::StatusOptions options_; // under the mutex: workers read them
    WFHttpServer server_;
    unsigned short port_ = 0;
};

TEST_F(StatusTest, CountsEveryRequest) {
    std::map<std::string, double> before = scrape();
    std::vector<std::string> urls;
    for (int i = 0; i < 30; i++)
        urls.push_back(url(i % 3 == 0 ? "/bad" : "/good"));
    ASSERT_EQ(0, curl(urls).status);
    std::map<std::string, double> after = scrape();
    // The one that was scraped before was answered after it had been counted.
    EXPECT_EQ(31, after["weft_server_requests_total"] - before["weft_server_requests_total"]);
    const char *good = "weft_http_answers_total{class=\"2xx\"}";
    const char *bad = "weft_http_answers_total{class=\"4xx\"}";
    EXPECT_EQ(21, after[good] - before[good]);
    EXPECT_EQ(10, after[bad] - before[bad]);
    const char *accepted = "weft_accepted_connections_total";
    EXPECT_EQ(2, after[accepted] - before[accepted]);
    EXPECT_GT(after["weft_received_bytes_total"] - before["weft_received_bytes_total"], 30 * 40);
    EXPECT_GT(after["weft_sent_bytes_total"] - before["weft_sent_bytes_total"], 30 * 40);
    // This one is being served while it looks.
    EXPECT_GE(after["weft_connections{side=\"server\",state=\"serving\"}"], 1);
    // Once an answer is out its time is known, but perhaps not when its client has it.
    const char *count = "weft_server_request_duration_seconds_count";
    double wanted = before["weft_server_requests_total"] + 30;
    EXPECT_TRUE(eventually([&] { return scrape()[count] >= wanted; }));
}

// Gauges come back to where they were.
TEST_F(StatusTest, ConnectionsByState) {
    const char *awaiting = "weft_connections{side=\"server\",state=\"awaiting\"}";
    const char *finished = "weft_closes_total{reason=\"peer_closed\"}";
    auto settled = [&](double idle) {
        return eventually([&] { return scrape()[awaiting] == idle; });
    };
    ASSERT_TRUE(settled(0));
    double closed = scrape()[finished];
    {
        raw::Socket first = raw::Socket::connect(port_), second = raw::Socket::connect(port_);
        ASSERT_TRUE(first.send("GET /x HTTP/1.1\r\nHost: x\r\n\r\n"));
        EXPECT_NE("", first.read_until("/x"));
        EXPECT_TRUE(settled(2));
        first.send("GET / HTTP/1.1\r\n"); // not to its end
        EXPECT_TRUE(eventually([&] {
            return scrape()["weft_connections{side=\"server\",state=\"receiving\"}"] == 1;
        }));
    }
    EXPECT_TRUE(settled(0));
    EXPECT_TRUE(eventually([&] { return scrape()[finished] >= closed + 2; }));
}

TEST_F(StatusTest, PromtoolHasNothingToSay) {
    ASSERT_TRUE(peer::have("promtool"));
    wf::Histogram sizes("test_sizes", "Sizes of \"things\".", wf::MetricUnit::BYTES,
                        {{"what", "a\\b\"c\nd"}});
    sizes.observe(uint64_t{100});
    wf::Counter counter("test_things", "Things\nof two \\ lines.");
    peer::TempDir dir;
    peer::Result text = curl({url("/status/metrics")});
    ASSERT_TRUE(dir.write("metrics", text.out));
    peer::Result result =
        peer::run({"sh", "-c", "promtool check metrics < " + dir.file("metrics")});
    EXPECT_EQ(0, result.status);
    EXPECT_EQ("", result.out);
    EXPECT_EQ("", result.err);
    EXPECT_NE(std::string::npos,
              text.out.find("test_sizes_bytes_count{what=\"a\\\\b\\\"c\\nd\"} 1"));
}

TEST_F(StatusTest, ThePage) {
    peer::Result page = curl({"-i", url("/status?x=1")});
    EXPECT_EQ(0u, page.out.find("HTTP/1.1 200 OK\r\n")) << page.err;
    EXPECT_NE(std::string::npos, page.out.find("Content-Type: text/html; charset=utf-8\r\n"));
    EXPECT_NE(std::string::npos, page.out.find("Content-Security-Policy: default-src 'none'"));
    EXPECT_NE(std::string::npos, page.out.find("Cache-Control: no-store\r\n"));
    EXPECT_NE(std::string::npos, page.out.find("</html>"));
    // Self-contained: the only address in it is the name of SVG, which nobody fetches.
    std::string body = page.out.substr(page.out.find("<!DOCTYPE html>"));
    EXPECT_EQ(body.find("http://www.w3.org/2000/svg") + 4, body.find("://"));
    EXPECT_EQ(body.rfind("://"), body.find("://"));
    EXPECT_EQ(page.out.substr(page.out.find("<!DOCTYPE")), curl({url("/status/")}).out);
    page = curl({"-I", url("/status")});
    EXPECT_EQ(0u, page.out.find("HTTP/1.1 200 OK\r\n")) << page.err;
    page = curl({"-i", "-X", "DELETE", url("/status/json")});
    EXPECT_EQ(0u, page.out.find("HTTP/1.1 405 ")) << page.out;
    EXPECT_NE(std::string::npos, page.out.find("Allow: GET, HEAD\r\n"));
}

TEST_F(StatusTest, OtherPathsAreThePrograms) {
    for (const char *path : {"/statusx", "/status/other", "/stat", "/", "/status//json"})
        EXPECT_EQ(path, curl({"--path-as-is", url(path)}).out);
    change([](wf::StatusOptions *options) { options->path = "/"; });
    EXPECT_NE(std::string::npos, curl({url("/")}).out.find("<!DOCTYPE html>"));
    EXPECT_NE(std::string::npos, curl({url("/json")}).out.find("{\"title\""));
    EXPECT_EQ("/status", curl({url("/status")}).out);
}

// A tree of JSON, freed at the end.
class Json {
public:
    explicit Json(const std::string &text) : value_(json_value_parse(text.c_str())) {}
    ~Json() {
        if (value_)
            json_value_destroy(value_);
    }
    Json(const Json &) = delete;
    Json &operator=(const Json &) = delete;
    explicit operator bool() const { return value_ != nullptr; }
    const json_array_t *array(const char *name) const {
        const json_value_t *v = json_object_find(name, json_value_object(value_));
        return v ? json_value_array(v) : nullptr;
    }

private:
    json_value_t *value_;
};

std::string text_of(const json_value_t *value, const char *name) {
    const json_value_t *v = json_object_find(name, json_value_object(value));
    return v ? json_value_string(v) : "(none)";
}

double number_of(const json_value_t *value, const char *name) {
    const json_value_t *v = json_object_find(name, json_value_object(value));
    return v ? json_value_number(v) : -1;
}

TEST_F(StatusTest, JsonTellsConnectionsAndSlowRequests) {
    wf::set_slow_threshold(std::chrono::nanoseconds(0));
    ASSERT_EQ(0, curl({url("/slow<script>\"")}).status);
    const json_value_t *slow = nullptr;
    std::string text;
    EXPECT_TRUE(eventually([&] {
        text = curl({url("/status/json")}).out;
        return text.find("/slow\\u003cscript>") != std::string::npos;
    })) << text;
    wf::set_slow_threshold(std::chrono::milliseconds(100));
    Json json(text);
    ASSERT_TRUE(json) << text;
    ASSERT_NE(nullptr, json.array("metrics"));
    EXPECT_GT(json_array_size(json.array("metrics")), 35u);
    const json_array_t *slows = json.array("slow");
    ASSERT_NE(nullptr, slows);
    const json_value_t *value;
    json_array_for_each(value, slows) {
        if (text_of(value, "target").find("script") != std::string::npos)
            slow = value;
    }
    ASSERT_NE(nullptr, slow);
    EXPECT_EQ("GET", text_of(slow, "method"));
    EXPECT_EQ("200", text_of(slow, "status"));
    EXPECT_EQ(0u, text_of(slow, "peer").find("127.0.0.1:"));
    EXPECT_GE(number_of(slow, "took_us"), 0);
    const json_array_t *list = json.array("connections");
    ASSERT_NE(nullptr, list);
    bool found = false; // the one that asks
    json_array_for_each(value, list) {
        found |= text_of(value, "state") == "serving";
    }
    EXPECT_TRUE(found) << text;
}

TEST_F(StatusTest, WhatIsNotToBeShown) {
    change([](wf::StatusOptions *options) {
        options->show_connections = options->show_slow_requests = false;
    });
    std::string text = curl({url("/status/json")}).out;
    EXPECT_EQ(std::string::npos, text.find("127.0.0.1"));
    Json json(text);
    ASSERT_TRUE(json) << text;
    EXPECT_EQ(nullptr, json.array("connections"));
    EXPECT_EQ(nullptr, json.array("slow"));
    EXPECT_NE(nullptr, json.array("metrics"));
}

TEST_F(StatusTest, ConnectionsOfAServer) {
    std::vector<wf::ConnectionInfo> infos(10);
    EXPECT_TRUE(eventually([&] { return server_.get_connections(infos.data(), 10) == 0; }));
    raw::Socket used = raw::Socket::connect(port_), fresh = raw::Socket::connect(port_);
    for (int i = 0; i < 3; i++) {
        ASSERT_TRUE(used.send("GET /x HTTP/1.1\r\nHost: x\r\n\r\n"));
        ASSERT_NE("", used.read_until("\r\n\r\n/x"));
    }
    auto requests = [&] {
        int64_t most = 0;
        size_t count = server_.get_connections(infos.data(), infos.size());
        for (size_t i = 0; i < count; i++)
            most = std::max(most, infos[i].requests);
        return count == 2 ? most : -1;
    };
    EXPECT_TRUE(eventually([&] { return requests() == 3; }));
    for (int i = 0; i < 2; i++) {
        const wf::ConnectionInfo &info = infos[static_cast<size_t>(i)];
        EXPECT_EQ(sizeof(sockaddr_in), info.peer_length);
        EXPECT_EQ(AF_INET, info.peer.ss_family);
        EXPECT_STREQ("awaiting", info.state);
        EXPECT_GE(info.age, 0);
        EXPECT_GE(info.since, 0);
        EXPECT_FALSE(info.tls);
    }
    EXPECT_EQ(1u, server_.get_connections(infos.data(), 1));
    EXPECT_EQ(0u, server_.get_connections(infos.data(), 0));
}

// Summed over the samples whose last label has that value, or over all.
double value(const char *name, const std::string &label = "") {
    double sum = 0;
    for (const wf::MetricFamily &family : wf::collect()) {
        for (const wf::MetricSample &sample : family.samples) {
            bool fits =
                label.empty() || (!sample.labels.empty() && sample.labels.back().second == label);
            if (family.name == name && fits)
                sum += sample.value + static_cast<double>(sample.histogram.count);
        }
    }
    return sum;
}

// The client's side, in this very process: what is done, refused, and done again on a kept
// connection.
TEST_F(StatusTest, CountsClients) {
    double ok = value("weft_client_requests_total", "ok");
    double connects = value("weft_connects_total", "ok");
    double failed = value("weft_connects_total", "failed");
    double kept = value("weft_reused_connections_total");
    double answers = value("weft_client_answer_duration_seconds");
    for (int i = 0; i < 3; i++) {
        Call call;
        call.run(url("/good"));
        EXPECT_EQ("/good", call.body);
    }
    EXPECT_EQ(ok + 3, value("weft_client_requests_total", "ok"));
    EXPECT_EQ(connects + 1, value("weft_connects_total", "ok"));
    EXPECT_EQ(kept + 2, value("weft_reused_connections_total"));
    EXPECT_EQ(answers + 3, value("weft_client_answer_duration_seconds"));
    EXPECT_GE(value("weft_connections", "parked"), 1);
    unsigned short closed = raw::Listener().port();
    Call call;
    call.run("http://127.0.0.1:" + std::to_string(closed) + "/");
    EXPECT_EQ(WFT_STATE_SYS_ERROR, call.state);
    EXPECT_EQ(failed + 1, value("weft_connects_total", "failed"));
}

// How long messages of channels took, from their first byte to the return of their function: here
// each is cut in two, 2 ms apart, and its function takes 2 ms more.
TEST(StatusOfChannels, LatenciesOfMessages) {
    using Clock = std::chrono::steady_clock;
    auto spend = [](Clock::time_point since) {
        while (Clock::now() < since + std::chrono::milliseconds(2))
            ;
    };
    auto latencies = [] {
        for (const wf::MetricFamily &family : wf::collect()) {
            if (family.name == "weft_channel_message_duration_seconds")
                return family.samples[0].histogram;
        }
        return wf::HistogramData();
    };
    wf::TcpServer server;
    server.set_framing(wf::delimiter_framing());
    server.on_message([&](wf::Channel &channel, const wf::Frame &) {
        spend(Clock::now());
        channel.send("done");
    });
    unsigned short port = listen_on_free_port(server);
    ASSERT_NE(0, port);
    wf::HistogramData before = latencies(), after = before;
    raw::Socket peer = raw::Socket::connect(port);
    uint64_t sent = 0;
    // It is a sample, so nobody can say which of them are counted.
    Clock::time_point give_up = Clock::now() + std::chrono::seconds(60);
    while (after.count < before.count + 3 && Clock::now() < give_up) {
        ASSERT_TRUE(peer.send("a"));
        sent++;
        ASSERT_TRUE(eventually([&] {
            std::vector<wf::ChannelInfo> infos = server.get_channel_infos();
            return infos.size() == 1 && infos[0].bytes_received == sent;
        }));
        spend(Clock::now());
        ASSERT_TRUE(peer.send("\n"));
        sent++;
        ASSERT_EQ("done\n", peer.read_until("\n"));
        after = latencies();
    }
    EXPECT_GE(after.count, before.count + 3);
    EXPECT_GE(after.sum - before.sum, 0.004 * static_cast<double>(after.count - before.count));
    server.stop();
}

TEST_F(StatusTest, CountsHandshakes) {
    Authority &ca = Authority::common();
    Certificate own = ca.make("status");
    Workshop secure;
    ASSERT_TRUE(secure.start(own.cert, own.key));
    double full = value("weft_tls_handshakes_total", "full");
    double failed = value("weft_tls_handshakes_total", "failed");
    for (int i = 0; i < 2; i++)
        EXPECT_EQ("hello", curl({"--cacert", ca.file(), secure.url("/hello")}).out);
    EXPECT_EQ(full + 2, value("weft_tls_handshakes_total", "full"));
    EXPECT_EQ(failed, value("weft_tls_handshakes_total", "failed"));
    raw::Socket plain = raw::Socket::connect(secure.port());
    plain.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_TRUE(
        eventually([&] { return value("weft_tls_handshakes_total", "failed") == failed + 1; }));
}

} // namespace
