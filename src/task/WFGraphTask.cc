// Weft - graphs: nodes that count those before them
// SPDX-License-Identifier: Apache-2.0
//
// A graph is a parallel with one series for each node: first the node, a counter, then the node's
// task and whatever the program pushes behind it. The graph's own part in its series is taken over
// by the parallel (GraphBody), which ends the graph when it has ended itself; so the graph counts
// as the task that runs, and a cancel of its series waits for it.
//
// A node is skipped by a cancel of its series, which it marks as its own: unlike any other cancel
// it is not handed on.
#include "workflow/WFGraphTask.h"

#include <errno.h>

#include "kernel/cut.h"
#include "task/graph.h"

namespace wf::detail {

namespace {

// What a series of a node is asked for; compared by its address.
constexpr char NODE_KEY[] = "weft graph node";

} // namespace

GraphSeries::GraphSeries(WFGraphNode *node, SubTask *task)
    : SeriesWork(node, nullptr), node_(node) {
    node->user_data = task; // which is prepared, if the program asks for it
    this->push_back(task);
}

GraphSeries *GraphSeries::of(const SubTask *task) {
    SeriesWork *series = series_of(task);
    return series && series->get_specific(NODE_KEY) ? static_cast<GraphSeries *>(series) : nullptr;
}

GraphBody *GraphSeries::body() const {
    return static_cast<GraphBody *>(const_cast<ParallelTask *>(this->get_in_parallel()));
}

void *GraphSeries::get_specific(const char *key) { return key == NODE_KEY ? this : nullptr; }

// Counting may run all that follows right here, so the node is gone before, and every edge decided.
void GraphSeries::ended() {
    std::vector<WFGraphNode *> successors = std::move(this->node_->successors);
    std::unique_ptr<NodeExtra> extra(this->node_->extra_.exchange(nullptr));
    bool skipped = extra && extra->skipped;
    bool canceled = this->is_canceled() && !skipped;
    delete this->node_;
    if (extra)
        extra->decide(!canceled && !skipped);
    auto rule = extra ? extra->rules.cbegin() : std::vector<EdgeRule>::const_iterator();
    for (size_t i = 0; i < successors.size(); i++) {
        WFGraphNode *node = successors[i];
        bool taken = !skipped;
        if (extra && rule != extra->rules.cend() && rule->edge == i)
            taken = (rule++)->taken;
        if (canceled)
            series_of(node)->cancel();
        else
            NodeExtra::mark(node, taken);
        static_cast<WFCounterTask *>(node)->count();
    }
    if (extra && extra->late)
        this->set_in_parallel(nullptr);
}

SubTask *GraphBody::done() {
    SeriesWork *series = series_of(this);
    WFGraphTask *graph = this->graph_;
    graph->tell_end();
    delete this; // with the series of its nodes
    delete graph;
    return series->pop();
}

} // namespace wf::detail

using wf::detail::GraphBody;
using wf::detail::GraphSeries;
using wf::detail::is_traced;
using wf::detail::NodeExtra;
using wf::detail::TaskLink;

WFGraphNode::~WFGraphNode() { delete this->extra_.load(std::memory_order_acquire); }

// It goes on: when what is before it has ended it is counted, and its series runs or is deleted.
int WFGraphNode::cut_short(int) {
    errno = EBUSY;
    return -1;
}

// The node stays, for its series to count at those behind it.
SubTask *WFGraphNode::done() {
    SeriesWork *series = series_of(this);
    if (NodeExtra *extra = NodeExtra::find(*this)) [[unlikely]]
        extra->begin(series, static_cast<SubTask *>(this->user_data));
    return series->pop();
}

WFGraphNode &WFGraphTask::create_graph_node(SubTask *task) {
    if (!this->body_)
        this->body_ = new GraphBody(this);
    WFGraphNode *node = new WFGraphNode;
    this->body_->add_series(new GraphSeries(node, task));
    return *node;
}

void WFGraphTask::dispatch() {
    if (this->body_)
        this->stays();
    this->subtask_done();
}

namespace {

void trace_nodes(const WFGraphTask *graph, const GraphBody *body) {
    wf::TraceEvent event = {};
    event.kind = wf::TraceKind::TASK_PHASE;
    event.task = graph;
    event.series = series_of(graph);
    event.parallel = body;
    event.text = "nodes";
    wf::detail::trace_event(event);
}

} // namespace

// Hands its place in the series to its body.
SubTask *WFGraphTask::done() {
    SeriesWork *series = series_of(this);
    GraphBody *body = this->body_;
    if (body) {
        this->body_ = nullptr;
        TaskLink::pass_on(this, body);
        body->set_pointer(series, series);
        if (is_traced()) [[unlikely]]
            trace_nodes(this, body);
        return body;
    }
    this->tell_end();
    delete this;
    return series->pop();
}

void WFGraphTask::tell_end() {
    this->state = WFT_STATE_SUCCESS;
    if (this->callback)
        this->callback(this);
}

WFGraphTask::~WFGraphTask() { delete this->body_; }
