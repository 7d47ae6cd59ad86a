// Weft - what all TLS tests begin with: names that the engine knows
// SPDX-License-Identifier: Apache-2.0

#include <signal.h>

#include <gtest/gtest.h>

#include "integration/peer.h"
#include "workflow/WFGlobal.h"

namespace {

// Lives as long as the process, since the engine does not copy the path.
class Names : public ::testing::Environment {
public:
    void SetUp() override {
        dir_.write("hosts", "127.0.0.1 localhost a.weft.test b.weft.test c.weft.test\n");
        path_ = dir_.file("hosts");
        WFGlobalSettings settings = GLOBAL_SETTINGS_DEFAULT;
        settings.hosts_path = path_.c_str();
        WORKFLOW_library_init(&settings);
        signal(SIGPIPE, SIG_IGN); // Scripted peers write to those who have gone.
    }

private:
    peer::TempDir dir_;
    std::string path_;
};

const ::testing::Environment *const names = ::testing::AddGlobalTestEnvironment(new Names);

} // namespace
