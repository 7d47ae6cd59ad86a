// Weft - the log hook: levels, and a limit for each place
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "kernel/log.h"
#include "workflow/wf/log.h"

namespace {

struct Heard {
    std::vector<std::string> texts;
    Heard() {
        weft_set_log_hook([](enum weft_log_level, const char *text,
                             void *self) { static_cast<Heard *>(self)->texts.push_back(text); },
                          this);
    }
    ~Heard() {
        weft_set_log_hook(nullptr, nullptr);
        weft_set_log_level(WEFT_LOG_WARN);
    }
};

TEST(LogTest, LessThanTheLevelIsNotHeard) {
    Heard heard;
    weft_log(WEFT_LOG_INFO, "quiet");
    weft_log(WEFT_LOG_WARN, "warned of %d", 7);
    weft_set_log_level(WEFT_LOG_DEBUG);
    weft_log(WEFT_LOG_DEBUG, "chatter");
    ASSERT_EQ(heard.texts.size(), 2u);
    EXPECT_EQ(heard.texts[0], "warned of 7");
    EXPECT_EQ(heard.texts[1], "chatter");
}

TEST(LogTest, APlaceSpeaksTenTimesASecondAndThenSaysHowManyItLeftOut) {
    Heard heard;
    struct weft_log_site site = {};
    for (int i = 0; i < 35; i++)
        weft_log_at(&site, WEFT_LOG_WARN, "again");
    EXPECT_EQ(heard.texts.size(), 10u);
    site.window -= 1000000000u; // a second passes
    weft_log_at(&site, WEFT_LOG_WARN, "later");
    ASSERT_EQ(heard.texts.size(), 11u);
    EXPECT_EQ(heard.texts[10], "later (and 25 like it left out)");
}

TEST(LogTest, OnePlaceDoesNotSilenceAnother) {
    Heard heard;
    for (int i = 0; i < 20; i++)
        weft_log(WEFT_LOG_WARN, "first");
    weft_log(WEFT_LOG_ERROR, "second");
    EXPECT_EQ(heard.texts.back(), "second");
}

TEST(LogTest, LongTextsAreCut) {
    Heard heard;
    weft_log(WEFT_LOG_WARN, "%s", std::string(5000, 'x').c_str());
    ASSERT_EQ(heard.texts.size(), 1u);
    EXPECT_LT(heard.texts[0].size(), 1100u);
}

// The public form, which programs use.
TEST(LogTest, TheHookOfAProgramHearsWhatTheEngineSays) {
    std::vector<std::pair<wf::LogLevel, std::string>> heard;
    wf::set_log_hook(
        [](wf::LogLevel level, const char *text, void *context) {
            static_cast<decltype(heard) *>(context)->emplace_back(level, text);
        },
        &heard);
    wf::set_log_level(wf::LogLevel::INFO);
    weft_log(WEFT_LOG_INFO, "told");
    weft_log(WEFT_LOG_DEBUG, "not told");
    weft_log(WEFT_LOG_ERROR, "cried");
    wf::set_log_hook(nullptr, nullptr);
    wf::set_log_level(wf::LogLevel::WARNING);
    ASSERT_EQ(heard.size(), 2u);
    EXPECT_EQ(heard[0], std::make_pair(wf::LogLevel::INFO, std::string("told")));
    EXPECT_EQ(heard[1], std::make_pair(wf::LogLevel::ERROR, std::string("cried")));
}

} // namespace
