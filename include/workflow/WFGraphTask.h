// Weft public header, room: task - graphs of tasks: each node runs when all before it have ended
// SPDX-License-Identifier: Apache-2.0
#ifndef WEFT_WFGRAPHTASK_H
#define WEFT_WFGRAPHTASK_H

#include <atomic>
#include <functional>
#include <utility>
#include <vector>

#include "WFTask.h"
#include "Workflow.h"

namespace wf {
class GraphGrowth;

namespace detail {
class GraphBody;
class GraphEdges;
class GraphSeries;
class NodeExtra;
} // namespace detail
} // namespace wf

// A node of a graph: counts those before it, then lets its task run in a series of its own, and
// when that series has ended counts at each of those behind it. When it was canceled, so are
// theirs. Edges with a condition, data along edges, and nodes that are added while the graph runs
// are in wf/graph.h.
class WFGraphNode : protected WFCounterTask {
public:
    // An edge to `node`. Before the graph is started, or as a part of its growth.
    void precede(WFGraphNode &node) {
        if (this->extra_.load(std::memory_order_acquire) ||
            node.extra_.load(std::memory_order_acquire))
            this->check_edge(node);
        node.value++;
        this->successors.push_back(&node);
    }

    void succeed(WFGraphNode &node) { node.precede(*this); }

protected:
    SubTask *done() override;
    int cut_short(int cut_with) override;

    std::vector<WFGraphNode *> successors;

    WFGraphNode() : WFCounterTask(0, nullptr), extra_(NULL) {}
    ~WFGraphNode() override;

private:
    // Stops the program when the edge cannot be: of the growth of a graph.
    void check_edge(const WFGraphNode &node) const;

    // What wf/graph.h adds; NULL as long as it adds nothing. Owned.
    std::atomic<wf::detail::NodeExtra *> extra_;

    friend class WFGraphTask;
    friend class wf::GraphGrowth;
    friend class wf::detail::GraphEdges;
    friend class wf::detail::GraphSeries;
    friend class wf::detail::NodeExtra;
};

// So that edges read a-->b, b<--a and a-->b-->c.

static inline WFGraphNode &operator--(WFGraphNode &node, int) { return node; }
static inline WFGraphNode &operator--(WFGraphNode &node) { return node; }

static inline WFGraphNode &operator>(WFGraphNode &prec, WFGraphNode &succ) {
    prec.precede(succ);
    return succ;
}

static inline WFGraphNode &operator<(WFGraphNode &succ, WFGraphNode &prec) {
    succ.succeed(prec);
    return prec;
}

// A graph as one task. It ends, with WFT_STATE_SUCCESS, when all its nodes have. One with a cycle
// never does.
class WFGraphTask : public WFGenericTask, private wf::detail::TaskMark<wf::detail::TASK_GRAPH> {
public:
    // Before the start. Nodes without an edge between them start in the order they were made. The
    // node is valid until its series has ended.
    WFGraphNode &create_graph_node(SubTask *task);

    void set_callback(std::function<void(WFGraphTask *)> cb) { this->callback = std::move(cb); }

protected:
    void dispatch() override;
    SubTask *done() override;

    std::function<void(WFGraphTask *)> callback;

public:
    WFGraphTask(std::function<void(WFGraphTask *)> &&cb) : callback(std::move(cb)), body_(NULL) {}

protected:
    ~WFGraphTask() override;

private:
    void tell_end();

    wf::detail::GraphBody *body_; // NULL without nodes, and when it has been dispatched
    friend class wf::detail::GraphBody;
};

#endif
