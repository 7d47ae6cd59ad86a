// Weft - the page of all limits says what the code does
// SPDX-License-Identifier: Apache-2.0
//
// Each row of docs/safe-defaults.md names its options in backticks, as `where.field`, and has their
// default in the column of that name. Both directions are held: each option of the page has that
// default here, and each limit here stands on the page.
#include <cstdlib>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "kernel/backlog.h"
#include "kernel/entry.h"
#include "metrics/known.h"
#include "workflow/EndpointParams.h"
#include "workflow/WFHttpServer.h"
#include "workflow/WFTaskFactory.h"
#include "workflow/wf/guard.h"
#include "workflow/wf/tcp_client.h"
#include "workflow/wf/tcp_server.h"

namespace {

constexpr long NONE = -1;

// Its limits are for derived servers to see.
class Server : public WFHttpServer {
public:
    Server() : WFHttpServer(nullptr) {}
    const struct CommServiceLimits *limits() const { return this->get_limits(); }
};

struct Task : public WFHttpTask {
    static int send_timeout_of(WFHttpTask *task) { return (task->*&Task::send_timeout)(); }
};

template <class T>
long amount(T value) { // 0 is none
    return value == 0 ? NONE : static_cast<long>(value);
}

void add_servers(std::map<std::string, long> *values) {
    Server server;
    const struct WFServerParams *params = server.get_params();
    (*values)["params.max_connections"] = amount(params->max_connections);
    (*values)["params.ssl_accept_timeout"] = params->ssl_accept_timeout;
    (*values)["params.peer_response_timeout"] = params->peer_response_timeout;
    (*values)["params.receive_timeout"] = params->receive_timeout;
    (*values)["params.keep_alive_timeout"] = params->keep_alive_timeout;
    (*values)["params.request_size_limit"] = static_cast<long>(params->request_size_limit);
    const struct CommServiceLimits *limits = server.limits();
    (*values)["limits.first_byte_timeout"] = limits->first_byte_timeout;
    (*values)["limits.first_message_timeout"] = limits->first_message_timeout;
    (*values)["limits.head_timeout"] = limits->head_timeout;
    (*values)["limits.min_receive_rate"] = limits->min_receive_rate;
    (*values)["limits.authentication_timeout"] = limits->authentication_timeout;
    (*values)["limits.backlog_limit"] = amount(limits->backlog_limit);
    (*values)["limits.min_send_rate"] = limits->min_send_rate;
    (*values)["server.max_requests"] = amount(server.get_max_requests());
    (*values)["server.max_queue_age"] = server.get_max_queue_age();
    WFHttpTask *task = WFTaskFactory::create_http_task("http://127.0.0.1/", 0, 0, nullptr);
    (*values)["task.send_timeout"] = Task::send_timeout_of(task);
    task->dismiss();
    wf::GuardLimits guard;
    (*values)["guard.per_address"] = amount(guard.per_address);
    (*values)["guard.rate"] = amount(guard.rate);
    (*values)["guard.burst"] = static_cast<long>(guard.burst);
    (*values)["guard.address_rate"] = amount(guard.address_rate);
    (*values)["guard.address_burst"] = static_cast<long>(guard.address_burst);
    (*values)["guard.ipv4_bits"] = guard.ipv4_bits;
    (*values)["guard.ipv6_bits"] = guard.ipv6_bits;
}

void add_channels(std::map<std::string, long> *values) {
    wf::TcpServer server;
    const wf::ChannelOptions &options = server.options();
    (*values)["options.first_byte_timeout"] = options.first_byte_timeout;
    (*values)["options.first_message_timeout"] = options.first_message_timeout;
    (*values)["options.min_receive_rate"] = options.min_receive_rate;
    (*values)["options.message_timeout"] = options.message_timeout;
    (*values)["options.backlog_limit"] = amount(options.backlog_limit);
    (*values)["options.min_send_rate"] = options.min_send_rate;
    (*values)["options.high_water"] = amount(options.high_water);
    (*values)["options.low_water"] = amount(options.low_water);
    (*values)["options.idle_timeout"] = options.idle_timeout;
    (*values)["options.receive_timeout"] = options.receive_timeout;
    (*values)["options.heartbeat"] = options.heartbeat;
    (*values)["options.finish_timeout"] = options.finish_timeout;
    (*values)["events.authentication_timeout"] = server.events().authentication_timeout;
    (*values)["set.backlog_limit"] = amount(wf::ChannelKind().backlog_limit);
    (*values)["client.connect_timeout"] = ENDPOINT_PARAMS_DEFAULT.connect_timeout;
    (*values)["client.tls_timeout"] = ENDPOINT_PARAMS_DEFAULT.ssl_connect_timeout;
    (*values)["length_framing.max_size"] = static_cast<long>(wf::LengthFraming().max_size);
    (*values)["tlv_framing.max_size"] = static_cast<long>(wf::TlvFraming().max_size);
    wf::ReconnectPolicy policy;
    (*values)["policy.first_delay"] = policy.first_delay;
    (*values)["policy.max_delay"] = policy.max_delay;
    (*values)["policy.max_attempts"] = policy.max_attempts;
}

// The longest line that the framing takes is found by trying.
long longest_line() {
    std::shared_ptr<const wf::Framing> framing = wf::delimiter_framing();
    for (size_t size = 1024;; size *= 2) {
        if (size > (1u << 30))
            return NONE;
        wf::Frame frame;
        std::string line(size + 1, 'x');
        size_t seen = 0;
        line += '\n';
        if (framing->cut(line, &seen, &frame) < 0)
            return static_cast<long>(size);
    }
}

std::map<std::string, long> values_of_code() {
    std::map<std::string, long> values;
    add_servers(&values);
    add_channels(&values);
    values["delimiter_framing.max_size"] = longest_line();
    values["pipeline"] = static_cast<long>(ENTRY_PIPELINE_MAX);
    values["stalled"] = static_cast<long>(BACKLOG_STALLED);
    values["drain"] = CHANNEL_DRAIN_MS;
    values["linger_idle"] = LINGER_IDLE_MS;
    values["linger"] = LINGER_MS;
    return values;
}

std::vector<std::string> cells_of(const std::string &line) {
    std::vector<std::string> cells;
    std::istringstream parts(line.substr(1));
    for (std::string cell; std::getline(parts, cell, '|');)
        cells.push_back(cell);
    return cells;
}

std::vector<std::string> quoted(const std::string &text) {
    std::vector<std::string> words;
    for (size_t at = 0; (at = text.find('`', at)) != std::string::npos;) {
        size_t end = text.find('`', at + 1);
        words.push_back(text.substr(at + 1, end - at - 1));
        at = end + 1;
    }
    return words;
}

struct Row {
    std::string options, value, reasons, line;
};

// Of all tables: the columns before "default" are options, but the first; a last one may be
// reasons.
std::vector<Row> rows_of_page() {
    std::vector<Row> rows;
    std::ifstream page(WEFT_SAFE_DEFAULTS);
    size_t column = 0;
    bool reasons = false;
    for (std::string line; std::getline(page, line);) {
        if (line.empty() || line[0] != '|' || line.rfind("|---", 0) == 0)
            continue;
        std::vector<std::string> cells = cells_of(line);
        if (line.rfind("| limit |", 0) == 0) {
            column = 0;
            while (column < cells.size() && cells[column] != " default ")
                column++;
            reasons = cells.back() == " reason ";
            continue;
        }
        Row row;
        row.line = line;
        if (column >= cells.size())
            continue;
        for (size_t i = 1; i < column; i++)
            row.options += cells[i];
        row.value = cells[column].substr(1, cells[column].size() - 2);
        row.reasons = reasons ? cells.back() : "";
        rows.push_back(std::move(row));
    }
    return rows;
}

TEST(SafeDefaults, ThePageSaysWhatTheCodeDoes) {
    std::map<std::string, long> values = values_of_code();
    std::set<std::string> missing, seen;
    for (const auto &value : values)
        missing.insert(value.first);
    std::vector<Row> rows = rows_of_page();
    EXPECT_GT(rows.size(), 35u);
    for (const Row &row : rows) {
        for (const std::string &option : quoted(row.options)) {
            auto it = values.find(option);
            if (it == values.end()) { // lists, and what is the system's
                EXPECT_TRUE(option.find("()") != std::string::npos || option == "RLIMIT_NOFILE")
                    << "no such option: " << row.line;
                continue;
            }
            long told = row.value == "none" ? NONE : strtol(row.value.c_str(), nullptr, 10);
            EXPECT_EQ(it->second, told) << option << ": " << row.line;
            missing.erase(option);
        }
    }
    for (const std::string &option : missing)
        ADD_FAILURE() << option << " is not on the page";
}

// What the texts of the page say besides the column.
TEST(SafeDefaults, NumbersInItsTexts) {
    std::ifstream page(WEFT_SAFE_DEFAULTS);
    std::ostringstream all;
    all << page.rdbuf();
    auto says = [&](const std::string &text) {
        EXPECT_NE(std::string::npos, all.str().find(text)) << text;
    };
    says("from " + std::to_string(RATE_GRACE_NS / 1000000) + " ms behind the first byte");
    says("a sample every " + std::to_string(BACKLOG_SAMPLE_NS / 1000000) + " ms");
    says("of " + std::to_string(BACKLOG_MOST_STALLED) + " samples in a row");
    says("over " + std::to_string(BACKLOG_MOST_SLOW) + " samples");
}

// Each reason of the page is one of the code's, by the name that it has in the metrics.
TEST(SafeDefaults, ReasonsAreThoseOfTheCode) {
    std::set<std::string> known;
    for (unsigned reason = 0; reason < CCR_COUNT; reason++)
        known.insert(wf::detail::close_reason_name(reason));
    size_t count = 0;
    for (const Row &row : rows_of_page()) {
        for (std::string reason : quoted(row.reasons)) {
            ASSERT_EQ(0u, reason.rfind("CCR_", 0)) << row.line;
            for (char &c : reason)
                c = static_cast<char>(tolower(c));
            std::string name = reason.substr(4);
            if (name == "refused_no_fd")
                name = "refused_no_descriptor";
            EXPECT_EQ(1u, known.count(name)) << row.line;
            count++;
        }
    }
    EXPECT_GT(count, 30u);
}

} // namespace
