// Weft - the engine's own metrics: names, and how they follow from the slots of the kernel
// SPDX-License-Identifier: Apache-2.0
#include <iterator>

#include "kernel/entry.h"
#include "kernel/metrics.h"
#include "kernel/worker.h"
#include "metrics/known.h"
#include "metrics/registry.h"
#include "workflow/detail/scheme_mark.h"
#include "workflow/detail/task_mark.h"

namespace wf::detail {

namespace {

constexpr MetricType COUNTER = MetricType::COUNTER;
constexpr MetricType GAUGE = MetricType::GAUGE;

// The value of slot `plus`, less those of the `minus` ones that follow it.
struct Known {
    const char *name;
    const char *help;
    MetricType type;
    MetricUnit unit;
    const char *label; // and its value, and what else distinguishes it; or NULL
    const char *value;
    unsigned plus;
    unsigned minus;
};

constexpr MetricUnit NONE = MetricUnit::NONE;
constexpr MetricUnit BYTES = MetricUnit::BYTES;

constexpr Known TABLE[] = {
    {"weft_received_bytes_total", "Bytes that connections received, without TLS.", COUNTER, BYTES,
     nullptr, nullptr, METRIC_RECEIVED_BYTES, 0},
    {"weft_sent_bytes_total", "Bytes that connections sent, without TLS.", COUNTER, BYTES, nullptr,
     nullptr, METRIC_SENT_BYTES, 0},
    {"weft_accepted_connections_total", "Connections that servers took from the system.", COUNTER,
     NONE, nullptr, nullptr, METRIC_ACCEPTED, 0},
    {"weft_client_requests_total", "Requests of clients on a connection, by how they ended.",
     COUNTER, NONE, "result", "ok", METRIC_CLIENT_OK, 0},
    {"weft_client_requests_total", "", COUNTER, NONE, "result", "error", METRIC_CLIENT_ERROR, 0},
    {"weft_client_requests_total", "", COUNTER, NONE, "result", "timeout", METRIC_CLIENT_TIMEOUT,
     0},
    {"weft_client_requests_total", "", COUNTER, NONE, "result", "canceled", METRIC_CLIENT_CANCELED,
     0},
    {"weft_client_requests_total", "", COUNTER, NONE, "result", "stopped", METRIC_CLIENT_STOPPED,
     0},
    {"weft_server_answer_failures_total", "Answers that could not be sent.", COUNTER, NONE, nullptr,
     nullptr, METRIC_SERVER_FAILED, 0},
    {"weft_timers_total", "Timers that have ended, by how.", COUNTER, NONE, "result", "fired",
     METRIC_TIMERS_FIRED, 0},
    {"weft_timers_total", "", COUNTER, NONE, "result", "canceled", METRIC_TIMERS_CANCELED, 0},
    {"weft_timers_total", "", COUNTER, NONE, "result", "stopped", METRIC_TIMERS_STOPPED, 0},
    {"weft_timers", "Timers that run.", GAUGE, NONE, nullptr, nullptr, METRIC_TIMERS_STARTED, 3},
    {"weft_queued_completions_total", "Completions that waited in the queue.", COUNTER, NONE,
     nullptr, nullptr, METRIC_QUEUE_IN, 0},
    {"weft_queue_length", "Completions that wait in the queue.", GAUGE, NONE, nullptr, nullptr,
     METRIC_QUEUE_IN, 1},
    {"weft_relays_total", "Pollers taken over from workers that stayed away.", COUNTER, NONE,
     nullptr, nullptr, METRIC_RELAYS, 0},
    {"weft_false_relays_total", "Those of them whose worker came back at once.", COUNTER, NONE,
     nullptr, nullptr, METRIC_FALSE_RELAYS, 0},
    {"weft_spared_relays_total", "Workers that looked stuck, but had only lost their processor.",
     COUNTER, NONE, nullptr, nullptr, METRIC_RELAYS_SPARED, 0},
    {"weft_given_pollers_total", "Pollers given away before a known wait.", COUNTER, NONE, nullptr,
     nullptr, METRIC_POLLERS_GIVEN, 0},
    {"weft_refused_workers_total", "Times that no further worker could be made.", COUNTER, NONE,
     nullptr, nullptr, METRIC_WORKERS_REFUSED, 0},
    {"weft_watch_looks_total", "Looks of the watch at the pollers.", COUNTER, NONE, nullptr,
     nullptr, METRIC_WATCH_LOOKS, 0},
    {"weft_workers", "Threads that drive pollers and run callbacks.", GAUGE, NONE, nullptr, nullptr,
     METRIC_WORKERS, 0},
    {"weft_waiting_workers", "Workers in a wait that the engine knows of.", GAUGE, NONE, nullptr,
     nullptr, METRIC_WAITING_WORKERS, 0},
    {"weft_permits", "How many callbacks may run at a time.", GAUGE, NONE, nullptr, nullptr,
     METRIC_PERMITS, 0},
    {"weft_target_waits_total", "Requests that waited for a connection of a full target.", COUNTER,
     NONE, nullptr, nullptr, METRIC_WAITERS_IN, 0},
    {"weft_target_waiters", "Requests that wait for a connection of a full target.", GAUGE, NONE,
     nullptr, nullptr, METRIC_WAITERS_IN, 1},
    {"weft_refused_target_waits_total", "Requests that found the waiting line full as well.",
     COUNTER, NONE, nullptr, nullptr, METRIC_WAITERS_REFUSED, 0},
    {"weft_executor_queue_length", "Computations that wait for a thread.", GAUGE, NONE, nullptr,
     nullptr, METRIC_EXECUTOR_IN, 2},
    {"weft_executor_running", "Computations that run.", GAUGE, NONE, nullptr, nullptr,
     METRIC_EXECUTOR_BEGUN, 1},
    {"weft_executor_computations_total", "Computations that have ended.", COUNTER, NONE, nullptr,
     nullptr, METRIC_EXECUTOR_DONE, 0},
    {"weft_executor_threads", "Threads of executors.", GAUGE, NONE, nullptr, nullptr,
     METRIC_EXECUTOR_THREADS, 0},
    {"weft_file_queue_length", "File requests that wait for their turn.", GAUGE, NONE, nullptr,
     nullptr, METRIC_FILES_IN, 2},
    {"weft_file_requests", "File requests that the system, or a thread, has in hand.", GAUGE, NONE,
     nullptr, nullptr, METRIC_FILES_BEGUN, 1},
    {"weft_file_requests_total", "File requests that have ended, but for those canceled before.",
     COUNTER, NONE, nullptr, nullptr, METRIC_FILES_DONE, 0},
    {"weft_file_threads", "Threads that read and write files where io_uring cannot be used.", GAUGE,
     NONE, nullptr, nullptr, METRIC_FILE_THREADS, 0},
    {"weft_dropped_datagrams_total", "Datagrams that were not sent for want of room.", COUNTER,
     NONE, nullptr, nullptr, METRIC_DATAGRAMS_DROPPED, 0},
    {"weft_memory_failures_total", "Times that memory was refused to a connection or the pool.",
     COUNTER, NONE, nullptr, nullptr, METRIC_NO_MEMORY, 0},
};

constexpr const char *TASK_NAMES[] = {"client",      "timer",   "compute", "graph",
                                      "parallel",    "counter", "mailbox", "selector",
                                      "conditional", "module",  "file"};
static_assert(std::size(TASK_NAMES) == TASK_KINDS);

constexpr const char *REASONS[] = {
    "peer_closed",
    "peer_reset",
    "finished",
    "noreply",
    "first_byte_timeout",
    "idle_timeout",
    "block_timeout",
    "head_timeout",
    "message_timeout",
    "slow_receive",
    "send_timeout",
    "bad_message",
    "send_error",
    "made_room",
    "refused_full",
    "refused_no_descriptor",
    "drained",
    "aborted",
    "handshake_timeout",
    "handshake_failed",
    "refused_address",
    "refused_per_address",
    "refused_rate",
    "refused_filter",
    "overloaded",
    "no_memory",
    "send_stalled",
    "slow_send",
    "first_message_timeout",
    "too_old",
    "refused_auth",
    "auth_timeout",
    "closed",
    "reset",
    "finish_timeout",
    "silent",
    "backlog_full",
    "connect_failed",
    "connect_timeout",
    "self_connected",
};
static_assert(int{CCR_COUNT} <= int{METRIC_REASONS});

static_assert(int{CommConnEntry::STATE_COUNT} <= int{METRIC_NO_STATE});

// One reading of all fixed slots, and the families that are made of it.
class Reading {
public:
    explicit Reading(std::vector<MetricFamily> *families)
        : families_(families), slots_(METRIC_SLOTS) {
        metrics_sum(0, METRIC_SLOTS, slots_.data());
    }

