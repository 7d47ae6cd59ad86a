// Weft - the registry: metrics that programs define
// SPDX-License-Identifier: Apache-2.0
#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "find.h"

namespace {

using wf::Counter;
using wf::Gauge;
using wf::Histogram;
using wf::MetricUnit;

TEST(Registry, ACounterIsThereAsLongAsItLives) {
    {
        Counter counter("visits", "Visits.");
        ASSERT_TRUE(counter.is_registered());
        EXPECT_EQ(0, read_value("visits_total"));
        counter.add();
        counter.add(41);
        EXPECT_EQ(42u, counter.value());
        EXPECT_EQ(42, read_value("visits_total"));
    }
    EXPECT_EQ(-1, read_value("visits_total"));
    Counter again("visits", "Visits.");
    EXPECT_EQ(0u, again.value()) << "in the same place, perhaps, but from the beginning";
    again.add();
    EXPECT_EQ(1, read_value("visits_total"));
}

TEST(Registry, UnitsAreShownInBaseUnits) {
    Counter busy("busy", "Time at work.", MetricUnit::SECONDS);
    busy.add(std::chrono::milliseconds(1500));
    EXPECT_DOUBLE_EQ(1.5, read_value("busy_seconds_total"));
    Gauge held("held", "Memory.", MetricUnit::BYTES);
    held.add(4096);
    held.sub(96);
    EXPECT_EQ(4000, read_value("held_bytes"));
    EXPECT_EQ(4000, held.value());
    held.sub(5000);
    EXPECT_EQ(-1000, read_value("held_bytes"));
}

TEST(Registry, LabelsTellMetricsOfOneNameApart) {
    Counter good("answers", "Answers.", MetricUnit::NONE, {{"result", "good"}});
    Counter bad("answers", "Answers.", MetricUnit::NONE, {{"result", "bad"}});
    good.add(2);
    bad.add(3);
    EXPECT_EQ(2, read_value("answers_total", "good"));
    EXPECT_EQ(3, read_value("answers_total", "bad"));
    Counter twice("answers", "Answers.", MetricUnit::NONE, {{"result", "bad"}});
    EXPECT_FALSE(twice.is_registered());
    twice.add(100);
    EXPECT_EQ(0u, twice.value());
    EXPECT_EQ(3, read_value("answers_total", "bad"));
}

TEST(Registry, TheOrderOfLabelsDoesNotMatter) {
    Gauge one("pairs", "Pairs.", MetricUnit::NONE, {{"a", "1"}, {"b", "2"}});
    Gauge two("pairs", "Pairs.", MetricUnit::NONE, {{"b", "2"}, {"a", "1"}});
    EXPECT_TRUE(one.is_registered());
    EXPECT_FALSE(two.is_registered());
}

TEST(Registry, NamesThatAreNone) {
    for (const char *name : {"", "1st", "a-b", "a b",
                             "gr\xc3\xb6\xc3\x9f"
                             "e",
                             "weft_own"})
        EXPECT_FALSE(Counter(name, "Bad.").is_registered()) << name;
    for (const char *label : {"", "le", "__name__", "a.b"})
        EXPECT_FALSE(Counter("good", "Bad.", MetricUnit::NONE, {{label, "x"}}).is_registered())
            << label;
    EXPECT_FALSE(
        Counter("good", "Bad.", MetricUnit::NONE, {{"a", "x"}, {"a", "y"}}).is_registered());
    Gauge total("kinds_total", "Looks like a counter.");
    EXPECT_FALSE(Counter("kinds", "Another type.").is_registered());
}

TEST(Registry, AGaugeThatIsAsked) {
    std::atomic<int> asked{0};
    {
        Gauge gauge("temperature", "Degrees.", MetricUnit::NONE, {}, [&] {
            asked++;
            return 36.6;
        });
        EXPECT_EQ(36.6, read_value("temperature"));
        EXPECT_EQ(1, asked);
    }
    EXPECT_EQ(-1, read_value("temperature"));
    EXPECT_EQ(1, asked);
}

TEST(Registry, AHistogram) {
    Histogram time("step", "Time of a step.", MetricUnit::SECONDS);
    time.observe(std::chrono::milliseconds(10));
    time.observe(std::chrono::milliseconds(30));
    time.observe(std::chrono::nanoseconds(-5)); // a clock that was set back
    std::vector<wf::MetricFamily> families = wf::collect();
    const wf::MetricSample *sample = find_sample(families, "step_seconds");
    ASSERT_NE(nullptr, sample);
    EXPECT_EQ(3u, sample->histogram.count);
    EXPECT_DOUBLE_EQ(0.04, sample->histogram.sum);
    EXPECT_NEAR(0.03, sample->histogram.percentile(1), 0.03 / 4);
}

// More than fit into a page, of both sizes.
TEST(Registry, ManyMetrics) {
    std::vector<std::unique_ptr<Counter>> counters;
    std::vector<std::unique_ptr<Histogram>> histograms;
    for (int i = 0; i < 1500; i++) {
        wf::MetricLabels labels = {{"n", std::to_string(i)}};
        counters.push_back(std::make_unique<Counter>("many", "Many.", MetricUnit::NONE, labels));
        ASSERT_TRUE(counters.back()->is_registered());
        counters.back()->add(static_cast<uint64_t>(i));
        if (i % 50 == 0) {
            histograms.push_back(
                std::make_unique<Histogram>("wide", "Wide.", MetricUnit::NONE, labels));
            histograms.back()->observe(static_cast<uint64_t>(i));
        }
    }
    for (size_t i = 0; i < counters.size(); i += 100)
        EXPECT_EQ(i, counters[i]->value());
    std::vector<wf::MetricFamily> families = wf::collect();
    const wf::MetricSample *sample = find_sample(families, "wide", "1450");
    ASSERT_NE(nullptr, sample);
    EXPECT_EQ(1u, sample->histogram.count);
    EXPECT_EQ(1450, sample->histogram.sum);
}

TEST(Registry, CountedByThreadsThatComeAndGo) {
    Counter counter("by_threads", "By threads.");
    Histogram histogram("by_threads_size", "By threads.", MetricUnit::BYTES);
    std::atomic<int> left{4};
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; i++)
        threads.emplace_back([&] {
            for (int round = 0; round < 5; round++)
                std::thread([&] {
                    for (uint64_t n = 0; n < 200; n++) {
                        counter.add();
                        histogram.observe(n);
                    }
                }).join();
            left--;
        });
    while (left > 0) {
        std::vector<wf::MetricFamily> families = wf::collect();
        const wf::MetricSample *sample = find_sample(families, "by_threads_size_bytes");
        ASSERT_NE(nullptr, sample);
        EXPECT_LE(sample->histogram.count, 4000u);
        Counter beside("beside", "Made and gone meanwhile.");
        beside.add();
        EXPECT_EQ(1u, beside.value());
    }
    for (std::thread &thread : threads)
        thread.join();
    EXPECT_EQ(4000u, counter.value());
    EXPECT_EQ(4000, read_value("by_threads_total"));
}

} // namespace
