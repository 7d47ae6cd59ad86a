// Weft - compat: programs that return from main with work undone
// SPDX-License-Identifier: Apache-2.0
//
// One case for each argument; exit_test.cc runs them and reads what they print. Everything that
// callbacks touch is static, for they run when main has returned.

#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <string>

#include "workflow/WFFacilities.h"
#include "workflow/WFGlobal.h"
#include "workflow/WFHttpServer.h"
#include "workflow/WFTaskFactory.h"
#include "workflow/Workflow.h"

#include "support.h"

// Set when main has returned and the engine is still there.
static compat::Event main_over;

// One write per line: stdio may be gone that late.
static void say(const std::string &text) {
    std::string line = text + "\n";
    if (write(STDOUT_FILENO, line.data(), line.size()) < 0)
        abort();
}

template <class Task>
static void say_state(const char *name, Task *task) {
    say(std::string(name) + " " + std::to_string(task->get_state()) + "/" +
        std::to_string(task->get_error()));
}

static int threads() {
    int n = 0;
    DIR *dir = opendir("/proc/self/task");
    while (struct dirent *entry = readdir(dir))
        n += entry->d_name[0] != '.';
    closedir(dir);
    return n;
}

// Row 124: no thread before the first use. Row 123: SIGPIPE is ignored from the first use on.
static int first_use() {
    struct sigaction action;
    say("threads " + std::to_string(threads()));
    WFHttpTask *unused = WFTaskFactory::create_http_task("http://127.0.0.1:1/", 0, 0, nullptr);
    unused->dismiss();
    WFGlobal::get_scheduler();
    sigaction(SIGPIPE, NULL, &action);
    say(action.sa_handler == SIG_IGN ? "SIGPIPE ignored" : "SIGPIPE not ignored");
    return 0;
}

// Row 120: timers, named or not, call back with ABORTED/0.
static int timers() {
    for (int i = 0; i < 3; i++)
        WFTaskFactory::create_timer_task(3600, 0, [](WFTimerTask *t) {
            say_state("timer", t);
        })->start();
    WFTaskFactory::create_timer_task("name", 3600, 0, [](WFTimerTask *t) {
        say_state("named", t);
    })->start();
    WFTaskFactory::create_timer_task(-1, 0, [](WFTimerTask *t) {
        say_state("endless", t);
    })->start();
    return 0;
}

class Farewell {
public:
    explicit Farewell(const char *who) : who_(who) {}
    ~Farewell() {
        printf("%s gone\n", who_);
        fflush(stdout);
    }

private:
    const char *who_;
};

// Row 122: callbacks run while static objects are destroyed: behind the locals of main and what
// was made after the first use, before what was made earlier.
static int statics() {
    Farewell local("local");
    static Farewell earlier("earlier static");
    WFTaskFactory::create_timer_task(3600, 0, [](WFTimerTask *t) {
        say_state("timer", t);
    })->start();
    static Farewell later("later static");
    return 0;
}

// Row 120: what computes finishes, what waits in a queue is ABORTED. The running one waits for
// the others to be aborted, so that it cannot end before the exit has begun.
static int compute() {
    struct WFGlobalSettings settings = GLOBAL_SETTINGS_DEFAULT;
    settings.compute_threads = 1;
    WORKFLOW_library_init(&settings);
    static WFFacilities::WaitGroup running(1);
    static compat::Event aborted;
    for (int i = 0; i < 4; i++) {
        WFGoTask *task = WFTaskFactory::create_go_task("exit", [i]() {
            if (i == 0) {
                running.done();
                aborted.wait(3);
            }
        });
        task->set_callback([](WFGoTask *t) {
            say_state("go", t);
            if (t->get_state() == WFT_STATE_ABORTED)
                aborted.set();
        });
        task->start();
    }
    running.wait();
    return 0;
}

