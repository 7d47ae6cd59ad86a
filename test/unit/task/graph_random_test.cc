// Weft - random graphs against a model: conditions, joins, data, cancels and growth on several threads
// SPDX-License-Identifier: Apache-2.0
//
// A plan says all that a graph will do: its nodes and edges, those too that are added by the growth
// of others, and how each condition will answer. The model computes from the plan alone, without an
// order of time, which nodes run; then the graph is run, and each node must have done so.
#include "workflow/wf/graph.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <random>
#include <set>
#include <vector>

#include "task/named.h"
#include "unit/task/task_support.h"

using namespace tasktest;

namespace {

constexpr size_t NOBODY = SIZE_MAX;

enum Kind { PLAIN, CONDITION, DATA, IF_PUT };
enum How { IN_PLACE, COMPUTE, TIMER };
enum Fate { UNKNOWN, ABSENT, RAN, SKIPPED, CANCELED };

struct PlanEdge {
    size_t from = 0;
    size_t to = 0;
    size_t grower = NOBODY; // whose growth makes it
    Kind kind = PLAIN;
    bool yes = true; // what the condition says, or whether something is put
    wf::Edge<size_t> data;
    std::atomic<int> asked{0};
};

struct PlanNode {
    size_t grower = NOBODY;
    wf::Join join = wf::Join::ALL;
    How how = IN_PLACE;
    bool prepared = false;
    bool cancels = false; // its own series
    std::vector<size_t> in, out;
    std::vector<size_t> new_nodes, new_edges; // what it adds

    Fate fate = UNKNOWN; // by the model
    WFGraphNode *node = nullptr;
    std::atomic<int> ran{0}, gone{0}, prepares{0}, time{0};
};

struct Plan {
    std::vector<std::unique_ptr<PlanNode>> nodes;
    std::vector<std::unique_ptr<PlanEdge>> edges;

    size_t add_node(size_t grower) {
        nodes.push_back(std::make_unique<PlanNode>());
        nodes.back()->grower = grower;
        return nodes.size() - 1;
    }
    size_t add_edge(size_t from, size_t to, size_t grower) {
        edges.push_back(std::make_unique<PlanEdge>());
        PlanEdge &edge = *edges.back();
        edge.from = from;
        edge.to = to;
        edge.grower = grower;
        nodes[from]->out.push_back(edges.size() - 1);
        nodes[to]->in.push_back(edges.size() - 1);
        return edges.size() - 1;
    }
};

// Draws a plan.
class Planner {
public:
    Planner(unsigned seed, Plan *plan) : dice_(seed), plan_(plan) {}

    void draw() {
        size_t first = 3 + dice_() % 25;
        for (size_t i = 0; i < first; i++) {
            this->decorate(plan_->add_node(NOBODY));
            for (size_t n = dice_() % 4; n > 0 && i > 0; n--)
                this->edge(dice_() % i, i, NOBODY);
        }
        for (size_t i = 0; i < plan_->nodes.size() && plan_->nodes.size() < 120; i++) {
            if (dice_() % 4 == 0)
                this->grow(i);
        }
    }

private:
    void decorate(size_t i) {
        PlanNode &node = *plan_->nodes[i];
        node.join = dice_() % 3 == 0 ? wf::Join::ANY : wf::Join::ALL;
        node.how = static_cast<How>(dice_() % 3);
        node.prepared = dice_() % 3 == 0;
        node.cancels = dice_() % 25 == 0;
    }

    size_t edge(size_t from, size_t to, size_t grower) {
        size_t i = plan_->add_edge(from, to, grower);
        PlanEdge &edge = *plan_->edges[i];
        edge.kind = static_cast<Kind>(dice_() % 4);
        edge.yes = dice_() % 4 != 0;
        return i;
    }

    // Those that follow a node by edges that are there when it runs: the first ones, and those of
    // the growths that it comes from.
    std::vector<size_t> followers(size_t of) {
        std::set<size_t> growers = {NOBODY}, found;
        for (size_t g = plan_->nodes[of]->grower; g != NOBODY; g = plan_->nodes[g]->grower)
            growers.insert(g);
        std::vector<size_t> left = {of};
        while (!left.empty()) {
            size_t node = left.back();
            left.pop_back();
            for (size_t e : plan_->nodes[node]->out) {
                PlanEdge &edge = *plan_->edges[e];
                if (growers.count(edge.grower) && found.insert(edge.to).second)
                    left.push_back(edge.to);
            }
        }
        return {found.begin(), found.end()};
    }

