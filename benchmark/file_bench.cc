// Weft - benchmark: reads from the page cache by file tasks, and by plain pread() in a loop
// SPDX-License-Identifier: Apache-2.0
//
// bench_file [READS [UNDER_WAY]]: by io_uring, by threads, by the loop, three times by turns, and
// of each the best. One process for each run of a back end, since that is chosen once.
#include <algorithm>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <string>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <vector>

#include "workflow/WFFacilities.h"
#include "workflow/WFTaskFactory.h"

namespace {

constexpr size_t BLOCK = 4096;
constexpr size_t BLOCKS = 16384; // 64 MiB

struct Times {
    double wall, cpu; // us for each read
};

double seconds(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

// A place for each number, far from the one before.
off_t place(size_t n) { return static_cast<off_t>(n * 7919 % BLOCKS * BLOCK); }

int make_file() {
    char name[] = "/tmp/weft_bench_XXXXXX";
    int fd = mkstemp(name);
    std::vector<char> block(BLOCK, 'x');
    if (fd < 0)
        return -1;
    unlink(name);
    for (size_t i = 0; i < BLOCKS; i++) {
        if (pwrite(fd, block.data(), BLOCK, static_cast<off_t>(i * BLOCK)) < 0)
            return -1;
    }
    return fd;
}

// One of those under way: its callback begins the next.
struct Chain {
    int fd;
    size_t next, left;
    char buf[BLOCK];
    WFFacilities::WaitGroup *group;
};

void begin(Chain *chain) {
    WFFileIOTask *task = WFTaskFactory::create_pread_task(
        chain->fd, chain->buf, BLOCK, place(chain->next++), [](WFFileIOTask *done) {
            Chain *c = static_cast<Chain *>(done->user_data);
            if (done->get_retval() != static_cast<long>(BLOCK))
                abort();
            if (--c->left == 0)
                c->group->done();
            else
                begin(c);
        });
    task->user_data = chain;
    task->start();
}

void read_by_tasks(int fd, size_t reads, size_t under_way) {
    WFFacilities::WaitGroup group(static_cast<int>(under_way));
    std::vector<Chain> chains(under_way);
    for (size_t i = 0; i < under_way; i++) {
        chains[i] = {fd, i * 1000, reads / under_way, {}, &group};
        begin(&chains[i]);
    }
    group.wait();
}

void read_in_a_loop(int fd, size_t reads) {
    char buf[BLOCK];
    for (size_t i = 0; i < reads; i++) {
        if (pread(fd, buf, BLOCK, place(i)) != static_cast<ssize_t>(BLOCK))
            abort();
    }
}

Times measure(int fd, const std::string &kind, size_t reads, size_t under_way) {
    if (kind != "loop")
        read_by_tasks(fd, under_way * 100, under_way); // threads and rings are there
    double wall = seconds(CLOCK_MONOTONIC), cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
    if (kind == "loop")
        read_in_a_loop(fd, reads);
    else
        read_by_tasks(fd, reads, under_way);
    double per = 1e6 / static_cast<double>(reads);
    return {(seconds(CLOCK_MONOTONIC) - wall) * per,
            (seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu) * per};
}

Times run(int fd, const std::string &kind, size_t reads, size_t under_way) {
    Times times = {0, 0};
    int ends[2];
    if (pipe(ends) < 0)
        exit(1);
    pid_t child = fork(); // nothing of the engine is there yet
    if (child == 0) {
        setenv("WEFT_FILE_IO", kind.c_str(), 1);
        if (kind == "loop")
            unsetenv("WEFT_FILE_IO");
        times = measure(fd, kind, reads, under_way);
        exit(write(ends[1], &times, sizeof times) == sizeof times ? 0 : 1);
    }
    close(ends[1]);
    if (read(ends[0], &times, sizeof times) != static_cast<ssize_t>(sizeof times))
        exit(1);
    close(ends[0]);
    waitpid(child, nullptr, 0);
    return times;
}

} // namespace

int main(int argc, char *argv[]) {
    size_t reads = argc > 1 ? strtoul(argv[1], nullptr, 10) : 500000;
    size_t under_way = argc > 2 ? strtoul(argv[2], nullptr, 10) : 64;
    int fd = make_file();
    if (fd < 0 || reads < under_way || under_way == 0) {
        fprintf(stderr, "usage: %s [READS [UNDER_WAY]], and /tmp must have 64 MiB\n", argv[0]);
        return 2;
    }
    const char *kinds[] = {"loop", "uring", "threads"};
    Times best[3] = {{1e9, 1e9}, {1e9, 1e9}, {1e9, 1e9}};
    for (int round = 0; round < 3; round++) {
        for (int k = 0; k < 3; k++) {
            Times times = run(fd, kinds[k], reads, under_way);
            if (times.cpu < best[k].cpu)
                best[k] = times;
        }
    }
    printf("| reads of 4 KiB, %zu under way | us of time | us of processor |\n|---|---|---|\n",
           under_way);
    for (int k = 0; k < 3; k++)
        printf("| %s | %.2f | %.2f |\n", kinds[k], best[k].wall, best[k].cpu);
    return 0;
}
