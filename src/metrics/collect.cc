// Weft - collect(): from slots to families of samples
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <limits>

#include "kernel/metrics.h"
#include "metrics/registry.h"

namespace wf {

namespace detail {

MetricFamily *find_family(std::vector<MetricFamily> *families, const std::string &name,
                          MetricType type, MetricUnit unit, const char *help) {
    for (auto at = families->rbegin(); at != families->rend(); ++at) {
        if (at->name == name)
            return &*at;
    }
    families->push_back({name, help, type, unit, {}});
    return &families->back();
}

double unit_scale(MetricUnit unit) { return unit == MetricUnit::SECONDS ? 1e-9 : 1; }

unsigned histogram_shift(MetricUnit unit) {
    if (unit == MetricUnit::SECONDS)
        return HISTOGRAM_TIME_SHIFT;
    return unit == MetricUnit::BYTES ? 4 : 0;
}

HistogramData read_histogram(const uint64_t *slots, MetricUnit unit) {
    HistogramData data;
    unsigned shift = histogram_shift(unit);
    data.sum = static_cast<double>(slots[0]) * unit_scale(unit);
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        uint64_t count = slots[1 + i];
        data.count += count;
        double bound = std::numeric_limits<double>::infinity();
        bool is_power = true;
        if (i + 1 < HISTOGRAM_BUCKETS) {
            uint64_t whole = histogram_bound(i, shift);
            bound = static_cast<double>(whole) * unit_scale(unit);
            is_power = (whole & (whole - 1)) == 0;
        }
        data.buckets.push_back({bound, count, is_power});
    }
    return data;
}

std::string shown_name(const std::string &name, MetricType type, MetricUnit unit) {
    std::string shown = name;
    if (unit != MetricUnit::NONE)
        shown += unit == MetricUnit::SECONDS ? "_seconds" : "_bytes";
    return type == MetricType::COUNTER ? shown + "_total" : shown;
}

} // namespace detail

double HistogramData::percentile(double p) const {
    double wanted = p * static_cast<double>(count), below = 0, lower = 0;
    if (count == 0)
        return 0;
    for (const Bucket &bucket : buckets) {
        double here = static_cast<double>(bucket.count);
        if (bucket.count > 0 && below + here >= wanted) {
            if (bucket.bound == std::numeric_limits<double>::infinity())
                return lower;
            return lower + (bucket.bound - lower) * (wanted - below) / here;
        }
        below += here;
        lower = bucket.bound;
    }
    return lower;
}

std::vector<MetricFamily> collect() {
    std::vector<MetricFamily> families;
    detail::collect_own(&families);
    detail::collect_programs(&families);
    std::sort(families.begin(), families.end(),
              [](const MetricFamily &a, const MetricFamily &b) { return a.name < b.name; });
    return families;
}

} // namespace wf
