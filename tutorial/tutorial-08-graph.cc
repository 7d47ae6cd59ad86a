// Weft - tutorial 08: a graph of tasks
// SPDX-License-Identifier: Apache-2.0
//
// Statistics of a text file. One step reads it, three look at it side by side, a timer sets
// the pace of the show, and the report needs them all. Page: docs/tutorial-08-graph.md

#include <ctype.h>
#include <map>
#include <stdio.h>
#include <string>

#include "workflow/WFGraphTask.h"
#include "workflow/WFTaskFactory.h"

#include "args.h"

// Each field is written by one node and read only by nodes behind it: the edges of the graph
// order them, so nothing needs a lock.
struct Report {
    std::string path;
    std::string text;
    bool readable;
    size_t words;
    size_t lines;
    size_t longest_line;
    std::map<char, size_t> letters;
};

static Report report;
static int exit_code = 130;

static void read_file() {
    char buffer[16384];
    size_t n = 0;
    FILE *file = fopen(report.path.c_str(), "r");
    if (!file)
        return;
    while ((n = fread(buffer, 1, sizeof buffer, file)) > 0)
        report.text.append(buffer, n);
    report.readable = !ferror(file);
    fclose(file);
}

static void count_words() {
    bool inside = false;
    for (unsigned char c : report.text) {
        bool word = !isspace(c);
        report.words += word && !inside;
        inside = word;
    }
}

static void measure_lines() {
    size_t width = 0;
    for (char c : report.text) {
        if (c == '\n') {
            report.lines++;
            width = 0;
        } else if (++width > report.longest_line) {
            report.longest_line = width;
        }
    }
}

static void count_letters() {
    for (unsigned char c : report.text) {
        if (isalpha(c))
            report.letters[static_cast<char>(tolower(c))]++;
    }
}

static void print_report() {
    char letter = '-';
    size_t most = 0;
    if (!report.readable) {
        fprintf(stderr, "cannot read %s\n", report.path.c_str());
        exit_code = 1;
        return;
    }
    for (const auto &entry : report.letters) {
        if (entry.second > most) {
            letter = entry.first;
            most = entry.second;
        }
    }
    printf("%s: %zu bytes, %zu words, %zu lines\n", report.path.c_str(), report.text.size(),
           report.words, report.lines);
    printf("longest line %zu, most frequent letter '%c' (%zu times)\n", report.longest_line, letter,
           most);
    exit_code = 0;
}

// A node is a task and its edges. It belongs to the graph, so a reference is all we hold.
static WFGraphNode &add_step(WFGraphTask *graph, void (*step)()) {
    return graph->create_graph_node(WFTaskFactory::create_go_task("report", step));
}

int main(int argc, char *argv[]) {
    if (argc != 2 || argv[1][0] == '-') {
        fprintf(stderr,
                "usage: %s FILE\n"
                "Prints statistics of the text in FILE.\n",
                argv[0]);
        return 2;
    }

    watch_ctrl_c();
    report.path = argv[1];

    WFTimerTask *pause = WFTaskFactory::create_timer_task(
        0, 100 * 1000 * 1000, [](WFTimerTask *) { printf("a tenth of a second has passed\n"); });
    WFGraphTask *graph = WFTaskFactory::create_graph_task([](WFGraphTask *) { end_wait(); });
    WFGraphNode &timer = graph->create_graph_node(pause);
    WFGraphNode &reading = add_step(graph, read_file);
    WFGraphNode &words = add_step(graph, count_words);
    WFGraphNode &lines = add_step(graph, measure_lines);
    WFGraphNode &letters = add_step(graph, count_letters);
    WFGraphNode &printing = add_step(graph, print_report);

    // An arrow reads "before". Nodes without an arrow to them start at once.
    // clang-format off
    reading-->words;
    reading-->lines;
    reading-->letters;
    words-->printing;
    lines-->printing;
    letters-->printing;
    timer-->printing;
    // clang-format on

    graph->start();
    ctrl_c_group().wait();
    return exit_code;
}
