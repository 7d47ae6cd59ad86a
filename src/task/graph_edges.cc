// Weft - graphs: edges with a condition, data along edges, and growth
// SPDX-License-Identifier: Apache-2.0
#include <memory>
#include <utility>

#include "task/graph.h"

namespace wf::detail {

NodeExtra &NodeExtra::of(WFGraphNode &node) {
    NodeExtra *extra = find(node);
    if (extra)
        return *extra;
    NodeExtra *made = new NodeExtra;
    if (node.extra_.compare_exchange_strong(extra, made))
        return *made;
    delete made;
    return *extra;
}

// That an edge was taken is of interest to those alone who wait for any: what they are was said
// before the graph came to here.
void NodeExtra::mark(WFGraphNode *node, bool taken) {
    if (!taken) {
        of(*node).marks_.fetch_or(REFUSED);
        return;
    }
    NodeExtra *extra = find(*node);
    if (extra && extra->join == Join::ANY)
        extra->marks_.fetch_or(TAKEN);
}

bool NodeExtra::is_refused() const {
    unsigned char marks = marks_.load();
    return (marks & REFUSED) && (join == Join::ALL || !(marks & TAKEN));
}

void NodeExtra::begin(SeriesWork *series, SubTask *task) {
    if (series->is_canceled())
        return;
    if (this->is_refused()) {
        skipped = true;
        series->cancel();
        return;
    }
    if (std::function<void(SubTask *)> call = std::exchange(prepare, nullptr))
        call(task);
}

// All conditions see the same: what was put, and nothing of those behind the node.
void NodeExtra::decide(bool ran) {
    if (growth)
        misuse("a wf::GraphGrowth that is there still when its node has ended");
    for (EdgeRule &rule : rules) {
        rule.taken = ran && (!rule.if_put || rule.slot->is_full());
        if (rule.taken && rule.condition)
            rule.taken = rule.condition();
    }
    for (EdgeRule &rule : rules) {
        rule.condition = nullptr;
        if (rule.slot)
            rule.slot->close();
        rule.slot.reset();
    }
}

void EdgeSlot::check_put() const {
    if (this->closed_.load(std::memory_order_relaxed))
        misuse("wf::Edge::put() when the node before the edge has ended");
}

void EdgeSlot::connect() {
    if (this->connected_)
        misuse("wf::connect() with a wf::Edge that is connected already");
    this->connected_ = true;
}

// How the public functions reach into nodes.
class GraphEdges {
public:
    static bool has_begun(const WFGraphNode &node) { return node.value.load() == 0; }

    static void add(WFGraphNode &from, WFGraphNode &to, EdgeRule &&rule) {
        NodeExtra &extra = NodeExtra::of(from);
        if (!extra.growth && has_begun(from))
            misuse("wf::connect() from a node that has begun, without a wf::GraphGrowth");
        from.precede(to);
        rule.edge = from.successors.size() - 1;
        extra.rules.push_back(std::move(rule));
    }

    static NodeExtra &before_start(WFGraphNode &node, const char *what) {
        if (has_begun(node))
            misuse(what);
        return NodeExtra::of(node);
    }
};

void connect_slot(WFGraphNode &from, WFGraphNode &to, std::shared_ptr<EdgeSlot> slot, bool if_put) {
    slot->connect();
    GraphEdges::add(from, to, {0, nullptr, std::move(slot), if_put, false});
}

} // namespace wf::detail

using wf::detail::GraphEdges;
using wf::detail::GraphSeries;
using wf::detail::misuse;
using wf::detail::NodeExtra;

void WFGraphNode::check_edge(const WFGraphNode &node) const {
    NodeExtra *extra = NodeExtra::find(*this);
    if (extra && extra->growth) {
        extra->growth->check_target(node);
        return;
    }
    extra = NodeExtra::find(node);
    if (extra && extra->growth)
        misuse("an edge to a node of a wf::GraphGrowth from one that is neither new nor its own");
}

namespace wf {

void connect(WFGraphNode &from, WFGraphNode &to, std::function<bool()> condition) {
    GraphEdges::add(from, to, {0, std::move(condition), nullptr, false, false});
}

void set_join(WFGraphNode &node, Join join) {
    GraphEdges::before_start(node, "wf::set_join() of a node that has begun").join = join;
}

void set_prepare(WFGraphNode &node, std::function<void(SubTask *)> prepare) {
    GraphEdges::before_start(node, "wf::set_prepare() of a node that has begun").prepare =
        std::move(prepare);
}

GraphGrowth::GraphGrowth(const SubTask *task) : self_(nullptr) {
    GraphSeries *series = GraphSeries::of(task);
    if (!series)
        misuse("wf::GraphGrowth of a task that is in no series of a graph's node");
    if (!GraphEdges::has_begun(*series->node()))
        misuse("wf::GraphGrowth of a task that does not run: it is for the callback of one");
    NodeExtra &extra = NodeExtra::of(*series->node());
    if (extra.growth)
        misuse("wf::GraphGrowth of a node that has another one still");
    extra.growth = this;
    self_ = series->node();
}

GraphGrowth::~GraphGrowth() { this->start(); }

WFGraphNode &GraphGrowth::self() {
    if (!self_)
        misuse("wf::GraphGrowth::self() behind start()");
    return *self_;
}

WFGraphNode &GraphGrowth::node(SubTask *task) {
    detail::check_start(task, "wf::GraphGrowth::node()");
    if (!self_)
        misuse("wf::GraphGrowth::node() behind start()");
    WFGraphNode *made = new WFGraphNode;
    new GraphSeries(made, task); // which the node has as its pointer
    NodeExtra &extra = NodeExtra::of(*made);
    extra.growth = this;
    extra.late = true;
    new_.push_back(made);
    targets_.insert(made);
    return *made;
}

// By address alone, as long as it is not known to be there: one that is not among those that follow
// may be gone.
void GraphGrowth::check_target(const WFGraphNode &node) {
    if (targets_.count(&node))
        return;
    for (const WFGraphNode *next : self_->successors) {
        if (next == &node)
            return;
    }
    this->find_targets();
    if (!targets_.count(&node))
        misuse("an edge of a wf::GraphGrowth to a node that is neither new nor follows its own: "
               "it may have begun");
}

// All that follow its own node. They wait for it, so nobody changes their edges meanwhile.
void GraphGrowth::find_targets() {
    std::vector<const WFGraphNode *> left = {self_};
    while (!left.empty()) {
        const WFGraphNode *node = left.back();
        left.pop_back();
        for (const WFGraphNode *next : node->successors) {
            if (targets_.insert(next).second)
                left.push_back(next);
        }
    }
}

// A new node may end, and be deleted, inside the start of any of them that comes before.
void GraphGrowth::start() {
    if (!self_)
        return;
    detail::GraphBody *body = static_cast<GraphSeries *>(series_of(self_))->body();
    NodeExtra::find(*self_)->growth = nullptr;
    self_ = nullptr;
    std::vector<SeriesWork *> series;
    for (WFGraphNode *node : new_) {
        NodeExtra::find(*node)->growth = nullptr;
        series.push_back(series_of(node));
    }
    for (SeriesWork *one : series)
        body->start_late(one);
}

} // namespace wf
