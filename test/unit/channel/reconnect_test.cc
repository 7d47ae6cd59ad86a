// Weft - unit tests: when a client comes back
// SPDX-License-Identifier: Apache-2.0
#include "channel/reconnect.h"

#include <errno.h>
#include <gtest/gtest.h>
#include <netdb.h>

#include "workflow/WFTask.h"

using wf::ReconnectPolicy;
using wf::detail::can_pass;
using wf::detail::reconnect_delay;

TEST(Reconnect, DelaysDoubleUpToTheirLimit) {
    ReconnectPolicy policy;
    policy.jitter = 0;
    int delays[] = {500, 1000, 2000, 4000, 8000, 16000, 30000, 30000};
    for (int i = 0; i < 8; i++)
        EXPECT_EQ(reconnect_delay(policy, i + 1, 12345), delays[i]);
    EXPECT_EQ(reconnect_delay(policy, 0, 0), 500); // behind a connection that was established
    EXPECT_EQ(reconnect_delay(policy, 1000000, 0), 30000);
}

TEST(Reconnect, JitterSpreadsThemEvenly) {
    ReconnectPolicy policy;
    int low = 0, high = 0;
    uint64_t random = 88172645463325252u;
    for (int i = 0; i < 10000; i++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        int delay = reconnect_delay(policy, 1, random);
        ASSERT_GE(delay, 250);
        ASSERT_LE(delay, 750);
        low += delay < 375;
        high += delay >= 625;
    }
    EXPECT_NEAR(low, 2500, 200);
    EXPECT_NEAR(high, 2500, 200);
    EXPECT_EQ(reconnect_delay(policy, 100, UINT64_MAX), 30000); // never more than the limit
}

TEST(Reconnect, StrangePoliciesAreBounded) {
    ReconnectPolicy policy;
    policy.first_delay = -5;
    EXPECT_EQ(reconnect_delay(policy, 3, 1), 0);
    policy.first_delay = 100;
    policy.max_delay = 10;
    policy.jitter = 7;
    EXPECT_LE(reconnect_delay(policy, 3, UINT64_MAX), 10);
    EXPECT_GE(reconnect_delay(policy, 3, 0), 0);
}

TEST(Reconnect, WhatCanPass) {
    for (int error : {ECONNREFUSED, ETIMEDOUT, EHOSTUNREACH, ENETUNREACH, ECONNRESET, EMFILE,
                      EADDRNOTAVAIL, ENOMEM, EAGAIN, EPIPE, 0})
        EXPECT_TRUE(can_pass(WFT_STATE_SYS_ERROR, error)) << error;
    for (int error : {EACCES, EPERM, EAFNOSUPPORT, EINVAL, ECANCELED})
        EXPECT_FALSE(can_pass(WFT_STATE_SYS_ERROR, error)) << error;
    EXPECT_TRUE(can_pass(WFT_STATE_DNS_ERROR, EAI_AGAIN));
    EXPECT_FALSE(can_pass(WFT_STATE_DNS_ERROR, EAI_NONAME));
    EXPECT_FALSE(can_pass(WFT_STATE_SSL_ERROR, 1));
    EXPECT_FALSE(can_pass(WFT_STATE_ABORTED, 0));
}
