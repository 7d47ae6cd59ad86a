// Weft - what timers cost, and how late they are
// SPDX-License-Identifier: Apache-2.0
//
//   timer_bench million [COUNT [SECONDS]]   create, arm and fire COUNT timers at random over
//   SECONDS timer_bench arm [COUNT]                 arming only, from a callback and from a foreign
//   thread timer_bench late [SECONDS]              lateness at 1,000 timers a second, against a
//   bare timerfd
//
// Prints one JSON object. Processor time is that of the whole process; memory is the growth of its
// resident set while all timers are armed.
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <memory>
#include <mutex>
#include <random>
#include <sys/timerfd.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include "histogram.h"

#include "workflow/WFFacilities.h"
#include "workflow/WFGlobal.h"
#include "workflow/WFTaskFactory.h"
#include "workflow/Workflow.h"

namespace {

int64_t clock_ns(clockid_t id) {
    struct timespec t;

    clock_gettime(id, &t);
    return static_cast<int64_t>(t.tv_sec) * 1000000000 + t.tv_nsec;
}

int64_t cpu_ns() { return clock_ns(CLOCK_PROCESS_CPUTIME_ID); }

int64_t now_ns() { return clock_ns(CLOCK_MONOTONIC); }

long resident_bytes() {
    long size = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");

    if (f) {
        if (fscanf(f, "%ld %ld", &size, &resident) != 2) {
            resident = 0;
        }
        fclose(f);
    }
    return resident * sysconf(_SC_PAGESIZE);
}

double per(int64_t ns, int count) { return static_cast<double>(ns) / 1e3 / count; }

WFTimerTask *create_timer(int64_t ns, timer_callback_t callback) {
    return WFTaskFactory::create_timer_task(static_cast<time_t>(ns / 1000000000),
                                            static_cast<long>(ns % 1000000000),
                                            std::move(callback));
}

// The engine's threads and pages are made by the first timer, and must not count.
void warm_up() {
    WFFacilities::WaitGroup fired(1);

    create_timer(1000000, [&fired](WFTimerTask *) { fired.done(); })->start();
    fired.wait();
}

int measure_million(int count, int seconds) {
    WFFacilities::WaitGroup all(1);
    std::atomic<int> left(count);
    std::mt19937_64 random(1);
    std::uniform_int_distribution<int64_t> delay(0, static_cast<int64_t>(seconds) * 1000000000);
    auto on_fire = [&all, &left](WFTimerTask *) {
        if (left.fetch_sub(1, std::memory_order_acq_rel) == 1) {
            all.done();
        }
    };
    long memory = resident_bytes();
    int64_t begin = cpu_ns(), armed;

    for (int i = 0; i < count; i++) {
        create_timer(delay(random), on_fire)->start();
    }
    armed = cpu_ns();
    memory = resident_bytes() - memory;
    all.wait();
    printf("{\"timers\": %d, \"us\": %.4f, \"start_us\": %.4f, \"bytes_at_most\": %.1f}\n", count,
           per(cpu_ns() - begin, count), per(armed - begin, count),
           static_cast<double>(memory) / count);
    return 0;
}

// Timers far in the future are armed, and end with the process. Created beforehand, so that the
// time is that of start() alone, with the series it makes.
int64_t start_all(const std::vector<WFTimerTask *> &tasks) {
    int64_t begin = cpu_ns();

    for (WFTimerTask *task : tasks) {
        task->start();
    }
    return cpu_ns() - begin;
}

int measure_arm(int count) {
    WFFacilities::WaitGroup armed(1);
    std::vector<WFTimerTask *> tasks(static_cast<size_t>(count));
    auto create = [&tasks]() {
        for (size_t i = 0; i < tasks.size(); i++) {
            tasks[i] = create_timer(3600000000000 + static_cast<int64_t>(i) * 1000, nullptr);
        }
    };
    int64_t inside = 0, outside;
    long memory = resident_bytes();

    create();
    create_timer(0, [&](WFTimerTask *) {
        inside = start_all(tasks);
        armed.done();
    })->start();
    armed.wait();
    memory = resident_bytes() - memory;
    create();
    outside = start_all(tasks);
    printf("{\"timers\": %d, \"us\": %.4f, \"foreign_us\": %.4f, \"bytes\": %.1f}\n", count,
           per(inside, count), per(outside, count), static_cast<double>(memory) / count);
    fflush(stdout);
    return 0;
}

void print_lateness(const char *name, const struct histogram *h, int64_t cpu, int count) {
    printf("\"%s_p50\": %.1f, \"%s_p99\": %.1f, \"%s_us\": %.3f", name,
           histogram_percentile_us(h, 0.5), name, histogram_percentile_us(h, 0.99), name,
           per(cpu, count));
}

// The yardstick: one thread that arms a timerfd for each deadline and reads it.
int64_t bare_lateness(const std::vector<int64_t> &delays, struct histogram *h) {
    int fd = timerfd_create(CLOCK_MONOTONIC, 0);
    int64_t cpu = cpu_ns(), start = now_ns();

    for (int64_t delay : delays) {
        int64_t due = start + delay;
        struct itimerspec spec = {};
        uint64_t fired;

        spec.it_value.tv_sec = static_cast<time_t>(due / 1000000000);
        spec.it_value.tv_nsec = static_cast<long>(due % 1000000000);
        timerfd_settime(fd, TFD_TIMER_ABSTIME, &spec, nullptr);
        if (read(fd, &fired, sizeof fired) != static_cast<ssize_t>(sizeof fired)) {
            break;
        }
        histogram_add(h, now_ns() - due);
    }
    close(fd);
    return cpu_ns() - cpu;
}

int64_t weft_lateness(const std::vector<int64_t> &delays, struct histogram *h) {
    WFFacilities::WaitGroup all(static_cast<int>(delays.size()));
    int64_t cpu = cpu_ns(), start = now_ns();
    std::mutex mutex;

    for (int64_t delay : delays) {
        int64_t due = start + delay;

        create_timer(due - now_ns(), [&all, &mutex, h, due](WFTimerTask *) {
            int64_t late = now_ns() - due;

            mutex.lock();
            histogram_add(h, late);
            mutex.unlock();
            all.done();
        })->start();
    }
    all.wait();
    return cpu_ns() - cpu;
}

int measure_late(int seconds) {
    std::vector<int64_t> delays;
    std::mt19937_64 random(2);
    std::exponential_distribution<double> gap(1000.0);
    auto bare = std::make_unique<struct histogram>();
    auto weft = std::make_unique<struct histogram>();
    int64_t bare_cpu, weft_cpu;

    for (double at = 0.05; at < seconds; at += gap(random)) {
        delays.push_back(static_cast<int64_t>(at * 1e9));
    }
    bare_cpu = bare_lateness(delays, bare.get());
    weft_cpu = weft_lateness(delays, weft.get());
    printf("{\"timers\": %zu, ", delays.size());
    print_lateness("bare", bare.get(), bare_cpu, static_cast<int>(delays.size()));
    printf(", ");
    print_lateness("weft", weft.get(), weft_cpu, static_cast<int>(delays.size()));
    printf("}\n");
    return 0;
}

} // namespace

int main(int argc, char **argv) {
    const char *what = argc > 1 ? argv[1] : "";
    int first = argc > 2 ? atoi(argv[2]) : 0;
    int second = argc > 3 ? atoi(argv[3]) : 0;

    warm_up();
    if (strcmp(what, "million") == 0) {
        return measure_million(first > 0 ? first : 1000000, second > 0 ? second : 10);
    }
    if (strcmp(what, "arm") == 0) {
        return measure_arm(first > 0 ? first : 200000);
    }
    if (strcmp(what, "late") == 0) {
        return measure_late(first > 0 ? first : 3);
    }
    fprintf(stderr, "usage: %s million|arm|late [count or seconds]\n", argv[0]);
    return 2;
}