    void grow(size_t self) {
        std::vector<size_t> targets = this->followers(self), sources = {self};
        std::vector<size_t> &new_edges = plan_->nodes[self]->new_edges;
        for (size_t n = 1 + dice_() % 3; n > 0; n--) {
            size_t made = plan_->add_node(self);
            this->decorate(made);
            plan_->nodes[self]->new_nodes.push_back(made);
            for (size_t k = dice_() % 3; k > 0; k--)
                new_edges.push_back(this->edge(sources[dice_() % sources.size()], made, self));
            sources.push_back(made);
        }
        for (size_t k = dice_() % 4; k > 0 && !targets.empty(); k--)
            new_edges.push_back(this->edge(sources[dice_() % sources.size()],
                                           targets[dice_() % targets.size()], self));
    }

    std::minstd_rand dice_;
    Plan *plan_;
};

// What becomes of each node, by its definition.
class Model {
public:
    explicit Model(Plan *plan) : plan_(plan) {
        for (size_t i = 0; i < plan->nodes.size(); i++)
            this->fate_of(i);
    }

private:
    Fate fate_of(size_t i) {
        PlanNode &node = *plan_->nodes[i];
        if (node.fate == UNKNOWN)
            node.fate = this->decide(node);
        return node.fate;
    }

    bool is_there(size_t grower) { return grower == NOBODY || this->fate_of(grower) == RAN; }

    Fate decide(const PlanNode &node) {
        if (!this->is_there(node.grower))
            return ABSENT;
        size_t there = 0, taken = 0;
        bool canceled = false;
        for (size_t e : node.in) {
            const PlanEdge &edge = *plan_->edges[e];
            if (!this->is_there(edge.grower))
                continue;
            Fate from = this->fate_of(edge.from);
            bool open = edge.kind == PLAIN || edge.kind == DATA || edge.yes;
            there++;
            taken += from == RAN && open;
            canceled =
                canceled || from == CANCELED || (from == RAN && plan_->nodes[edge.from]->cancels);
        }
        if (canceled)
            return CANCELED;
        bool runs = node.join == wf::Join::ALL ? taken == there : there == 0 || taken > 0;
        return runs ? RAN : SKIPPED;
    }

    Plan *plan_;
};

// A task of the executor, with something to do in its callback.
class Go : public WFGoTask {
public:
    Go(Compute &compute, std::function<void(SubTask *)> body)
        : WFGoTask(&compute.queue, &compute.executor), body_(std::move(body)) {}

private:
    void execute() override {}
    SubTask *done() override {
        body_(this);
        return this->WFGoTask::done();
    }
    std::function<void(SubTask *)> body_;
};

// Runs a plan.
class Runner {
public:
    Runner(Plan *plan, Compute *compute) : plan_(plan), compute_(compute) {}

    void run() {
        Event ended;
        WFGraphTask *graph = new WFGraphTask(nullptr);
        for (size_t i = 0; i < plan_->nodes.size(); i++) {
            if (plan_->nodes[i]->grower == NOBODY)
                this->set_up(i, graph->create_graph_node(this->make_task(i)));
        }
        for (std::unique_ptr<PlanEdge> &edge : plan_->edges) {
            if (edge->grower == NOBODY)
                this->connect(*edge);
        }
        Workflow::start_series_work(graph, [&](const SeriesWork *) { ended.set(); });
        ASSERT_TRUE(ended.wait());
    }

private:
    SubTask *make_task(size_t i) {
        PlanNode &plan = *plan_->nodes[i];
        // Whatever becomes of the task, it lets go of this once.
        std::shared_ptr<PlanNode> until_gone(&plan, [](PlanNode *node) { node->gone++; });
        auto body = [this, i, until_gone](SubTask *task) { this->in_callback(i, task); };
        if (plan.how == COMPUTE)
            return new Go(*compute_, body);
        if (plan.how == TIMER)
            return wf::detail::make_timer(scheduler(), 0, static_cast<long>(i % 3) * 1000, body);
        return new Call(body);
    }

    void set_up(size_t i, WFGraphNode &node) {
        PlanNode &plan = *plan_->nodes[i];
        plan.node = &node;
        if (plan.join == wf::Join::ANY)
            wf::set_join(node, wf::Join::ANY);
        if (plan.prepared) {
            wf::set_prepare(node, [this, i](SubTask *) {
                plan_->nodes[i]->prepares++;
                this->check_data(i);
            });
        }
    }

