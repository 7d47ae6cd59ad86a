// Weft - graphs: nodes that count those before them
// SPDX-License-Identifier: Apache-2.0
//
// A graph is a parallel with one series for each node: first the node, a counter, then the node's
// task and whatever the program pushes behind it. The graph's own part in its series is taken over
// by the parallel (GraphBody), which ends the graph when it has ended itself; so the graph counts
// as the task that runs, and a cancel of its series waits for it.
#include "workflow/WFGraphTask.h"

#include "kernel/cut.h"

namespace wf::detail {

// The series of one node. It owns the node, from when that has let the task go.
class GraphSeries : public SeriesWork {
public:
    GraphSeries(WFGraphNode *node, SubTask *task) : SeriesWork(node, nullptr), node_(node) {
        this->push_back(task);
    }

private:
    // Counting may run all that follows right here, so the node is gone before.
    void ended() override {
        std::vector<WFGraphNode *> successors = std::move(this->node_->successors);
        bool canceled = this->is_canceled();
        delete this->node_;
        for (WFGraphNode *node : successors) {
            if (canceled)
                series_of(node)->cancel();
            static_cast<WFCounterTask *>(node)->count();
        }
    }

    WFGraphNode *node_;
};

class GraphBody : public ParallelWork {
public:
    explicit GraphBody(WFGraphTask *graph) : ParallelWork(nullptr), graph_(graph) {}
    ~GraphBody() override {}

protected:
    SubTask *done() override {
        this->graph_->complete();
        return this->ParallelWork::done();
    }

private:
    WFGraphTask *graph_;
};

} // namespace wf::detail

using wf::detail::GraphBody;
using wf::detail::GraphSeries;
using wf::detail::is_traced;
using wf::detail::TaskLink;

// It goes on: when what is before it has ended it is counted, and its series runs or is deleted.
int WFGraphNode::cut_short(int) {
    errno = EBUSY;
    return -1;
}

// The node stays, for its series to count at those behind it.
SubTask *WFGraphNode::done() { return series_of(this)->pop(); }

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
    this->complete();
    return series->pop();
}

void WFGraphTask::complete() {
    this->state = WFT_STATE_SUCCESS;
    if (this->callback)
        this->callback(this);
    delete this;
}

WFGraphTask::~WFGraphTask() { delete this->body_; }