// Row 120: an atomic network task is ABORTED. argv[2] is the port of a silent server.
static int network(const char *port) {
    std::string url = std::string("http://127.0.0.1:") + port + "/";
    static WFFacilities::WaitGroup sent(1);
    WFHttpTask *task =
        WFTaskFactory::create_http_task(url, 0, 0, [](WFHttpTask *t) { say_state("http", t); });
    task->set_prepare([](WFHttpTask *) { sent.done(); });
    task->start();
    sent.wait();
    return 0;
}

// A worker inside user code is waited for.
static int busy_callback() {
    static WFFacilities::WaitGroup running(1);
    WFTaskFactory::create_timer_task(0, 0, [](WFTimerTask *) {
        running.done();
        main_over.wait();
        say("callback finished");
    })->start();
    running.wait();
    // Registered after the engine is up, so it runs before the engine ends.
    atexit([]() { main_over.set(); });
    return 0;
}

// exit() on a worker: it ends the process and does not wait for itself.
static int exit_in_callback() {
    static WFFacilities::WaitGroup never(1);
    WFTaskFactory::create_timer_task(0, 0, [](WFTimerTask *) { exit(7); })->start();
    never.wait();
    return 0;
}

// A task that is started when the gate is closed answers ABORTED at once or soon.
static int start_at_exit() {
    WFTaskFactory::create_timer_task(3600, 0, [](WFTimerTask *t) {
        say_state("timer", t);
        WFTaskFactory::create_timer_task(3600, 0, [](WFTimerTask *late) {
            say_state("late", late);
        })->start();
    })->start();
    return 0;
}

// A series goes on through its aborted tasks, callbacks included.
static int series() {
    SeriesWork *work = Workflow::create_series_work(
        WFTaskFactory::create_timer_task(3600, 0, [](WFTimerTask *t) { say_state("first", t); }),
        [](const SeriesWork *) { say("series"); });
    work->push_back(
        WFTaskFactory::create_counter_task(0, [](WFCounterTask *t) { say_state("counter", t); }));
    work->start();
    return 0;
}

// A server that is bound when main returns. Its object is older than the engine, so it is there
// until the engine has ended. Before: one answered request, whose connection is idle at both ends.
static void bound_server(void (*process)(WFHttpTask *), std::string *url) {
    static WFHttpServer server(process);
    static WFFacilities::WaitGroup answered(1);
    struct sockaddr_in addr;
    socklen_t len = sizeof addr;
    if (server.start("127.0.0.1", 0) < 0 ||
        server.get_listen_addr(reinterpret_cast<struct sockaddr *>(&addr), &len) < 0)
        abort();
    *url = "http://127.0.0.1:" + std::to_string(ntohs(addr.sin_port)) + "/";
    WFTaskFactory::create_http_task(*url, 0, 0, [](WFHttpTask *t) {
        say_state("idle", t);
        answered.done();
    })->start();
    answered.wait();
}

// ... and a request of a client that nobody answers. argv[2] is the port of a silent server.
static int server(const char *port) {
    std::string url;
    bound_server([](WFHttpTask *) {}, &url);
    return network(port);
}

// ... and a request that the server itself has not answered yet: a timer stands before the reply.
static int busy_server() {
    static WFFacilities::WaitGroup serving(1);
    std::string url;
    bound_server(
        [](WFHttpTask *task) {
            if (strcmp(task->get_req()->get_request_uri(), "/") == 0)
                return;
            series_of(task)->push_back(WFTaskFactory::create_timer_task(
                3600, 0, [](WFTimerTask *t) { say_state("timer", t); }));
            task->set_callback([](WFHttpTask *) { say("served"); });
            serving.done();
        },
        &url);
    WFTaskFactory::create_http_task(url + "slow", 0, 0, [](WFHttpTask *t) {
        say_state("http", t);
    })->start();
    serving.wait();
    return 0;
}

