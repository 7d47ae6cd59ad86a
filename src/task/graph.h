// Weft - graphs inside: the series of a node, the body of a graph, and what wf/graph.h adds to nodes
// SPDX-License-Identifier: Apache-2.0
//
// A node is built by one thread, before the graph starts or in a growth. Then it is for those
// before it, who count at it and mark how the edge was decided, each on its own thread: these are
// atomic. From when the last has counted, it is for the thread that runs its series.
//
// Who may touch `successors` and `rules` of a node: its builder; then nobody; and from its start
// the callbacks of its own series, through a growth. Therefore a growth may walk along the edges
// from its own node: all nodes there wait, so no one else changes their edges.
#ifndef WEFT_SRC_TASK_GRAPH_H
#define WEFT_SRC_TASK_GRAPH_H

#include <atomic>
#include <functional>
#include <memory>
#include <stddef.h>
#include <vector>

#include "workflow/WFGraphTask.h"
#include "workflow/wf/graph.h"

namespace wf::detail {

// Of an edge that is not taken as a matter of course, or along which something is handed on.
struct EdgeRule {
    size_t edge; // its index in `successors`
    std::function<bool()> condition;
    std::shared_ptr<EdgeSlot> slot;
    bool if_put;
    bool taken;
};

class NodeExtra {
public:
    // That of a node, made if need be; any of those before it may be the first.
    static NodeExtra &of(WFGraphNode &node);
    static NodeExtra *find(const WFGraphNode &node) {
        return node.extra_.load(std::memory_order_acquire);
    }
    // An edge into `node` was decided; before it is counted.
    static void mark(WFGraphNode *node, bool taken);

    // All before the node have ended: it is skipped, or its task is prepared.
    void begin(SeriesWork *series, SubTask *task);
    // Its series has ended, of itself (`ran`) or else: asks the conditions, and lets them go.
    void decide(bool ran);

    Join join = Join::ALL;
    bool skipped = false;
    bool late = false;             // it was added while the graph runs
    GraphGrowth *growth = nullptr; // while it is the own or a new node of one
    std::vector<EdgeRule> rules;   // in the order of their edges
    std::function<void(SubTask *)> prepare;

private:
    bool is_refused() const;

    enum Mark : unsigned char { TAKEN = 1, REFUSED = 2 };
    std::atomic<unsigned char> marks_{0};
};

// The series of one node. It owns the node, from when that has let the task go. That of a late node
// belongs to itself, the others to the body.
class GraphSeries : public SeriesWork {
public:
    GraphSeries(WFGraphNode *node, SubTask *task);

    // The series of a node's task; NULL when it is another.
    static GraphSeries *of(const SubTask *task);
    WFGraphNode *node() const { return this->node_; }
    GraphBody *body() const;

private:
    void *get_specific(const char *key) override;
    void ended() override;

    WFGraphNode *node_;
};

// The parallel that takes the place of a graph.
class GraphBody : public ParallelWork {
public:
    explicit GraphBody(WFGraphTask *graph) : ParallelWork(nullptr), graph_(graph) {}
    ~GraphBody() override {}
    using ParallelWork::start_late;

protected:
    SubTask *done() override;

private:
    WFGraphTask *graph_;
};

} // namespace wf::detail

#endif
