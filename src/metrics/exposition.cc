// Weft - metrics as text: Prometheus and JSON
// SPDX-License-Identifier: Apache-2.0
#include <limits>

#include "util/text.h"
#include "workflow/wf/metrics.h"

namespace wf {

using detail::append_json;
using detail::append_number;

namespace {

const char *type_name(MetricType type) {
    if (type == MetricType::HISTOGRAM)
        return "histogram";
    return type == MetricType::COUNTER ? "counter" : "gauge";
}

const char *unit_name(MetricUnit unit) {
    if (unit == MetricUnit::NONE)
        return "";
    return unit == MetricUnit::SECONDS ? "seconds" : "bytes";
}

// In help a quote stands for itself.
void append_escaped(std::string *text, std::string_view value, bool quoted) {
    for (char c : value) {
        if (c == '\n')
            *text += "\\n";
        else if (c == '\\' || (quoted && c == '"'))
            (*text += '\\') += c;
        else
            *text += c;
    }
}

// {a="b",le="1"}; nothing without labels. `bound` is that of a bucket, or NULL.
void append_labels(std::string *text, const MetricLabels &labels, const double *bound) {
    if (labels.empty() && !bound)
        return;
    char before = '{';
    for (const auto &[name, value] : labels) {
        *text += before;
        *text += name;
        *text += "=\"";
        append_escaped(text, value, true);
        *text += '"';
        before = ',';
    }
    if (bound) {
        *text += before;
        *text += "le=\"";
        append_number(text, *bound);
        *text += '"';
    }
    *text += '}';
}

void append_line(std::string *text, const std::string &name, const char *ending,
                 const MetricLabels &labels, double value, const double *bound = nullptr) {
    *text += name;
    *text += ending;
    append_labels(text, labels, bound);
    *text += ' ';
    append_number(text, value);
    *text += '\n';
}

void append_histogram(std::string *text, const std::string &name, const MetricSample &sample) {
    uint64_t below = 0;
    for (const HistogramData::Bucket &bucket : sample.histogram.buckets) {
        below += bucket.count;
        if (bucket.is_power)
            append_line(text, name, "_bucket", sample.labels, static_cast<double>(below),
                        &bucket.bound);
    }
    append_line(text, name, "_sum", sample.labels, sample.histogram.sum);
    append_line(text, name, "_count", sample.labels, static_cast<double>(sample.histogram.count));
}

void append_json_histogram(std::string *text, const HistogramData &data) {
    constexpr struct {
        const char *name;
        double p;
    } PERCENTILES[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p999", 0.999}};
    *text += ",\"count\":";
    append_number(text, data.count);
    *text += ",\"sum\":";
    append_number(text, data.sum);
    for (const auto &percentile : PERCENTILES) {
        ((*text += ",\"") += percentile.name) += "\":";
        append_number(text, data.percentile(percentile.p));
    }
    *text += ",\"buckets\":[";
    double lower = 0;
    bool first = true;
    for (const HistogramData::Bucket &bucket : data.buckets) {
        double upper = bucket.bound;
        if (bucket.count > 0) {
            *text += first ? "[" : ",[";
            first = false;
            append_number(text, lower);
            *text += ',';
            // JSON has no infinity: what has no upper bound is shown at the lower one.
            append_number(text, upper < std::numeric_limits<double>::infinity() ? upper : lower);
            *text += ',';
            append_number(text, bucket.count);
            *text += ']';
        }
        lower = upper;
    }
    *text += ']';
}

void append_json_sample(std::string *text, const MetricSample &sample, MetricType type) {
    *text += "{\"labels\":{";
    bool first = true;
    for (const auto &[name, value] : sample.labels) {
        if (!first)
            *text += ',';
        first = false;
        append_json(text, name);
        *text += ':';
        append_json(text, value);
    }
    *text += '}';
    if (type == MetricType::HISTOGRAM) {
        append_json_histogram(text, sample.histogram);
    } else {
        *text += ",\"value\":";
        bool finite = sample.value - sample.value == 0;
        if (finite)
            append_number(text, sample.value);
        else
            *text += "null";
    }
    *text += '}';
}

} // namespace

std::string metrics_to_prometheus(const std::vector<MetricFamily> &families) {
    std::string text;
    for (const MetricFamily &family : families) {
        ((text += "# HELP ") += family.name) += ' ';
        append_escaped(&text, family.help, false);
        (((text += "\n# TYPE ") += family.name) += ' ') += type_name(family.type);
        text += '\n';
        for (const MetricSample &sample : family.samples) {
            if (family.type == MetricType::HISTOGRAM)
                append_histogram(&text, family.name, sample);
            else
                append_line(&text, family.name, "", sample.labels, sample.value);
        }
    }
    return text;
}

std::string metrics_to_json(const std::vector<MetricFamily> &families) {
    std::string text = "[";
    for (const MetricFamily &family : families) {
        text += text.size() == 1 ? "{\"name\":" : ",\n{\"name\":";
        append_json(&text, family.name);
        ((text += ",\"type\":\"") += type_name(family.type)) += "\",\"unit\":\"";
        (text += unit_name(family.unit)) += "\",\"help\":";
        append_json(&text, family.help);
        text += ",\"samples\":[";
        for (size_t i = 0; i < family.samples.size(); i++) {
            if (i > 0)
                text += ',';
            append_json_sample(&text, family.samples[i], family.type);
        }
        text += "]}";
    }
    text += "]\n";
    return text;
}

} // namespace wf
