// Weft public header, room: metrics - counters, gauges and histograms: the engine's and the program's
// SPDX-License-Identifier: Apache-2.0
//
// Usable from C++11. Each thread counts for itself, and whoever collects adds up, so an addition is
// some ten instructions and no locked one. docs/about-metrics.md lists the engine's own metrics.
#ifndef WEFT_METRICS_H
#define WEFT_METRICS_H

#include <chrono>
#include <functional>
#include <stddef.h>
#include <stdint.h>
#include <string>
#include <utility>
#include <vector>

namespace wf {

enum class MetricType { COUNTER, GAUGE, HISTOGRAM };

// What the numbers are. Of SECONDS the program gives nanoseconds, and readers are told seconds.
enum class MetricUnit { NONE, SECONDS, BYTES };

using MetricLabels = std::vector<std::pair<std::string, std::string>>;

// How a metric is named.
struct MetricOptions {
    std::string name;
    std::string help;
    MetricUnit unit;
    MetricLabels labels;
};

namespace detail {

// A metric's place in the registry of the process.
class MetricEntry {
public:
    MetricEntry(MetricType type, const MetricOptions &options, std::function<double()> read);
    ~MetricEntry();
    MetricEntry(const MetricEntry &) = delete;
    MetricEntry &operator=(const MetricEntry &) = delete;

    bool is_registered() const { return state_ != nullptr; }
    void add(uint64_t n);
    void observe(uint64_t value);
    uint64_t sum() const;

private:
    struct State;
    friend struct Registry;
    State *state_;
    unsigned slot_;
    unsigned shift_;
};

} // namespace detail

// All of them: made and destroyed at any time, by any thread; used by any number of threads while
// they exist.
//
// The name is letters, digits and '_', without the endings that tell unit and type: "cache_load" in
// SECONDS is shown as cache_load_seconds, and if it is a counter as cache_load_seconds_total. Names
// that begin with "weft_" are the engine's. The help is one sentence. Labels have names like
// metrics, and any text in UTF-8 as values.
//
// A metric that cannot be registered counts nothing: one of its names is none, another metric of
// that name has a different type or unit, or the same labels, or there is no memory.

// Only grows.
class Counter {
public:
    Counter(std::string name, std::string help, MetricUnit unit = MetricUnit::NONE,
            MetricLabels labels = MetricLabels())
        : entry_(MetricType::COUNTER, {std::move(name), std::move(help), unit, std::move(labels)},
                 nullptr) {}
    bool is_registered() const { return entry_.is_registered(); }
    void add(uint64_t n = 1) { entry_.add(n); }
    void add(std::chrono::nanoseconds time) { entry_.add(static_cast<uint64_t>(time.count())); }
    uint64_t value() const { return entry_.sum(); }

private:
    detail::MetricEntry entry_;
};

// Goes up and down, by any threads: one may take away what another has added.
class Gauge {
public:
    Gauge(std::string name, std::string help, MetricUnit unit = MetricUnit::NONE,
          MetricLabels labels = MetricLabels())
        : entry_(MetricType::GAUGE, {std::move(name), std::move(help), unit, std::move(labels)},
                 nullptr) {}
    // `read` is called by whoever collects, on that thread and under the registry's lock: it must
    // make, destroy or collect no metrics. It tells base units.
    Gauge(std::string name, std::string help, MetricUnit unit, MetricLabels labels,
          std::function<double()> read)
        : entry_(MetricType::GAUGE, {std::move(name), std::move(help), unit, std::move(labels)},
                 std::move(read)) {}
    bool is_registered() const { return entry_.is_registered(); }
    void add(int64_t n = 1) { entry_.add(static_cast<uint64_t>(n)); }
    void sub(int64_t n = 1) { entry_.add(-static_cast<uint64_t>(n)); }
    int64_t value() const { return static_cast<int64_t>(entry_.sum()); }

private:
    detail::MetricEntry entry_;
};

// How many values were how large, in steps of at most a quarter, and their sum. From 1 us to 137 s,
// from 16 bytes to 2 GiB, from 1 to 134 million; what is beyond is counted in the last bucket.
class Histogram {
public:
    Histogram(std::string name, std::string help, MetricUnit unit = MetricUnit::NONE,
              MetricLabels labels = MetricLabels())
        : entry_(MetricType::HISTOGRAM, {std::move(name), std::move(help), unit, std::move(labels)},
                 nullptr) {}
    bool is_registered() const { return entry_.is_registered(); }
    void observe(uint64_t value) { entry_.observe(value); }
    void observe(std::chrono::nanoseconds time) {
        entry_.observe(time.count() > 0 ? static_cast<uint64_t>(time.count()) : 0);
    }

private:
    detail::MetricEntry entry_;
};

// What a histogram holds at one moment.
struct HistogramData {
    // The values up to `bound` that are above the bound of the one before.
    struct Bucket {
        double bound; // in base units; infinite for the last
        uint64_t count;
        bool is_power; // of two: one of the few bounds that the text formats show
    };
    std::vector<Bucket> buckets; // ascending
    uint64_t count = 0;
    double sum = 0;

    // The value that the fraction `p` of all are not above; 0 when there are none.
    double percentile(double p) const;
};

struct MetricSample {
    MetricLabels labels;
    double value = 0;        // unless it is a histogram
    HistogramData histogram; // if it is
};

// All metrics of one name.
struct MetricFamily {
    std::string name; // as it is shown, with unit and type
    std::string help;
    MetricType type;
    MetricUnit unit;
    std::vector<MetricSample> samples;
};

// All metrics of the process, by name. Threads count on meanwhile: each sum is one that was true at
// some moment of the call, but two sums need not have been true at the same one.
std::vector<MetricFamily> collect();

// The text format of Prometheus, version 0.0.4: text/plain; version=0.0.4; charset=utf-8.
std::string metrics_to_prometheus(const std::vector<MetricFamily> &families);

// An array of objects: name, type, unit, help, samples.
std::string metrics_to_json(const std::vector<MetricFamily> &families);

} // namespace wf

#endif
