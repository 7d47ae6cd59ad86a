// Weft - unit tests of timelines: names of types, parts, pages
// SPDX-License-Identifier: Apache-2.0
#include "workflow/wf/timeline.h"

#include <errno.h>

#include <gtest/gtest.h>

#include <string>
#include <typeinfo>

#include "trace/recorder.h"
#include "workflow/json_parser.h"

namespace elsewhere {
class WFSomethingTask {};
template <class A, class B>
class PairTask {
public:
    class Inner {};
};
class Task {};
class WFTask {};
} // namespace elsewhere

namespace {

using wf::Timeline;
using wf::TimelinePhase;
using wf::TimelineSeries;
using wf::TimelineTask;
using wf::detail::type_name;

TEST(TypeNames, AreShort) {
    class LocalTask {};
    EXPECT_EQ("Something", type_name(typeid(elsewhere::WFSomethingTask).name()));
    EXPECT_EQ("Pair", type_name(typeid(elsewhere::PairTask<int, std::string>).name()));
    EXPECT_EQ("Inner", type_name(typeid(elsewhere::PairTask<int, char>::Inner).name()));
    EXPECT_EQ("Local", type_name(typeid(LocalTask).name()));
    EXPECT_EQ("Task", type_name(typeid(elsewhere::Task).name()));
    EXPECT_EQ("WFTask", type_name(typeid(elsewhere::WFTask).name()));
    EXPECT_EQ("no name of a type", type_name("no name of a type"));
}

// Root 2 has a parallel (task 2) of the series 1 and 3; series 4 was made by 3; root 5 stands
// alone; 6 has not begun.
Timeline sample() {
    Timeline made;
    auto series = [&](uint64_t parallel, uint64_t origin, std::vector<uint64_t> tasks) {
        TimelineSeries one;
        one.id = made.series.size() + 1;
        one.label = "series " + std::to_string(one.id);
        one.parallel = parallel;
        one.origin = origin;
        one.begin = 1000;
        one.end = 9000;
        one.tasks = std::move(tasks);
        made.series.push_back(std::move(one));
    };
    series(2, 0, {3});
    series(0, 0, {1, 2});
    series(2, 2, {4});
    series(0, 3, {5});
    series(0, 0, {6});
    series(0, 0, {});
    uint64_t of[] = {2, 2, 1, 3, 4, 5};
    for (uint64_t id : of) {
        TimelineTask task;
        task.id = made.tasks.size() + 1;
        task.series = id;
        task.type = "Timer";
        task.label = "task " + std::to_string(task.id);
        task.created = 500;
        task.begin = 1000;
        task.end = 8000;
        task.phases.push_back({"callback", 7000, 1});
        made.tasks.push_back(std::move(task));
    }
    made.length = 10000;
    return made;
}

TEST(Parts, RootsAreWhatNobodyHasStarted) {
    EXPECT_EQ((std::vector<uint64_t>{2, 5}), sample().roots());
}

TEST(Parts, HoldAllThatWasStarted) {
    Timeline part = sample().part(2);
    ASSERT_EQ(4u, part.series.size());
    ASSERT_EQ(5u, part.tasks.size());
    ASSERT_EQ(1u, part.roots().size());
    uint64_t root = part.roots().front();
    EXPECT_EQ("series 2", part.series[root - 1].label);
    for (const TimelineSeries &one : part.series) {
        EXPECT_EQ(&one - part.series.data() + 1, static_cast<long>(one.id));
        for (uint64_t id : one.tasks)
            EXPECT_EQ(one.id, part.tasks[id - 1].series);
        if (one.parallel) {
            EXPECT_EQ("task 2", part.tasks[one.parallel - 1].label);
        }
    }
}

TEST(Parts, OfAPartAreRootsThemselves) {
    Timeline part = sample().part(3);
    ASSERT_EQ(2u, part.series.size());
    EXPECT_EQ((std::vector<uint64_t>{1}), part.roots());
    EXPECT_EQ("series 3", part.series[0].label);
    EXPECT_EQ(1u, part.series[1].origin);
}

TEST(Parts, OfNothingAreEmpty) {
    EXPECT_TRUE(sample().part(0).series.empty());
    EXPECT_TRUE(sample().part(77).series.empty());
    EXPECT_TRUE(Timeline().part(1).series.empty());
}

TEST(Parts, ACircleEnds) {
    Timeline circle = sample();
    circle.series[0].parallel = 0;
    circle.series[0].origin = 3;
    circle.series[2].parallel = 0;
    circle.series[2].origin = 1;
    EXPECT_EQ(2u, circle.part(2).tasks.size());
    EXPECT_EQ(3u, circle.part(1).tasks.size());
    EXPECT_NE("", circle.html("a circle"));
    EXPECT_NE("", circle.chrome_json());
}

size_t times(const std::string &text, const std::string &word) {
    size_t count = 0;
    for (size_t at = 0; (at = text.find(word, at)) != std::string::npos; at += word.size())
        count++;
    return count;
}

TEST(Page, ShowsEachRootWithItsTasks) {
    std::string page = sample().html("a page");
    EXPECT_EQ(2u, times(page, "<details"));
    EXPECT_EQ(2u, times(page, "</details>"));
    for (int i = 1; i <= 6; i++) // as a tooltip, and as text
        EXPECT_EQ(2u, times(page, "Timer: task " + std::to_string(i))) << i;
    EXPECT_EQ(6u, times(page, ">callback, ") + times(page, "\"callback, "));
    EXPECT_EQ(times(page, "<div"), times(page, "</div>"));
}

TEST(Page, ShowsTheLatestAndSaysSo) {
    std::string page = sample().html("a page", 1);
    EXPECT_EQ(1u, times(page, "<details"));
    EXPECT_NE(std::string::npos, page.find("task 6"));
    EXPECT_EQ(std::string::npos, page.find("task 1"));
    EXPECT_NE(std::string::npos, page.find("The latest 1 are shown."));
}

TEST(Page, SaysWhatIsMissing) {
    Timeline some = sample();
    some.lost = 17;
    some.series[4].end = -1;
    some.tasks[5].end = -1;
    std::string page = some.html("a page");
    EXPECT_NE(std::string::npos, page.find("no room for 17 events"));
    EXPECT_EQ(2u, times(page, "not ended"));
}

TEST(Page, NamesAreTextAndNotMarkup) {
    Timeline some = sample();
    some.series[1].label = "<script>alert('x')</script>";
    some.tasks[0].label = "\"><img src=x>&\xff";
    some.tasks[1].phases[0].name = "\"quoted\"";
    std::string page = some.html("<b>");
    EXPECT_EQ(std::string::npos, page.find("<script"));
    EXPECT_EQ(std::string::npos, page.find("<img"));
    EXPECT_EQ(std::string::npos, page.find("<b>"));
    EXPECT_EQ(std::string::npos, page.find("\"quoted"));
    EXPECT_EQ(std::string::npos, page.find('\xff'));
}

TEST(Page, OfNothing) {
    std::string page = Timeline().html("nothing");
    EXPECT_NE(std::string::npos, page.find("0 series"));
    EXPECT_NE(std::string::npos, page.find("</html>"));
}

struct Json {
    explicit Json(const std::string &text) : value(json_value_parse(text.c_str())) {}
    ~Json() {
        if (value)
            json_value_destroy(value);
    }
    json_value_t *value;
};

TEST(ChromeTrace, IsJson) {
    Timeline some = sample();
    some.tasks[0].label = "\"quoted\"\n\x01\xff";
    Json json(some.chrome_json());
    ASSERT_NE(nullptr, json.value);
    const json_value_t *events = json_object_find("traceEvents", json_value_object(json.value));
    ASSERT_NE(nullptr, events);
    // Two processes and that of the threads, a thread for each of five series and one real one; of
    // each of six tasks itself, its phase, and that on its thread.
    EXPECT_EQ(3u + 5u + 1u + 18u, json_array_size(json_value_array(events)));
}

TEST(Files, CannotBeWrittenEverywhere) {
    errno = 0;
    EXPECT_EQ(-1, sample().write_html("/no such directory/x.html", "t"));
    EXPECT_EQ(ENOENT, errno);
    EXPECT_EQ(-1, sample().write_chrome_json("/dev/full"));
    EXPECT_EQ(ENOSPC, errno);
}

} // namespace
