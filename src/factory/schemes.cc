// Weft - client tasks by the scheme of their url
// SPDX-License-Identifier: Apache-2.0
#include <iterator>
#include <strings.h>

#include "kernel/metrics.h"
#include "workflow/detail/scheme_mark.h"

namespace wf::detail {

namespace {

// Those that have a port of their own (WFGlobal::get_default_port), the frequent ones first. What
// programs register is "other", so that a number of their urls does not become one of labels.
constexpr const char *SCHEMES[] = {"http",  "https",  "redis", "rediss", "mysql", "mysqls",
                                   "kafka", "kafkas", "dns",   "dnss",   "other"};
constexpr int OTHER = static_cast<int>(std::size(SCHEMES)) - 1;
static_assert(std::size(SCHEMES) <= METRIC_SCHEMES);

int find_place(const char *scheme) {
    for (int place = 0; scheme && place < OTHER; place++) {
        if (strcasecmp(scheme, SCHEMES[place]) == 0)
            return place;
    }
    return OTHER;
}

} // namespace

void SchemeMark::set(const char *scheme) {
    int place = find_place(scheme);
    if (place == this->place_)
        return;
    this->clear();
    this->place_ = place;
    metric_inc(METRIC_SCHEME_TASKS_MADE + static_cast<unsigned>(place));
}

void SchemeMark::clear() {
    if (this->place_ >= 0)
        metric_inc(METRIC_SCHEME_TASKS_GONE + static_cast<unsigned>(this->place_));
}

const char *scheme_name(unsigned place) {
    return place < std::size(SCHEMES) ? SCHEMES[place] : nullptr;
}

} // namespace wf::detail
