// Weft - tests of WFNameService
// SPDX-License-Identifier: Apache-2.0
#include "workflow/WFNameService.h"

#include <atomic>
#include <errno.h>
#include <gtest/gtest.h>
#include <thread>
#include <vector>

namespace {

class Policy : public WFNSPolicy {
public:
    WFRouterTask *create_router_task(const struct WFNSParams *, router_callback_t) override {
        return nullptr;
    }
};

} // namespace

TEST(NameService, NamesAreCaseInsensitive) {
    Policy fallback;
    Policy policy;
    WFNameService names(&fallback);
    EXPECT_EQ(names.get_policy("a.example"), &fallback);
    EXPECT_EQ(names.add_policy("a.Example", &policy), 0);
    EXPECT_EQ(names.get_policy("A.EXAMPLE"), &policy);
    EXPECT_EQ(names.get_policy("a.exampl"), &fallback);
    EXPECT_EQ(names.get_policy(""), &fallback);
    EXPECT_EQ(names.get_policy(nullptr), &fallback);
    errno = 0;
    EXPECT_EQ(names.add_policy("A.example", &fallback), -1);
    EXPECT_EQ(errno, EEXIST);
    EXPECT_EQ(names.del_policy("a.eXample"), &policy);
    EXPECT_EQ(names.del_policy("a.example"), nullptr);
    EXPECT_EQ(names.get_policy("a.example"), &fallback);
}

TEST(NameService, DefaultPolicyMayBeReplaced) {
    Policy one;
    Policy two;
    WFNameService names(&one);
    EXPECT_EQ(names.get_default_policy(), &one);
    names.set_default_policy(&two);
    EXPECT_EQ(names.get_default_policy(), &two);
    EXPECT_EQ(names.get_policy("a"), &two);
}

TEST(NameService, NothingBadCorruptsIt) {
    Policy policy;
    WFNameService names(&policy);
    EXPECT_EQ(names.add_policy(nullptr, &policy), -1);
    EXPECT_EQ(errno, EINVAL);
    EXPECT_EQ(names.del_policy(nullptr), nullptr);
}

// behaviours row 109: a policy is never deleted by the service
TEST(NameService, ThreadsComeAndGo) {
    Policy fallback;
    Policy policies[4];
    WFNameService names(&fallback);
    std::vector<std::thread> threads;
    std::atomic<int> wrong{0};
    for (int t = 0; t < 4; t++) {
        threads.emplace_back([&, t] {
            std::string name = "p" + std::to_string(t);
            for (int i = 0; i < 1000; i++) {
                wrong += names.add_policy(name.c_str(), &policies[t]) == 0 ? 0 : 1;
                wrong += names.get_policy(name.c_str()) == &policies[t] ? 0 : 1;
                wrong += names.del_policy(name.c_str()) == &policies[t] ? 0 : 1;
            }
        });
    }
    for (std::thread &thread : threads)
        thread.join();
    EXPECT_EQ(wrong, 0);
}
