// Weft - the text formats: Prometheus and JSON, to the letter
// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "util/text.h"
#include "workflow/wf/metrics.h"

namespace {

using wf::MetricFamily;
using wf::MetricSample;
using wf::MetricType;
using wf::MetricUnit;

MetricSample value(double v, wf::MetricLabels labels = {}) {
    MetricSample sample;
    sample.labels = std::move(labels);
    sample.value = v;
    return sample;
}

TEST(Prometheus, CountersAndGauges) {
    std::vector<MetricFamily> families = {
        {"a_total", "All of a.", MetricType::COUNTER, MetricUnit::NONE, {value(3)}},
        {"b_bytes",
         "Some b.",
         MetricType::GAUGE,
         MetricUnit::BYTES,
         {value(-1.5, {{"x", "1"}}), value(2e9, {{"x", "2"}, {"y", "z"}})}},
    };
    EXPECT_EQ("# HELP a_total All of a.\n"
              "# TYPE a_total counter\n"
              "a_total 3\n"
              "# HELP b_bytes Some b.\n"
              "# TYPE b_bytes gauge\n"
              "b_bytes{x=\"1\"} -1.5\n"
              "b_bytes{x=\"2\",y=\"z\"} 2e+09\n",
              wf::metrics_to_prometheus(families));
    EXPECT_EQ("", wf::metrics_to_prometheus({}));
}

TEST(Prometheus, WhatMustBeEscaped) {
    std::vector<MetricFamily> families = {{"a",
                                           "Back \\ and\nline \"quoted\".",
                                           MetricType::GAUGE,
                                           MetricUnit::NONE,
                                           {value(1, {{"l", "a\"b\\c\nd"}})}}};
    EXPECT_EQ("# HELP a Back \\\\ and\\nline \"quoted\".\n"
              "# TYPE a gauge\n"
              "a{l=\"a\\\"b\\\\c\\nd\"} 1\n",
              wf::metrics_to_prometheus(families));
}

TEST(Prometheus, Numbers) {
    auto text = [](double v) {
        std::string s;
        wf::detail::append_number(&s, v);
        return s;
    };
    EXPECT_EQ("0", text(0));
    EXPECT_EQ("1048576", text(1048576));
    EXPECT_EQ("0.001", text(0.001));
    EXPECT_EQ("+Inf", text(std::numeric_limits<double>::infinity()));
    EXPECT_EQ("-Inf", text(-std::numeric_limits<double>::infinity()));
    EXPECT_EQ("NaN", text(std::nan("")));
    std::string whole;
    wf::detail::append_number(&whole, UINT64_MAX);
    EXPECT_EQ("18446744073709551615", whole);
}

MetricSample histogram() {
    MetricSample sample;
    sample.labels = {{"k", "v"}};
    sample.histogram.buckets = {{1, 2, true},
                                {1.5, 1, false},
                                {2, 0, true},
                                {std::numeric_limits<double>::infinity(), 1, true}};
    sample.histogram.count = 4;
    sample.histogram.sum = 9.5;
    return sample;
}

// Buckets hold what is in those below as well, and only the bounds that are powers of two are told.
TEST(Prometheus, Histograms) {
    std::vector<MetricFamily> families = {
        {"h", "Heights.", MetricType::HISTOGRAM, MetricUnit::NONE, {histogram()}}};
    EXPECT_EQ("# HELP h Heights.\n"
              "# TYPE h histogram\n"
              "h_bucket{k=\"v\",le=\"1\"} 2\n"
              "h_bucket{k=\"v\",le=\"2\"} 3\n"
              "h_bucket{k=\"v\",le=\"+Inf\"} 4\n"
              "h_sum{k=\"v\"} 9.5\n"
              "h_count{k=\"v\"} 4\n",
              wf::metrics_to_prometheus(families));
}

TEST(Json, Families) {
    std::vector<MetricFamily> families = {
        {"a_seconds",
         "A \"quote\".",
         MetricType::GAUGE,
         MetricUnit::SECONDS,
         {value(0.25, {{"x", "y"}}), value(std::nan(""))}},
        {"h", "Heights.", MetricType::HISTOGRAM, MetricUnit::NONE, {histogram()}}};
    EXPECT_EQ("[{\"name\":\"a_seconds\",\"type\":\"gauge\",\"unit\":\"seconds\","
              "\"help\":\"A \\\"quote\\\".\",\"samples\":["
              "{\"labels\":{\"x\":\"y\"},\"value\":0.25},{\"labels\":{},\"value\":null}]},\n"
              "{\"name\":\"h\",\"type\":\"histogram\",\"unit\":\"\",\"help\":\"Heights.\","
              "\"samples\":[{\"labels\":{\"k\":\"v\"},\"count\":4,\"sum\":9.5,"
              "\"p50\":1,\"p90\":2,\"p99\":2,\"p999\":2,"
              "\"buckets\":[[0,1,2],[1,1.5,1],[2,2,1]]}]}]\n",
              wf::metrics_to_json(families));
    EXPECT_EQ("[]\n", wf::metrics_to_json({}));
}

TEST(Json, Strings) {
    auto text = [](std::string_view v) {
        std::string s;
        wf::detail::append_json(&s, v);
        return s;
    };
    EXPECT_EQ("\"\"", text(""));
    EXPECT_EQ("\"a\\\"b\\\\c\"", text("a\"b\\c"));
    EXPECT_EQ("\"\\u000a\\u0000\\u007f\"", text(std::string_view("\n\0\x7f", 3)));
    EXPECT_EQ("\"\\u003c/script>\"", text("</script>"));
    EXPECT_EQ("\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\"",
              text("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"));
    // A byte on its own, one that is cut off, an overlong form, half of a surrogate pair.
    EXPECT_EQ("\"x\\ufffdy\"", text("x\xffy"));
    EXPECT_EQ("\"\\ufffd\\ufffd\"", text("\xe2\x82"));
    EXPECT_EQ("\"\\ufffd\\ufffd\"", text("\xc0\xaf"));
    EXPECT_EQ("\"\\ufffd\\ufffd\\ufffd\"", text("\xed\xa0\x80"));
}

} // namespace
