// Weft - integration: random compositions of all kinds of tasks, cut at random
// SPDX-License-Identifier: Apache-2.0
//
// A seed draws series of all kinds of tasks, nested in parallels, graphs, modules and repeaters,
// and what happens to them from outside: counts, messages, signals, cancels and limits of time, on
// two threads beside the engine's. No callback comes twice, before one in front of it in its
// series, or beside another of it; in a series that was not cut every task has its callback, but
// for those behind a conditional, guard or resource that was cut; each root has its callback;
// nothing is left.
//
// WEFT_COMPOSE_SEED=N runs one seed, WEFT_COMPOSE_SEEDS=N the first N.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <random>
#include <string>
#include <thread>

#include <gtest/gtest.h>

#include "compat/support.h"
#include "integration/patience.h"
#include "workflow/WFMessageQueue.h"
#include "workflow/WFResourcePool.h"
#include "workflow/WFTaskFactory.h"
#include "workflow/wf/coro_task.h"

namespace {

constexpr int DEPTH = 3;
constexpr int ROOTS = 12;

// What is counted of all that a seed made.
struct Census {
    std::atomic<int> tokens{0};
    std::atomic<int> failures{0};
    std::atomic<int> series_ended{0};
};

// One line of tasks: a series.
struct Line {
    std::atomic<int> last{-1};
    std::atomic<bool> busy{false};
    std::atomic<int> uncalled{0}; // that are gone without their callback, and may not be
    int made = 0;
};

// One task. Lives as long as the task's callback, which holds it.
class Token {
public:
    Token(Census *census, std::shared_ptr<Line> line, int place, bool must)
        : census_(census), line_(std::move(line)), place_(place), must_(must) {
        census_->tokens++;
    }
    ~Token() {
        if (must_ && calls_ == 0)
            line_->uncalled++;
        census_->tokens--;
    }
    Token(const Token &) = delete;
    Token &operator=(const Token &) = delete;

    void called() {
        bool beside = line_->busy.exchange(true);
        int last = line_->last.exchange(place_);
        if (beside || calls_++ > 0 || last >= place_)
            census_->failures++;
        line_->busy = false;
    }

private:
    Census *census_;
    std::shared_ptr<Line> line_;
    const int place_;
    const bool must_;
    int calls_ = 0;
};

class Composer {
public:
    Composer(unsigned seed, Census *census, WFResourcePool *pool)
        : draws_(seed), census_(census), pool_(pool) {}

    unsigned draw(unsigned n) { return static_cast<unsigned>(draws_() % n); }

    SeriesWork *series(int depth) {
        auto line = std::make_shared<Line>();
        Census *census = census_;
        SeriesWork *made = Workflow::create_series_work(
            this->task(depth, line), [census, line](const SeriesWork *ended) {
                census->series_ended++;
                // Only a series that was cut may have dropped some of its tasks.
                if (!ended->is_canceled() && line->uncalled > 0)
                    census->failures++;
            });
        for (unsigned more = this->draw(4); more > 0; more--)
            made->push_back(this->task(depth, line));
        series_made++;
        if (this->draw(8) == 0)
            wf::set_deadline(made, static_cast<int>(this->draw(20)));
        if (this->draw(4) == 0)
            handles.push_back(wf::get_handle(made));
        return made;
    }

    // What others do to the tasks.
    std::vector<std::function<void()>> acts;
    std::vector<wf::Handle> handles;
    int series_made = 0;

private:
    // `must`: in a series that is not cut the task has its callback.
    std::function<void()> tell(const std::shared_ptr<Line> &line, bool must = true) {
        auto token = std::make_shared<Token>(census_, line, line->made++, must);
        return [token] { token->called(); };
    }
    template <class TASK>
    TASK *keep(TASK *task) {
        if (this->draw(6) == 0)
            wf::set_deadline(task, static_cast<int>(this->draw(10)));
        if (this->draw(3) == 0)
            handles.push_back(wf::get_handle(task));
        return task;
    }
    SubTask *leaf(const std::shared_ptr<Line> &line);
    SubTask *waiting(const std::shared_ptr<Line> &line);
    SubTask *nest(int depth, const std::shared_ptr<Line> &line);
    SubTask *task(int depth, const std::shared_ptr<Line> &line) {
        unsigned kind = this->draw(10);
        if (depth > 0 && kind < 3)
            return this->nest(depth - 1, line);
        return kind < 6 ? this->waiting(line) : this->leaf(line);
    }

