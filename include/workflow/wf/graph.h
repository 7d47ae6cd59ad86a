// Weft public header, room: task, C++20 - graphs that decide: conditions, data along edges, growth
// SPDX-License-Identifier: Apache-2.0
//
// A graph (WFGraphTask.h) says before it starts what follows what. With what is here it can also
// decide while it runs:
// - an edge has a condition, and a node to which no edge leads that is taken is skipped;
// - a node hands an object to one that follows it;
// - a callback adds nodes.
//
// An edge is decided when the series of the node before it has ended: a plain one (a-->b) is taken
// if that node ran, one of connect() if moreover its condition says so. An edge from a node that
// was skipped is not taken. When all edges into a node are decided, it runs or is skipped, as its
// join says. To skip a node is to delete its task without a callback, like that of a canceled
// series, whose own callback, if the program has set one, is run with is_canceled() true; then the
// graph goes on. A cancel of a node, by contrast, cancels all behind it, whatever their joins and
// conditions say.
#ifndef WEFT_GRAPH_H
#define WEFT_GRAPH_H

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <stddef.h>
#include <unordered_set>
#include <utility>
#include <vector>

#include "../WFGraphTask.h"

namespace wf {

// An edge with a condition, which is called once: when the series of `from` has ended and was
// neither skipped nor canceled, on that thread, before any node behind it begins. An empty one is
// always true. Before the graph starts, or in its growth.
void connect(WFGraphNode &from, WFGraphNode &to, std::function<bool()> condition);

// Which of the edges into a node must be taken for it to run. A node without edges runs always.
enum class Join {
    ALL, // the default
    ANY  // one is enough; all are waited for
};

// Before the graph starts, or in the growth that makes the node.
void set_join(WFGraphNode &node, Join join);

// Calls `prepare` with the node's task just before that is dispatched, on the same thread: the
// moment to fill a request with what came along the edges. Not for a node that is skipped or
// canceled; if `prepare` cancels the series of the task, the task does not run. When: as for
// set_join().
void set_prepare(WFGraphNode &node, std::function<void(SubTask *)> prepare);

namespace detail {

// What is handed on along an edge, but for its type.
class EdgeSlot {
public:
    EdgeSlot() : closed_(false), connected_(false) {}
    virtual ~EdgeSlot() {}
    EdgeSlot(const EdgeSlot &) = delete;
    EdgeSlot &operator=(const EdgeSlot &) = delete;

    virtual bool is_full() const = 0;
    void connect();
    void check_put() const;
    void close() { this->closed_.store(true, std::memory_order_relaxed); }

private:
    std::atomic<bool> closed_; // the node before it has ended
    bool connected_;
};

template <class T>
class EdgeSlotOf final : public EdgeSlot {
public:
    bool is_full() const override { return this->value.has_value(); }
    std::optional<T> value;
};

void connect_slot(WFGraphNode &from, WFGraphNode &to, std::shared_ptr<EdgeSlot> slot, bool if_put);

} // namespace detail

// An edge along which an object is handed on. A handle: copies stand for the same edge, and may be
// kept by the callbacks of both nodes. The object goes with the last of them, unless it was taken.
//
// The edge belongs to one side at a time, and needs no lock: until the series of the node before it
// has ended, to the callbacks of that series and to the conditions of that node's edges; from then
// on to the node behind it, its prepare and the callbacks of its series.
template <class T>
class Edge {
public:
    // An edge that is yet to be connected, for tasks that are made before their nodes.
    Edge() : slot_(std::make_shared<detail::EdgeSlotOf<T>>()) {}

    // By the node before it. What was put before is replaced. When the series of the node has
    // ended this stops the program with a message, as the other side may be reading.
    T &put(T value) const {
        this->slot_->check_put();
        return this->slot_->value.emplace(std::move(value));
    }

    // What was put; NULL when nothing was, or it was taken. Valid until it is replaced or taken.
    T *get() const { return this->slot_->value ? &*this->slot_->value : nullptr; }

    // The same, and the edge is empty then.
    std::optional<T> take() const { return std::exchange(this->slot_->value, std::nullopt); }

    // For the library.
    const std::shared_ptr<detail::EdgeSlotOf<T>> &slot() const { return this->slot_; }

private:
    std::shared_ptr<detail::EdgeSlotOf<T>> slot_;
};

// Connects two nodes with an edge along which a T may be put, and which is taken in any case. An
// Edge is connected once. When: as for connect() with a condition.
template <class T>
Edge<T> connect(WFGraphNode &from, WFGraphNode &to, Edge<T> edge = Edge<T>()) {
    detail::connect_slot(from, to, edge.slot(), false);
    return edge;
}

// The same, but the edge is taken only if something is in it when the series of `from` has ended.
template <class T>
Edge<T> connect_if_put(WFGraphNode &from, WFGraphNode &to, Edge<T> edge = Edge<T>()) {
    detail::connect_slot(from, to, edge.slot(), true);
    return edge;
}

// Adds nodes to a graph that runs. Made in the callback of a task in the series of one of its nodes
// (the node's own task, or one that was pushed behind it), on the stack, and gone before the
// callback returns:
//
//     wf::GraphGrowth growth(task);
//     WFGraphNode &more = growth.node(WFTaskFactory::create_timer_task(...));
//     growth.self()-->more-->report;
//
// Edges lead from the node whose callback this is, or from new nodes, to new nodes or to such as
// follow that node, directly or indirectly, and so wait for it still. Plain edges, connect(),
// set_join() and set_prepare() (of new nodes) may be used. What cannot be, an edge into a node that
// may have begun above all, stops the program with a message; a cycle is not noticed, and the graph
// never ends. Several callbacks may add nodes at the same time.
//
// The graph ends when the new nodes have ended too. A handle or a deadline of the graph reaches
// them like the others. The series of a new node, with its contexts, goes when its callback has
// returned, and not only with the graph.
class GraphGrowth {
public:
    // `task`: the one whose callback this is.
    explicit GraphGrowth(const SubTask *task);
    // start(), unless it was called.
    ~GraphGrowth();
    GraphGrowth(const GraphGrowth &) = delete;
    GraphGrowth &operator=(const GraphGrowth &) = delete;

    // The node whose callback this is.
    WFGraphNode &self();

    // A new node for a task, which was not started and is in no series.
    WFGraphNode &node(SubTask *task);

    // The new nodes begin, in the order they were made, on this thread; those that wait for no
    // other begin within this call. From then on the growth is over.
    void start();

private:
    void check_target(const WFGraphNode &node);
    void find_targets();
    friend class ::WFGraphNode;

    WFGraphNode *self_;              // NULL when it is over
    std::vector<WFGraphNode *> new_; // in the order they were made
    std::unordered_set<const WFGraphNode *>
        targets_; // new ones, and once needed, those that follow
};

} // namespace wf

#endif
