// Weft - finding a sample in what collect() says
// SPDX-License-Identifier: Apache-2.0
#ifndef WEFT_TEST_UNIT_METRICS_FIND_H
#define WEFT_TEST_UNIT_METRICS_FIND_H

#include <string>
#include <vector>

#include "workflow/wf/metrics.h"

// NULL when there is none. `value` is that of the first label, or empty.
inline const wf::MetricSample *find_sample(const std::vector<wf::MetricFamily> &families,
                                           const std::string &name, const std::string &value = "") {
    for (const wf::MetricFamily &family : families) {
        if (family.name != name)
            continue;
        for (const wf::MetricSample &sample : family.samples) {
            if (value.empty() || (!sample.labels.empty() && sample.labels[0].second == value))
                return &sample;
        }
    }
    return nullptr;
}

// -1 when there is none.
inline double read_value(const std::string &name, const std::string &value = "") {
    std::vector<wf::MetricFamily> families = wf::collect();
    const wf::MetricSample *sample = find_sample(families, name, value);
    return sample ? sample->value : -1;
}

#endif
