// Weft - weft_sim: runs the kernel above the simulated system, one seed after another
// SPDX-License-Identifier: Apache-2.0
//
// Seeds are run in a child process, so that a run that crashes or hangs costs one seed and not the
// rest; the parent begins a new child behind it and says how to replay it.
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernel/channel.h"
#include "kernel/log.h"
#include "program.h"

#if defined(__SANITIZE_ADDRESS__)
#define SIM_LEAK_CHECK 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SIM_LEAK_CHECK 1
#endif
#endif
#ifdef SIM_LEAK_CHECK
#include <sanitizer/lsan_interface.h>
#endif

namespace {

constexpr unsigned REAL_SECONDS = 60; // one run takes some milliseconds

struct Options {
    uint64_t from = 0, count = 1000;
    bool single = false, trace = false, edges = true;
    sim::Plant plant = sim::NO_PLANT;
    bool expect_failure = false;
    uint64_t most_failures = 10;
};

// What a child tells, in memory that outlives it.
struct Shared {
    uint64_t seed; // being run
    uint64_t passed;
    sim::EdgeCounts edges;
};

Shared *shared;

void log_to_trace(enum weft_log_level, const char *text, void *) {
    sim::world->trace("log: %s", text);
}

void on_alarm(int) {
    static const char text[] = "sim: this run does not end, in real time\n";
    ssize_t n = write(STDOUT_FILENO, text, sizeof text - 1);
    (void)n;
    abort();
}

void run_seed(uint64_t seed, const Options &options) {
    long before = sim::live_blocks();
    alarm(options.trace ? 0 : REAL_SECONDS);
    {
        sim::World machine(seed, options.trace, options.plant);
        sim::Net network;
        sim::net = &network;
        weft_set_log_hook(log_to_trace, nullptr);
        weft_set_log_level(WEFT_LOG_DEBUG);
        sim::Program program;
        machine.run([&program]() { program.run(); });
        sim::net = nullptr;
        machine.when_quiet = nullptr;
    }
    channel_table_clear();
    alarm(0);
    long left = sim::live_blocks() - before;
    if (left != 0) {
        printf("sim: seed %llu failed: %ld blocks of memory are left over\n",
               static_cast<unsigned long long>(seed), left);
        fflush(stdout);
        _exit(2);
    }
#ifdef SIM_LEAK_CHECK
    if ((options.single || seed % 25 == 24) && __lsan_do_recoverable_leak_check()) {
        printf("sim: memory was leaked by this seed or one of the 24 before it\n");
        fflush(stdout);
        _exit(2);
    }
#endif
}

[[noreturn]] void run_child(uint64_t from, uint64_t end, const Options &options) {
    struct sigaction action = {};
    action.sa_handler = on_alarm;
    sigaction(SIGALRM, &action, nullptr);
    for (uint64_t seed = from; seed < end; seed++) {
        shared->seed = seed;
        run_seed(seed, options);
        shared->passed++;
    }
    fflush(stdout);
    _exit(0);
}

const char *name_of_end(int status, char *buf, size_t size) {
    if (WIFSIGNALED(status))
        snprintf(buf, size, "signal %d", WTERMSIG(status));
    else
        snprintf(buf, size, "exit status %d", WEXITSTATUS(status));
    return buf;
}

uint64_t run_all(const Options &options, const char *program) {
    uint64_t failed = 0, seed = options.from, end = options.from + options.count;
    while (seed < end && failed < options.most_failures) {
        int status;
        fflush(stdout);
        pid_t child = fork();
        if (child < 0) {
            perror("sim: fork");
            exit(3);
        }
        if (child == 0)
            run_child(seed, end, options);
        while (waitpid(child, &status, 0) < 0 && errno == EINTR) {}
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
            break;
        char buf[64];
        failed++;
        printf("sim: seed %llu ended with %s; replay it with: %s --seed %llu --trace",
               static_cast<unsigned long long>(shared->seed), name_of_end(status, buf, sizeof buf),
               program, static_cast<unsigned long long>(shared->seed));
        if (options.plant != sim::NO_PLANT)
            printf(" --plant %s", sim::plant_name(options.plant));
        printf("\n");
        seed = shared->seed + 1;
    }
    return failed;
}

[[noreturn]] void usage() {
    fprintf(stderr,
            "weft_sim --seeds N [--from S]      run N seeds, beginning with S (0)\n"
            "weft_sim --seed S [--trace]        replay one seed, printing each step\n"
            "   --plant NAME                    with a fault built in, which must be found:");
    for (int i = 1; i < sim::PLANT_COUNT; i++)
        fprintf(stderr, " %s", sim::plant_name(static_cast<sim::Plant>(i)));
    fprintf(stderr, "\n   --expect-failure                succeed if a seed fails\n"
                    "   --most-failures N               stop after so many (10)\n");
    exit(2);
}

sim::Plant plant_of(const char *name) {
    for (int i = 1; i < sim::PLANT_COUNT; i++) {
        if (strcmp(name, sim::plant_name(static_cast<sim::Plant>(i))) == 0)
            return static_cast<sim::Plant>(i);
    }
    usage();
}

Options parse(int argc, char **argv) {
    Options o;
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : nullptr;
        if (strcmp(argv[i], "--trace") == 0) {
            o.trace = true;
            continue;
        }
        if (strcmp(argv[i], "--expect-failure") == 0) {
            o.expect_failure = true;
            o.most_failures = 1;
            continue;
        }
        if (!value)
            usage();
        if (strcmp(argv[i], "--seeds") == 0) {
            o.count = strtoull(value, nullptr, 10);
        } else if (strcmp(argv[i], "--from") == 0) {
            o.from = strtoull(value, nullptr, 10);
        } else if (strcmp(argv[i], "--most-failures") == 0) {
            o.most_failures = strtoull(value, nullptr, 10);
        } else if (strcmp(argv[i], "--plant") == 0) {
            o.plant = plant_of(value);
        } else if (strcmp(argv[i], "--seed") == 0) {
            o.from = strtoull(value, nullptr, 10);
            o.count = 1;
            o.single = true;
        } else {
            usage();
        }
        i++;
    }
    return o;
}

} // namespace

int main(int argc, char **argv) {
    Options options = parse(argc, argv);
    void *memory =
        mmap(nullptr, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        perror("sim: mmap");
        return 3;
    }
    shared = static_cast<Shared *>(memory);
    sim::edges = &shared->edges;
    uint64_t failed = run_all(options, argv[0]);
    if (!options.single && options.plant == sim::NO_PLANT)
        sim::print_edges();
    printf("sim: %llu seeds passed, %llu failed\n", static_cast<unsigned long long>(shared->passed),
           static_cast<unsigned long long>(failed));
    return (failed > 0) == options.expect_failure ? 0 : 1;
}
