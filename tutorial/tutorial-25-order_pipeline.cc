// Weft - tutorial 25: a graph that decides: conditions, data along its edges, nodes added on the way
// SPDX-License-Identifier: Apache-2.0
//
//   order_pipeline BUDGET ITEM=COUNT [ITEM=COUNT...]
//
// An order passes through a shop. What is not on the shelf is ordered from the supplier, one more
// step for each such item; then the sum is paid by a request to the bank, or the order is refused
// when it is beyond the budget. The bank is a server of this program's own, on a port that nobody
// else knows. The page is docs/tutorial-25-order_pipeline.md.
#include <stdio.h>

#include <map>
#include <string>
#include <vector>

#include "workflow/HttpMessage.h"
#include "workflow/HttpUtil.h"
#include "workflow/WFHttpServer.h"
#include "workflow/WFTaskFactory.h"
#include "workflow/wf/context.h"
#include "workflow/wf/graph.h"

#include "args.h"

namespace {

struct Ware {
    long in_stock;
    long price;
};

const std::map<std::string, Ware> &shelf() {
    static const std::map<std::string, Ware> wares = {
        {"apple", {5, 30}}, {"pear", {2, 50}}, {"plum", {0, 20}}};
    return wares;
}

// What all steps may read: a context of the graph. None of them changes it.
struct Order {
    long budget = 0;
    std::map<std::string, long> items;
};

struct Bill {
    long total;
};

long sum_of(const Order &order) {
    long total = 0;
    for (const auto &[item, count] : order.items)
        total += count * shelf().at(item).price;
    return total;
}

// How many steps there are is known only now: one for each item that must be delivered first. They
// are put between this step and the one that makes the bill.
void check_stock(WFGoTask *task, const Order &order, WFGraphNode &billing) {
    wf::GraphGrowth growth(task);
    for (const auto &[item, count] : order.items) {
        long missing = count - shelf().at(item).in_stock;
        if (missing <= 0)
            continue;
        printf("%s: %ld must be delivered\n", item.c_str(), missing);
        WFGraphNode &delivery = growth.node(
            WFTaskFactory::create_timer_task(0, 50 * 1000 * 1000, [name = item](WFTimerTask *) {
                printf("%s: delivered\n", name.c_str());
            }));
        // clang-format off
        growth.self()-->delivery-->billing;
        // clang-format on
    }
}

WFHttpTask *pay_at(const std::string &url) {
    return WFTaskFactory::create_http_task(url, 0, 0, [](WFHttpTask *task) {
        std::string answer = protocol::HttpUtil::decode_chunked_body(task->get_resp());
        if (task->get_state() == WFT_STATE_SUCCESS)
            printf("the bank says: %s\n", answer.c_str());
        else
            printf("the bank does not answer\n");
    });
}

// The request was made when the graph was; what it says is known when its turn has come.
void fill_request(SubTask *task, const Bill &bill) {
    protocol::HttpRequest *request = static_cast<WFHttpTask *>(task)->get_req();
    request->set_method("POST");
    request->append_output_body(std::to_string(bill.total));
}

// A task that calls a function, right where its turn comes.
SubTask *step(std::function<void()> run) {
    return WFTaskFactory::create_counter_task(0, [run](WFCounterTask *) { run(); });
}

WFGraphTask *create_pipeline(Order order, const std::string &bank_url) {
    WFGraphTask *graph = WFTaskFactory::create_graph_task([](WFGraphTask *) { end_wait(); });
    const Order &what = wf::emplace_context<Order>(*graph, std::move(order));
    wf::Edge<Bill> bill;

    WFGoTask *check_task = WFTaskFactory::create_go_task("shop", [] {});
    WFGraphNode &checking = graph->create_graph_node(check_task);
    WFGraphNode &billing = graph->create_graph_node(step([bill, &what] {
        long total = sum_of(what);
        printf("total: %ld\n", total);
        if (total <= what.budget)
            bill.put({total});
    }));
    WFGraphNode &paying = graph->create_graph_node(pay_at(bank_url));
    WFGraphNode &refusing = graph->create_graph_node(
        step([&what] { printf("refused: more than %ld\n", what.budget); }));
    WFGraphNode &closing = graph->create_graph_node(step([] { printf("the order is closed\n"); }));

    check_task->set_callback(
        [&what, &billing](WFGoTask *task) { check_stock(task, what, billing); });
    wf::set_prepare(paying, [bill](SubTask *task) { fill_request(task, *bill.get()); });

    // One of two ways, which meet again.
    // clang-format off
    checking-->billing;
    wf::connect_if_put(billing, paying, bill);
    wf::connect(billing, refusing, [bill] { return !bill.get(); });
    paying-->closing;
    refusing-->closing;
    // clang-format on
    wf::set_join(closing, wf::Join::ANY);
    return graph;
}

bool parse_order(int argc, char *argv[], Order *order) {
    if (argc < 3 || !parse_number(argv[1], 0, 1000000, &order->budget))
        return false;
    for (int i = 2; i < argc; i++) {
        std::string text = argv[i];
        size_t equals = text.find('=');
        long count = 0;
        if (equals == std::string::npos || !shelf().count(text.substr(0, equals)) ||
            !parse_number(text.c_str() + equals + 1, 1, 1000, &count))
            return false;
        order->items[text.substr(0, equals)] += count;
    }
    return true;
}

void serve_bank(WFHttpTask *task) {
    std::string sum = protocol::HttpUtil::decode_chunked_body(task->get_req());
    task->get_resp()->append_output_body("received " + sum);
}

} // namespace

int main(int argc, char *argv[]) {
    Order order;
    if (!parse_order(argc, argv, &order)) {
        fprintf(stderr,
                "usage: %s BUDGET ITEM=COUNT [ITEM=COUNT...]\n"
                "Orders apples, pears and plums (apple=2 plum=1), if they cost no more than "
                "BUDGET.\n",
                argv[0]);
        return 2;
    }

    watch_ctrl_c();
    WFHttpServer bank(serve_bank);
    if (bank.start("127.0.0.1", 0) < 0) {
        perror("cannot start the bank");
        return 1;
    }
    create_pipeline(std::move(order), "http://127.0.0.1:" + std::to_string(port_of(bank)) + "/")
        ->start();
    ctrl_c_group().wait();
    bank.stop();
    return 0;
}