    double signed_value(uint64_t n) const { return static_cast<double>(static_cast<int64_t>(n)); }

    void add(const char *name, const char *help, MetricType type, MetricUnit unit,
             MetricLabels labels, uint64_t n) {
        MetricFamily *family = find_family(families_, name, type, unit, help);
        MetricSample sample;
        sample.labels = std::move(labels);
        sample.value = signed_value(n);
        // What moves just now may be counted on one thread, and not yet on the other.
        if (type == GAUGE && sample.value < 0)
            sample.value = 0;
        family->samples.push_back(std::move(sample));
    }

    void add_histogram(const char *name, const char *help, unsigned first) {
        MetricFamily *family =
            find_family(families_, name, MetricType::HISTOGRAM, MetricUnit::SECONDS, help);
        MetricSample sample;
        sample.histogram = read_histogram(&slots_[first], MetricUnit::SECONDS);
        family->samples.push_back(std::move(sample));
    }

    uint64_t operator[](unsigned slot) const { return slots_[slot]; }
    uint64_t edge(unsigned from, unsigned to) const {
        return slots_[METRIC_EDGES + from * METRIC_STATES + to];
    }
    uint64_t entered(unsigned state) const {
        uint64_t sum = 0;
        for (unsigned from = 0; from < METRIC_STATES; from++)
            sum += edge(from, state);
        return sum;
    }
    uint64_t left(unsigned state) const {
        uint64_t sum = 0;
        for (unsigned to = 0; to < METRIC_STATES; to++)
            sum += edge(state, to);
        return sum;
    }

private:
    std::vector<MetricFamily> *families_;
    std::vector<uint64_t> slots_;
};

void add_connections(Reading *reading) {
    for (unsigned state = 0; state < CommConnEntry::STATE_COUNT; state++) {
        const char *name = CommConnEntry::state_name(static_cast<CommConnEntry::State>(state));
        reading->add("weft_connections", "Connections that are in a state.", GAUGE, NONE,
                     {{"side", connection_side(state)}, {"state", name}},
                     reading->entered(state) - reading->left(state));
    }
    using Entry = CommConnEntry;
    const char *help = "Connections that clients began, by how that ended.";
    uint64_t failed =
        (*reading)[METRIC_CONNECT_REFUSED] + reading->edge(Entry::CONNECTING, Entry::CLOSING);
    uint64_t done = reading->left(Entry::CONNECTING) -
                    reading->edge(Entry::CONNECTING, Entry::CLOSING) -
                    reading->edge(Entry::CONNECTING, METRIC_NO_STATE);
    reading->add("weft_connects_total", help, COUNTER, NONE, {{"result", "ok"}}, done);
    reading->add("weft_connects_total", help, COUNTER, NONE, {{"result", "failed"}}, failed);
    reading->add("weft_reused_connections_total", "Requests of clients on a kept connection.",
                 COUNTER, NONE, {}, reading->edge(Entry::PARKED, Entry::SENDING));
    reading->add("weft_server_requests_total", "Requests that servers have received.", COUNTER,
                 NONE, {}, reading->entered(Entry::S_SERVING));
    for (unsigned reason = 0; reason < CCR_COUNT; reason++)
        reading->add("weft_closes_total", "Connections that servers closed or refused, by reason.",
                     COUNTER, NONE, {{"reason", close_reason_name(reason)}},
                     (*reading)[METRIC_CLOSES + reason]);
}

void add_handshakes(Reading *reading) {
    constexpr const char *RESULTS[] = {"full", "resumed", "failed"};
    for (unsigned i = 0; i < 6; i++)
        reading->add("weft_tls_handshakes_total", "Handshakes of TLS, by how they ended.", COUNTER,
                     NONE, {{"side", i < 3 ? "server" : "client"}, {"result", RESULTS[i % 3]}},
                     (*reading)[METRIC_SERVER_TLS_FULL + i]);
}

void add_kind(Reading *reading, const char *kind, uint64_t made, uint64_t there) {
    reading->add("weft_made_tasks_total", "Tasks that were made.", COUNTER, NONE, {{"kind", kind}},
                 made);
    reading->add("weft_tasks", "Tasks that were made and are not gone.", GAUGE, NONE,
                 {{"kind", kind}}, there);
}

// A server has one task for each request, from its first byte until it is answered: so they follow
// from the states of the connections, and are not counted once more.
void add_server_tasks(Reading *reading) {
    using Entry = CommConnEntry;
    uint64_t there = 0;
    for (unsigned state : {Entry::S_RECEIVING, Entry::S_SERVING, Entry::S_REPLYING})
        there += reading->entered(state) - reading->left(state);
    add_kind(reading, "server",
             reading->entered(Entry::S_RECEIVING) +
                 reading->edge(Entry::S_ACCEPTED, Entry::S_SERVING),
             there);
}

void add_tasks(Reading *reading) {
    add_server_tasks(reading);
    for (unsigned kind = 0; kind < TASK_KINDS; kind++) {
        uint64_t made = (*reading)[METRIC_TASKS_MADE + kind];
        uint64_t gone = (*reading)[METRIC_TASKS_GONE + kind];
        add_kind(reading, TASK_NAMES[kind], made, made - gone);
    }
}

void add_schemes(Reading *reading) {
    const char *made_help = "Client tasks that were made, by the scheme of their url.";
    const char *ended_help = "Client tasks that were made and are gone, by scheme.";
    const char *there_help = "Client tasks that were made and are not gone, by scheme.";
    const char *scheme;
    for (unsigned place = 0; (scheme = scheme_name(place)) != nullptr; place++) {
        uint64_t made = (*reading)[METRIC_SCHEME_TASKS_MADE + place];
        uint64_t gone = (*reading)[METRIC_SCHEME_TASKS_GONE + place];
        MetricLabels labels = {{"scheme", scheme}};
        reading->add("weft_made_client_tasks_total", made_help, COUNTER, NONE, labels, made);
        reading->add("weft_ended_client_tasks_total", ended_help, COUNTER, NONE, labels, gone);
        reading->add("weft_client_tasks", there_help, GAUGE, NONE, labels, made - gone);
    }
}

void add_answers(Reading *reading) {
    constexpr const char *CLASSES[] = {"1xx", "2xx", "3xx", "4xx", "5xx"};
    const char *name = "weft_http_answers_total";
    const char *help = "Answers of HTTP servers, by class of status.";
    uint64_t others = (*reading)[METRIC_HTTP_ANSWERS];
    for (unsigned digit = 6; digit < METRIC_HTTP_CLASSES; digit++)
        others += (*reading)[METRIC_HTTP_ANSWERS + digit];
    for (unsigned i = 0; i < std::size(CLASSES); i++)
        reading->add(name, help, COUNTER, NONE, {{"class", CLASSES[i]}},
                     (*reading)[METRIC_HTTP_ANSWERS + 1 + i]);
    reading->add(name, help, COUNTER, NONE, {{"class", "other"}}, others);
}

} // namespace

const char *close_reason_name(unsigned reason) {
    return reason < std::size(REASONS) ? REASONS[reason] : "unnamed";
}

const char *connection_side(unsigned state) {
    if (state <= CommConnEntry::CLOSING)
        return "client";
    return state <= CommConnEntry::S_CLOSING ? "server" : "channel";
}

void collect_own(std::vector<MetricFamily> *families) {
    families->reserve(64);
    Reading reading(families);
    for (const Known &known : TABLE) {
        uint64_t n = reading[known.plus];
        for (unsigned i = 1; i <= known.minus; i++)
            n -= reading[known.plus + i];
        MetricLabels labels;
        if (known.label)
            labels.emplace_back(known.label, known.value);
        reading.add(known.name, known.help, known.type, known.unit, std::move(labels), n);
    }
    add_connections(&reading);
    add_handshakes(&reading);
    add_tasks(&reading);
    add_schemes(&reading);
    reading.add("weft_held_permits",
                "Permits in use: of callbacks that run, and of threads between two of them.", GAUGE,
                NONE, {}, mpoller_count_held_permits());
    add_answers(&reading);
    reading.add_histogram("weft_server_request_duration_seconds",
                          "From the first byte of a request until its answer was sent.",
                          METRIC_SERVER_TIME);
    reading.add_histogram("weft_client_answer_duration_seconds",
                          "From a request that was sent until its answer was whole.",
                          METRIC_CLIENT_TIME);
    reading.add_histogram("weft_queue_age_seconds",
                          "How long completions waited in the queue; a sample of them.",
                          METRIC_QUEUE_TIME);
    reading.add_histogram("weft_channel_message_duration_seconds",
                          "From the receipt of a channel's message's first byte until the function "
                          "for it has returned; a sample of them.",
                          METRIC_CHANNEL_TIME);
}

} // namespace wf::detail
