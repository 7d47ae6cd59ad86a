// Weft - the registry of the metrics that programs define
// SPDX-License-Identifier: Apache-2.0
#ifndef WEFT_SRC_METRICS_REGISTRY_H
#define WEFT_SRC_METRICS_REGISTRY_H

#include "workflow/wf/metrics.h"

namespace wf::detail {

// The family of that name, made if there is none. `name` is as it is shown.
MetricFamily *find_family(std::vector<MetricFamily> *families, const std::string &name,
                          MetricType type, MetricUnit unit, const char *help);

// One nanosecond, or one of what else is counted, in base units.
double unit_scale(MetricUnit unit);

// From the slots of a histogram: the sum, then the buckets.
HistogramData read_histogram(const uint64_t *slots, MetricUnit unit);
unsigned histogram_shift(MetricUnit unit);

std::string shown_name(const std::string &name, MetricType type, MetricUnit unit);

void collect_own(std::vector<MetricFamily> *families);      // the engine's (known.cc)
void collect_programs(std::vector<MetricFamily> *families); // the program's (registry.cc)

} // namespace wf::detail

#endif
