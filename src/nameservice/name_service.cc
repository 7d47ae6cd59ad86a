// Weft - WFNameService: policies by the host of a URL
// SPDX-License-Identifier: Apache-2.0
#include "workflow/WFNameService.h"

#include <atomic>
#include <errno.h>
#include <mutex>
#include <shared_mutex>
#include <string_view>
#include <unordered_map>

namespace wf::detail {

namespace {

unsigned char lower(char c) {
    return static_cast<unsigned char>(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

// FNV-1a over the lower case letters.
struct NameHash {
    using is_transparent = void;
    size_t operator()(std::string_view name) const {
        uint64_t hash = 0xCBF29CE484222325u;
        for (char c : name)
            hash = (hash ^ lower(c)) * 0x100000001B3u;
        return hash;
    }
};

struct NameEqual {
    using is_transparent = void;
    bool operator()(std::string_view a, std::string_view b) const {
        for (size_t i = 0; a.size() == b.size() && i < a.size(); i++) {
            if (lower(a[i]) != lower(b[i]))
                return false;
        }
        return a.size() == b.size();
    }
};

} // namespace

// Always true: `count` is the size of `policies`, so that a process without named policies looks no
// further.
class PolicyTable {
public:
    std::shared_mutex mutex;
    std::unordered_map<std::string, WFNSPolicy *, NameHash, NameEqual> policies;
    std::atomic<size_t> count{0};
    std::atomic<WFNSPolicy *> default_policy{nullptr};
};

} // namespace wf::detail

WFNameService::WFNameService(WFNSPolicy *default_policy) : table_(new wf::detail::PolicyTable) {
    table_->default_policy = default_policy;
}

WFNameService::~WFNameService() { delete table_; }

int WFNameService::add_policy(const char *name, WFNSPolicy *policy) {
    if (!name) {
        errno = EINVAL;
        return -1;
    }
    std::unique_lock<std::shared_mutex> lock(table_->mutex);
    if (!table_->policies.emplace(name, policy).second) {
        errno = EEXIST;
        return -1;
    }
    table_->count = table_->policies.size();
    return 0;
}

WFNSPolicy *WFNameService::get_policy(const char *name) {
    if (name && table_->count.load(std::memory_order_acquire) > 0) {
        std::shared_lock<std::shared_mutex> lock(table_->mutex);
        auto it = table_->policies.find(std::string_view(name));
        if (it != table_->policies.end())
            return it->second;
    }
    return this->get_default_policy();
}

WFNSPolicy *WFNameService::del_policy(const char *name) {
    std::unique_lock<std::shared_mutex> lock(table_->mutex);
    auto it = table_->policies.find(std::string_view(name ? name : ""));
    if (it == table_->policies.end())
        return nullptr;
    WFNSPolicy *policy = it->second;
    table_->policies.erase(it);
    table_->count = table_->policies.size();
    return policy;
}

WFNSPolicy *WFNameService::get_default_policy() const {
    return table_->default_policy.load(std::memory_order_acquire);
}

void WFNameService::set_default_policy(WFNSPolicy *policy) {
    table_->default_policy.store(policy, std::memory_order_release);
}