    std::mt19937 draws_;
    Census *census_;
    WFResourcePool *pool_;
};

wf::Task<void> coroutine(unsigned us, std::function<void()> told) {
    (void)co_await wf::all(wf::sleep(std::chrono::microseconds(us)),
                           wf::compute("compose", [] { return 1; }));
    (void)co_await wf::with_timeout(std::chrono::microseconds(us),
                                    wf::sleep(std::chrono::hours(1)));
    told();
}

// Tasks that end by themselves.
SubTask *Composer::leaf(const std::shared_ptr<Line> &line) {
    std::function<void()> told = this->tell(line);
    long us = static_cast<long>(this->draw(2000));
    switch (this->draw(8)) {
    case 0:
        return this->keep(
            WFTaskFactory::create_timer_task(0, us * 1000, [told](WFTimerTask *) { told(); }));
    case 1:
        return this->keep(
            WFTaskFactory::create_counter_task(0, [told](WFCounterTask *) { told(); }));
    case 2: {
        WFGoTask *go = WFTaskFactory::create_go_task("compose", [] {});
        go->set_callback([told](WFGoTask *) { told(); });
        return this->keep(go);
    }
    case 3: {
        WFGoTask *go = WFTaskFactory::create_timedgo_task(0, us * 1000, "compose", [us] {
            auto end = std::chrono::steady_clock::now() + std::chrono::microseconds(us);
            while (std::chrono::steady_clock::now() < end)
                continue;
        });
        go->set_callback([told](WFGoTask *) { told(); });
        return this->keep(go);
    }
    case 4: {
        static char byte;
        static const std::string path = "/proc/self/exe";
        return this->keep(WFTaskFactory::create_pread_task(path, &byte, 0, 0,
                                                           [told](WFFileIOTask *) { told(); }));
    }
    case 5: {
        wf::CoroutineTask *made =
            wf::create_coroutine_task(coroutine(static_cast<unsigned>(us), [] {}));
        made->set_callback([told](wf::CoroutineTask *) { told(); });
        return this->keep(static_cast<SubTask *>(made));
    }
    case 6: {
        auto rounds = std::make_shared<unsigned>(this->draw(4));
        return this->keep(WFTaskFactory::create_repeater_task(
            [rounds](WFRepeaterTask *) -> SubTask * {
                if ((*rounds)-- == 0)
                    return nullptr;
                return WFTaskFactory::create_timer_task(0, 100000, nullptr);
            },
            [told](WFRepeaterTask *) { told(); }));
    }
    default: {
        WFSelectorTask *selector =
            WFTaskFactory::create_selector_task(2, [told](WFSelectorTask *) { told(); });
        selector->submit(nullptr);
        selector->submit(selector);
        return this->keep(selector);
    }
    }
}

// Tasks that end by what others do, or never, unless they are cut.
SubTask *Composer::waiting(const std::shared_ptr<Line> &line) {
    bool lost = this->draw(5) == 0; // nobody will do it
    unsigned kind = this->draw(6);
    // Behind a conditional, guard or resource that is cut while it waits, the task is dropped.
    std::function<void()> told = this->tell(line, kind < 2);
    WFCounterTask *behind =
        WFTaskFactory::create_counter_task(0, [told](WFCounterTask *) { told(); });
    switch (kind) {
    case 0: {
        behind->dismiss();
        WFCounterTask *counter =
            WFTaskFactory::create_counter_task(2, [told](WFCounterTask *) { told(); });
        wf::CounterHandle handle = wf::get_handle(counter);
        for (int i = lost ? 1 : 0; i < 2; i++)
            acts.push_back([handle] { handle.count(); });
        return this->keep(counter);
    }
    case 1: {
        behind->dismiss();
        WFMailboxTask *mailbox =
            WFTaskFactory::create_mailbox_task([told](WFMailboxTask *) { told(); });
        wf::MailboxHandle handle = wf::get_handle(mailbox);
        if (!lost)
            acts.push_back([handle] { handle.send(nullptr); });
        return this->keep(mailbox);
    }
    case 2: {
        WFConditional *conditional = WFTaskFactory::create_conditional(behind);
        wf::ConditionalHandle handle = wf::get_handle(conditional);
        if (!lost)
            acts.push_back([handle] { handle.signal(nullptr); });
        return this->keep(conditional);
    }
    case 3: {
        std::string name = "compose" + std::to_string(this->draw(3));
        behind->set_callback([told, name](WFCounterTask *) {
            told();
            WFTaskFactory::release_guard_safe(name, nullptr);
        });
        return this->keep(WFTaskFactory::create_guard(name, behind));
    }
    case 4: {
        WFResourcePool *pool = pool_;
        behind->set_callback([told, pool](WFCounterTask *) {
            told();
            pool->post(nullptr);
        });
        return this->keep(pool->get(behind));
    }
    default: {
        std::string name = "compose-named" + std::to_string(this->draw(3));
        WFConditional *conditional = WFTaskFactory::create_conditional(name, behind);
        if (!lost)
            acts.push_back([name] { WFTaskFactory::signal_by_name(name, nullptr); });
        return this->keep(conditional);
    }
    }
}

SubTask *Composer::nest(int depth, const std::shared_ptr<Line> &line) {
    std::function<void()> told = this->tell(line);
    switch (this->draw(3)) {
    case 0: {
        ParallelWork *parallel =
            Workflow::create_parallel_work([told](const ParallelWork *) { told(); });
        for (unsigned n = this->draw(4); n > 0; n--)
            parallel->add_series(this->series(depth));
        return this->keep(static_cast<SubTask *>(parallel));
    }
    case 1: {
        WFGraphTask *graph = WFTaskFactory::create_graph_task([told](WFGraphTask *) { told(); });
        std::vector<WFGraphNode *> nodes;
        for (unsigned n = this->draw(5); n > 0; n--) {
            nodes.push_back(&graph->create_graph_node(this->task(depth, std::make_shared<Line>())));
            for (size_t i = 0; i + 1 < nodes.size(); i++) {
                if (this->draw(2) == 0)
                    nodes[i]->precede(*nodes.back());
            }
        }
        return this->keep(static_cast<SubTask *>(graph));
    }
    default: {
        auto inner = std::make_shared<Line>();
        WFModuleTask *module = WFTaskFactory::create_module_task(
            this->task(depth, inner), [told](const WFModuleTask *) { told(); });
        module->sub_series()->push_back(this->task(depth, inner));
        if (this->draw(3) == 0)
            handles.push_back(wf::get_handle(module));
        return static_cast<SubTask *>(static_cast<ParallelTask *>(module));
    }
    }
}

void compose(unsigned seed) {
    SCOPED_TRACE("WEFT_COMPOSE_SEED=" + std::to_string(seed));
    Census census;
    WFResourcePool pool(2);
    {
        Composer composer(seed, &census, &pool);
        compat::Event ended;
        std::vector<SeriesWork *> roots;
        std::vector<wf::Handle> root_handles;
        for (int i = 0; i < ROOTS; i++) {
            // Around each, a series that tells of its end.
            ParallelWork *parallel = Workflow::create_parallel_work(nullptr);
            parallel->add_series(composer.series(DEPTH));
            roots.push_back(Workflow::create_series_work(
                parallel, [&ended](const SeriesWork *) { ended.set(); }));
            root_handles.push_back(wf::get_handle(roots.back()));
        }
        for (const wf::Handle &handle : composer.handles)
            composer.acts.push_back([handle] { (void)wf::cancel(handle); });
        std::mt19937 order(seed + 1);
        std::shuffle(composer.acts.begin(), composer.acts.end(), order);
        size_t half = composer.acts.size() / 2;
        auto act = [&](size_t from, size_t to) {
            for (size_t i = from; i < to; i++)
                composer.acts[i]();
        };
        std::thread first([&] { act(0, half); });
        std::thread second([&] { act(half, composer.acts.size()); });
        for (SeriesWork *root : roots)
            root->start();
        first.join();
        second.join();
        for (const wf::Handle &handle : root_handles)
            (void)wf::cancel(handle);
        ASSERT_TRUE(ended.wait(ROOTS)) << ended.count() << " of " << ROOTS << " have ended";
    }
    EXPECT_TRUE(eventually([&] { return census.tokens == 0; })) << census.tokens << " are left";
    EXPECT_EQ(0, census.failures);
}

TEST(RandomCompose, EndsInOrderAndLeavesNothing) {
    if (const char *seed = getenv("WEFT_COMPOSE_SEED")) {
        compose(static_cast<unsigned>(strtoul(seed, nullptr, 10)));
        return;
    }
    const char *count = getenv("WEFT_COMPOSE_SEEDS");
    unsigned long seeds = count ? strtoul(count, nullptr, 10) : 300;
    for (unsigned seed = 1; seed <= seeds && !::testing::Test::HasFailure(); seed++)
        compose(seed);
}

} // namespace