    void connect(PlanEdge &edge) {
        WFGraphNode &from = *plan_->nodes[edge.from]->node, &to = *plan_->nodes[edge.to]->node;
        if (edge.kind == PLAIN) {
            from.precede(to);
        } else if (edge.kind == CONDITION) {
            wf::connect(from, to, [&edge] {
                edge.asked++;
                return edge.yes;
            });
        } else if (edge.kind == DATA) {
            wf::connect(from, to, edge.data);
        } else {
            wf::connect_if_put(from, to, edge.data);
        }
    }

    // What the edges into a node that runs must have in them.
    void check_data(size_t i) {
        for (size_t e : plan_->nodes[i]->in) {
            PlanEdge &edge = *plan_->edges[e];
            if (edge.kind != DATA && edge.kind != IF_PUT)
                continue;
            bool there = edge.grower == NOBODY || plan_->nodes[edge.grower]->fate == RAN;
            size_t *value = edge.data.get();
            bool wanted = there && edge.yes && plan_->nodes[edge.from]->fate == RAN;
            EXPECT_EQ(wanted, value != nullptr);
            if (value) {
                EXPECT_EQ(e, *value);
            }
        }
    }

    void in_callback(size_t i, SubTask *task) {
        PlanNode &plan = *plan_->nodes[i];
        plan.ran++;
        plan.time = ++clock_;
        this->check_data(i);
        if (!plan.new_nodes.empty()) {
            wf::GraphGrowth growth(task);
            EXPECT_EQ(plan.node, &growth.self());
            for (size_t n : plan.new_nodes)
                this->set_up(n, growth.node(this->make_task(n)));
            for (size_t e : plan.new_edges)
                this->connect(*plan_->edges[e]);
        }
        for (size_t e : plan.out) {
            PlanEdge &edge = *plan_->edges[e];
            bool there =
                edge.grower == NOBODY || edge.grower == i || plan_->nodes[edge.grower]->fate == RAN;
            if (there && edge.yes && (edge.kind == DATA || edge.kind == IF_PUT))
                edge.data.put(e);
        }
        if (plan.cancels)
            series_of(task)->cancel();
    }

    Plan *plan_;
    Compute *compute_;
    std::atomic<int> clock_{0};
};

void check(const Plan &plan) {
    for (const std::unique_ptr<PlanNode> &node : plan.nodes) {
        EXPECT_EQ(node->fate == RAN ? 1 : 0, node->ran);
        EXPECT_EQ(node->fate == ABSENT ? 0 : 1, node->gone);
        EXPECT_EQ(node->fate == RAN && node->prepared ? 1 : 0, node->prepares);
    }
    for (const std::unique_ptr<PlanEdge> &edge : plan.edges) {
        const PlanNode &from = *plan.nodes[edge->from], &to = *plan.nodes[edge->to];
        bool there = edge->grower == NOBODY || plan.nodes[edge->grower]->fate == RAN;
        bool asks = there && edge->kind == CONDITION && from.fate == RAN && !from.cancels;
        EXPECT_EQ(asks ? 1 : 0, edge->asked);
        if (there && from.fate == RAN && to.fate == RAN) {
            EXPECT_LT(from.time.load(), to.time.load());
        }
    }
}

void run_random(unsigned seeds, size_t threads) {
    scheduler();
    Compute compute(threads);
    int fates[CANCELED + 1] = {};
    for (unsigned seed = 1; seed <= seeds; seed++) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        Plan plan;
        Planner(seed, &plan).draw();
        Model model(&plan);
        Runner runner(&plan, &compute);
        runner.run();
        if (::testing::Test::HasFatalFailure())
            return; // it may be running still
        check(plan);
        if (::testing::Test::HasFailure())
            return;
        for (const std::unique_ptr<PlanNode> &node : plan.nodes)
            fates[node->fate]++;
    }
    for (Fate fate : {ABSENT, RAN, SKIPPED, CANCELED})
        EXPECT_GT(fates[fate], 0) << "the plans have something of everything";
}

TEST(GraphRandom, AsTheModelSaysOnOneThread) { run_random(300, 1); }

TEST(GraphRandom, AsTheModelSaysOnSeveralThreads) { run_random(600, 3); }

} // namespace
