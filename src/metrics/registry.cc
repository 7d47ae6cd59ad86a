// Weft - the registry: names and places of the metrics that programs define
// SPDX-License-Identifier: Apache-2.0
//
// A metric has one slot, or those of a histogram. Slots are never set back, since only the threads
// may write theirs: the metric remembers what stood there when it began.
#include "metrics/registry.h"

#include <algorithm>
#include <mutex>
#include <new>

#include "kernel/metrics.h"

namespace wf::detail {

struct MetricEntry::State {
    State *next, *prev;
    MetricType type;
    MetricOptions options;
    std::string shown;
    std::function<double()> read;
    unsigned slot;
    std::vector<uint64_t> base;
};

namespace {

constexpr unsigned NO_SLOT = ~0u;
constexpr unsigned PER_PAGE = unsigned{METRIC_PAGE} / unsigned{HISTOGRAM_SLOTS}; // histograms

// The free places of one size.
struct Places {
    unsigned size;
    unsigned per_page;
    std::vector<unsigned> free;
};

bool is_name(const std::string &name) {
    constexpr std::string_view LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_";
    constexpr std::string_view DIGITS = "0123456789";
    return !name.empty() && LETTERS.find(name[0]) != std::string_view::npos &&
           std::all_of(name.begin(), name.end(), [&](char c) {
               return LETTERS.find(c) != std::string_view::npos ||
                      DIGITS.find(c) != std::string_view::npos;
           });
}

bool has_good_names(const MetricOptions &options) {
    const MetricLabels &labels = options.labels;
    for (size_t i = 0; i < labels.size(); i++) {
        const std::string &name = labels[i].first;
        auto same = [&](const auto &label) { return label.first == name; };
        bool taken = std::any_of(labels.begin(), labels.begin() + static_cast<ptrdiff_t>(i), same);
        if (!is_name(name) || name == "le" || name.compare(0, 2, "__") == 0 || taken)
            return false;
    }
    // The engine's own names begin so.
    return is_name(options.name) && options.name.compare(0, 5, "weft_") != 0;
}

} // namespace

struct Registry {
    using State = MetricEntry::State;

    std::mutex mutex;
    State *first = nullptr; // under the mutex, like the rest
    Places singles = {1, METRIC_PAGE, {}};
    Places histograms = {HISTOGRAM_SLOTS, PER_PAGE, {}};
    unsigned pages = 0;

    // Never destroyed: metrics may be static objects.
    static Registry &get() {
        static Registry *registry = new Registry;
        return *registry;
    }

    Places &places(MetricType type) { return type == MetricType::HISTOGRAM ? histograms : singles; }

    unsigned take_slot(Places &places) {
        if (places.free.empty()) {
            if (!metrics_provide(pages))
                return NO_SLOT;
            unsigned page = pages++;
            for (unsigned i = places.per_page; i > 0; i--)
                places.free.push_back(metric_slot(page, (i - 1) * places.size));
        }
        unsigned slot = places.free.back();
        places.free.pop_back();
        return slot;
    }

    bool fits(const State &state) const {
        for (const State *other = first; other; other = other->next) {
            if (other->shown != state.shown)
                continue;
            if (other->type != state.type || other->options.unit != state.options.unit ||
                other->options.labels == state.options.labels)
                return false;
        }
        return true;
    }

    bool enter(State *state) {
        std::lock_guard<std::mutex> lock(mutex);
        if (!fits(*state))
            return false;
        Places &from = places(state->type);
        state->slot = take_slot(from);
        if (state->slot == NO_SLOT)
            return false;
        state->base.resize(from.size);
        metrics_sum(state->slot, from.size, state->base.data());
        state->prev = nullptr;
        state->next = first;
        if (first)
            first->prev = state;
        first = state;
        return true;
    }

    void leave(State *state) {
        std::lock_guard<std::mutex> lock(mutex);
        (state->prev ? state->prev->next : first) = state->next;
        if (state->next)
            state->next->prev = state->prev;
        places(state->type).free.push_back(state->slot);
    }

    static std::vector<uint64_t> sums(const State &state) {
        std::vector<uint64_t> now(state.base.size());
        metrics_sum(state.slot, static_cast<unsigned>(now.size()), now.data());
        for (size_t i = 0; i < now.size(); i++)
            now[i] -= state.base[i];
        return now;
    }

    static MetricSample sample(const State &state) {
        MetricSample sample;
        sample.labels = state.options.labels;
        MetricUnit unit = state.options.unit;
        std::vector<uint64_t> now = sums(state);
        if (state.type == MetricType::HISTOGRAM)
            sample.histogram = read_histogram(now.data(), unit);
        else if (state.read)
            sample.value = state.read();
        else if (state.type == MetricType::GAUGE)
            sample.value = static_cast<double>(static_cast<int64_t>(now[0])) * unit_scale(unit);
        else
            sample.value = static_cast<double>(now[0]) * unit_scale(unit);
        return sample;
    }
};

MetricEntry::MetricEntry(MetricType type, const MetricOptions &options,
                         std::function<double()> read)
    : state_(nullptr), slot_(NO_SLOT), shift_(histogram_shift(options.unit)) {
    if (!has_good_names(options))
        return;
    State *state = new (std::nothrow) State;
    if (!state)
        return;
    state->type = type;
    state->options = options;
    std::sort(state->options.labels.begin(), state->options.labels.end());
    state->shown = shown_name(options.name, type, options.unit);
    state->read = std::move(read);
    if (!Registry::get().enter(state)) {
        delete state;
        return;
    }
    state_ = state;
    slot_ = state->slot;
}

MetricEntry::~MetricEntry() {
    if (state_)
        Registry::get().leave(state_);
    delete state_;
}

void MetricEntry::add(uint64_t n) {
    if (slot_ != NO_SLOT)
        metric_add_far(slot_, n);
}

void MetricEntry::observe(uint64_t value) {
    if (slot_ == NO_SLOT)
        return;
    metric_add_far(slot_, value);
    metric_add_far(slot_ + 1 + histogram_index(value, shift_), 1);
}

uint64_t MetricEntry::sum() const { return state_ ? Registry::sums(*state_)[0] : 0; }

void collect_programs(std::vector<MetricFamily> *families) {
    Registry &registry = Registry::get();
    std::lock_guard<std::mutex> lock(registry.mutex);
    Registry::State *state = registry.first;
    while (state && state->next)
        state = state->next;
    for (; state; state = state->prev) { // the eldest first
        MetricFamily *family = find_family(families, state->shown, state->type, state->options.unit,
                                           state->options.help.c_str());
        family->samples.push_back(Registry::sample(*state));
    }
}

} // namespace wf::detail