// Row 120: files are waited for. Those read wait for bytes that come when main has returned; one
// hundred more were written meanwhile. argv[2] is where.
static int files(const char *path) {
    static int ends[2];
    static char in[3];
    static const char out[] = "x";
    static std::atomic<int> written(0);
    if (pipe(ends) < 0)
        return 1;
    for (char &c : in)
        WFTaskFactory::create_pread_task(ends[0], &c, 1, 0, [](WFFileIOTask *t) {
            say_state("read", t);
            WFTaskFactory::create_pread_task(ends[0], in, 1, 0, [](WFFileIOTask *late) {
                say_state("late", late);
            })->start();
        })->start();
    for (int i = 0; i < 100; i++)
        WFTaskFactory::create_pwrite_task(path, out, 1, i, [](WFFileIOTask *t) {
            if (t->get_state() == 0 && t->get_retval() == 1 && ++written == 100)
                say("written");
        })->start();
    // Tells by its callback that the gate is closed; only then the bytes come.
    WFTaskFactory::create_timer_task(3600, 0, [](WFTimerTask *t) {
        say_state("timer", t);
        if (write(ends[1], "abc", 3) != 3)
            abort();
    })->start();
    return 0;
}

// exit() in the callback of a file task, while another is under way.
static int exit_in_file_callback() {
    static WFFacilities::WaitGroup never(1);
    static char c[2];
    static int ends[2];
    if (pipe(ends) < 0)
        return 1;
    WFTaskFactory::create_pread_task(ends[0], &c[0], 1, 0, [](WFFileIOTask *t) {
        say_state("read", t);
    })->start();
    WFTaskFactory::create_pread_task("/dev/zero", &c[1], 1, 0, [](WFFileIOTask *) {
        atexit([]() {
            if (write(ends[1], "x", 1) != 1)
                abort();
        });
        exit(7);
    })->start();
    never.wait();
    return 0;
}

// Nothing of file tasks is there before the first of them: neither threads nor descriptors.
static int no_files() {
    WFFacilities::usleep(1);
    WFFileIOTask *unused = WFTaskFactory::create_pread_task(0, NULL, 0, 0, nullptr);
    unused->dismiss();
    char target[64];
    int rings = 0;
    for (int fd = 0; fd < 100; fd++) {
        std::string link = "/proc/self/fd/" + std::to_string(fd);
        ssize_t n = readlink(link.c_str(), target, sizeof target - 1);
        if (n > 0 && std::string(target, (size_t)n).find("io_uring") != std::string::npos)
            rings++;
    }
    say("rings " + std::to_string(rings) + ", backend '" +
        WFGlobal::get_io_service()->get_backend() + "'");
    return 0;
}

// Used and stopped in order; nothing is left.
static int clean() {
    WFHttpServer server([](WFHttpTask *task) { task->get_resp()->append_output_body("x"); });
    if (server.start("127.0.0.1", 0) < 0)
        return 1;
    struct sockaddr_in addr;
    socklen_t len = sizeof addr;
    server.get_listen_addr(reinterpret_cast<struct sockaddr *>(&addr), &len);
    WFFacilities::WaitGroup done(20);
    std::string url = "http://127.0.0.1:" + std::to_string(ntohs(addr.sin_port)) + "/";
    for (int i = 0; i < 20; i++) {
        WFTaskFactory::create_http_task(url, 0, 0, [&done](WFHttpTask *) { done.done(); })->start();
    }
    done.wait();
    server.stop();
    say("clean");
    return 0;
}

int main(int argc, char *argv[]) {
    std::string which = argc > 1 ? argv[1] : "";
    if (which == "first_use")
        return first_use();
    if (which == "timers")
        return timers();
    if (which == "statics")
        return statics();
    if (which == "compute")
        return compute();
    if (which == "network" && argc > 2)
        return network(argv[2]);
    if (which == "busy_callback")
        return busy_callback();
    if (which == "exit_in_callback")
        return exit_in_callback();
    if (which == "start_at_exit")
        return start_at_exit();
    if (which == "series")
        return series();
    if (which == "server" && argc > 2)
        return server(argv[2]);
    if (which == "busy_server")
        return busy_server();
    if (which == "files" && argc > 2)
        return files(argv[2]);
    if (which == "exit_in_file_callback")
        return exit_in_file_callback();
    if (which == "no_files")
        return no_files();
    if (which == "clean")
        return clean();
    return 2;
}
