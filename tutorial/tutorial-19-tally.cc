// Weft - tutorial 19: counters and mailboxes
// SPDX-License-Identifier: Apache-2.0
//
// Counts the lines of many files side by side. A counter ends when all files are done, a mailbox
// hears of the first that cannot be read. Page: docs/tutorial-19-counters_and_mailboxes.md

#include <atomic>
#include <stdio.h>

#include "workflow/WFTaskFactory.h"
#include "workflow/Workflow.h"

#include "args.h"

// Static, since tasks still use them when Ctrl-C has ended the wait in main.
static std::atomic<unsigned long> lines(0);
static int exit_code = 130;

// -1 when the file cannot be read.
static long count_lines(const char *path) {
    char buffer[16384];
    long count = 0;
    size_t n = 0;
    FILE *file = fopen(path, "r");
    if (!file)
        return -1;
    while ((n = fread(buffer, 1, sizeof buffer, file)) > 0) {
        for (size_t i = 0; i < n; i++)
            count += buffer[i] == '\n';
    }
    if (ferror(file))
        count = -1;
    fclose(file);
    return count;
}

// Runs on a compute thread. It knows nobody but two names.
static void look_at(char *path) {
    long count = count_lines(path);
    if (count < 0) {
        // Only the first finds the mailbox under its name.
        if (WFTaskFactory::send_by_name("problem", path) == 0)
            printf("%s cannot be read either\n", path);
    } else {
        lines += static_cast<unsigned long>(count);
    }
    WFTaskFactory::count_by_name("files");
}

int main(int argc, char *argv[]) {
    if (argc < 2 || argv[1][0] == '-') {
        fprintf(stderr,
                "usage: %s FILE...\n"
                "Prints how many lines the files have together.\n",
                argv[0]);
        return 2;
    }

    watch_ctrl_c();
    unsigned files = static_cast<unsigned>(argc - 1);

    // Ends when it was counted once for each file. The mailbox may still be waiting then.
    WFCounterTask *all = WFTaskFactory::create_counter_task("files", files, [](WFCounterTask *) {
        printf("%lu lines\n", lines.load());
        WFTaskFactory::send_by_name("problem", NULL);
    });
    // Ends with its message, whoever sends it, and whenever.
    WFMailboxTask *problem = WFTaskFactory::create_mailbox_task("problem", [](WFMailboxTask *task) {
        const char *path = static_cast<const char *>(*task->get_mailbox());
        if (path)
            printf("%s cannot be read\n", path);
        exit_code = path ? 1 : 0;
    });

    // Both must end before the program may.
    SeriesWork *waiting[] = {Workflow::create_series_work(all, nullptr),
                             Workflow::create_series_work(problem, nullptr)};
    Workflow::start_parallel_work(waiting, 2, [](const ParallelWork *) { end_wait(); });

    for (int i = 1; i < argc; i++)
        WFTaskFactory::create_go_task("tally", look_at, argv[i])->start();
    ctrl_c_group().wait();
    return exit_code;
}
