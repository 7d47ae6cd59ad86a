// Weft - real peers for the integration tests: starting, watching and ending processes
// SPDX-License-Identifier: Apache-2.0
//
// Owner and threads: see peer.h. Everything happens on the test's own thread.

#include "integration/peer.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <sstream>

#include "integration/raw_socket.h"

extern char **environ;

namespace peer {

namespace {

using Clock = std::chrono::steady_clock;

std::string read_file(const std::string &path) {
    std::ifstream file(path, std::ios::binary);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

int open_for_child(const std::string &path) {
    return open(path.c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
}

// What the child does between fork and exec: only calls that are safe there.
struct ChildPlan {
    std::vector<char *> argv;
    std::vector<char *> envp;
    std::string program;
    int out;
    int err;
    int inherit;
    long nofile;
};

[[noreturn]] void become(const ChildPlan &plan) {
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    ::signal(SIGPIPE, SIG_DFL); // The library has it ignored, and exec would keep that.
    setpgid(0, 0);
    dup2(plan.out, 1);
    dup2(plan.err, 2);
    if (plan.inherit >= 0) {
        if (plan.inherit == 3)
            fcntl(3, F_SETFD, 0);
        else
            dup2(plan.inherit, 3);
    }
    if (plan.nofile > 0) {
        rlimit limit = {static_cast<rlim_t>(plan.nofile), static_cast<rlim_t>(plan.nofile)};
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    execve(plan.program.c_str(), plan.argv.data(), plan.envp.data());
    _exit(127);
}

std::string find_program(const std::string &program) {
    if (program.find('/') != std::string::npos)
        return program;
    const char *path = getenv("PATH");
    std::istringstream dirs(std::string(path ? path : "/usr/bin:/bin") + ":/usr/sbin:/sbin");
    std::string dir;
    while (std::getline(dirs, dir, ':')) {
        std::string candidate = dir + "/" + program;
        if (access(candidate.c_str(), X_OK) == 0)
            return candidate;
    }
    return "";
}

} // namespace

TempDir::TempDir() {
    const char *base = getenv("TMPDIR");
    std::string name = std::string(base ? base : "/tmp") + "/weft-test-XXXXXX";
    if (mkdtemp(&name[0]))
        path_ = name;
}

TempDir::~TempDir() {
    // Only files and one level of directories are ever made here.
    if (path_.empty())
        return;
    std::string program = find_program("rm");
    pid_t pid = fork();
    if (pid == 0) {
        execl(program.c_str(), "rm", "-rf", path_.c_str(), static_cast<char *>(nullptr));
        _exit(127);
    }
    if (pid > 0)
        waitpid(pid, nullptr, 0);
}

bool TempDir::write(const std::string &name, const std::string &content) const {
    std::ofstream stream(file(name), std::ios::binary);
    stream << content;
    stream.close();
    return !stream.fail();
}

bool Process::start(const std::vector<std::string> &argv, const Options &options) {
    ChildPlan plan;
    std::vector<std::string> environment;
    for (char **item = environ; *item; item++) {
        std::string text = *item;
        if (!options.env.count(text.substr(0, text.find('='))))
            environment.push_back(text);
    }
    for (const auto &item : options.env)
        environment.push_back(item.first + "=" + item.second);
    for (const std::string &text : argv)
        plan.argv.push_back(const_cast<char *>(text.c_str()));
    for (const std::string &text : environment)
        plan.envp.push_back(const_cast<char *>(text.c_str()));
    plan.argv.push_back(nullptr);
    plan.envp.push_back(nullptr);
    plan.program = find_program(argv[0]);
    plan.out = open_for_child(dir_.file("out"));
    plan.err = open_for_child(dir_.file("err"));
    plan.inherit = options.inherit_fd;
    plan.nofile = options.nofile;

    pid_ = fork();
    if (pid_ == 0)
        become(plan);
    close(plan.out);
    close(plan.err);
    return pid_ > 0;
}

int Process::wait(int timeout_ms) {
    if (pid_ < 0)
        return status_;
    int pidfd = static_cast<int>(syscall(SYS_pidfd_open, pid_, 0));
    pollfd item = {pidfd, POLLIN, 0};
    int n;
    do {
        n = poll(&item, 1, timeout_ms);
    } while (n < 0 && errno == EINTR);
    close(pidfd);
    if (n <= 0)
        return -1000;
    int status = 0;
    waitpid(pid_, &status, 0);
    pid_ = -1;
    status_ = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    return status_;
}

bool Process::running() { return pid_ > 0 && wait(0) == -1000; }

std::string Process::wait_line(const std::string &mark, int timeout_ms) {
    Clock::time_point limit = Clock::now() + std::chrono::milliseconds(timeout_ms);
    for (;;) {
        bool alive = running();
        std::istringstream lines(out());
        std::string line;
        while (std::getline(lines, line)) {
            // A line counts when it is whole; getline hits the end of the text otherwise.
            if (!lines.eof() && line.find(mark) != std::string::npos)
                return line;
        }
        if (!alive || Clock::now() > limit)
            return "";
        poll(nullptr, 0, 5); // The output is a file: nothing to wait on but time.
    }
}

void Process::signal(int number) {
    if (pid_ > 0)
        kill(pid_, number);
}

void Process::stop() {
    if (pid_ < 0)
        return;
    signal(SIGTERM);
    if (wait(5000) != -1000)
        return;
    kill(-pid_, SIGKILL);
    kill(pid_, SIGKILL);
    wait(5000);
}

std::string Process::out() const { return read_file(dir_.file("out")); }

std::string Process::err() const { return read_file(dir_.file("err")); }

long Process::cpu_ms() const {
    std::string text = read_file("/proc/" + std::to_string(pid_) + "/stat");
    size_t at = text.rfind(')');
    if (at == std::string::npos)
        return -1;
    // Behind the name: state is field 3, user time 14, system time 15.
    std::istringstream fields(text.substr(at + 2));
    std::string skipped;
    long user = 0;
    long system = 0;
    for (int i = 3; i < 14; i++)
        fields >> skipped;
    fields >> user >> system;
    return (user + system) * 1000 / sysconf(_SC_CLK_TCK);
}

Result run(const std::vector<std::string> &argv, int timeout_ms) {
    Result result;
    Process process;
    if (!process.start(argv))
        return result;
    result.status = process.wait(timeout_ms);
    result.out = process.out();
    result.err = process.err();
    return result;
}

bool have(const std::string &program) { return !find_program(program).empty(); }

bool Nginx::start(const std::string &locations, const std::string &listen) {
    raw::Listener listener;
    port_ = listener.port();
    const std::string &d = dir_.path();
    mkdir(dir_.file("html").c_str(), 0755);
    chmod(d.c_str(), 0755);
    // nginx takes over descriptor 3 because the variable NGINX, meant for its own restarts, names
    // it, and because the address is the same. (With master_process off nginx 1.22 crashes then.)
    const std::string user = geteuid() == 0 ? "user root; " : "";
    std::string config = "daemon off; worker_processes 1; " + user + "pid " + d +
                         "/pid; error_log " + d +
                         "/error.log info;\n"
                         "events { worker_connections 4096; }\n"
                         "http {\n"
                         "  access_log off; default_type text/plain; keepalive_requests 100000;\n"
                         "  client_body_temp_path " +
                         d + "/body; proxy_temp_path " + d +
                         "/proxy;\n"
                         "  fastcgi_temp_path " +
                         d + "/fcgi; uwsgi_temp_path " + d +
                         "/uwsgi;\n"
                         "  scgi_temp_path " +
                         d +
                         "/scgi; client_max_body_size 1g;\n"
                         "  server {\n    listen 127.0.0.1:" +
                         std::to_string(port_) + listen +
                         ";\n"
                         "    root " +
                         d + "/html;\n" + locations + "\n  }\n}\n";
    if (!dir_.write("nginx.conf", config))
        return false;
    Options options;
    options.inherit_fd = listener.fd();
    options.env["NGINX"] = "3;";
    return process_.start({"nginx", "-p", d, "-c", dir_.file("nginx.conf")}, options);
}

std::string Nginx::url(const std::string &path) const {
    return "http://127.0.0.1:" + std::to_string(port_) + path;
}

std::string Nginx::log() const { return read_file(dir_.file("error.log")) + process_.err(); }

bool NodeServer::start(const std::string &script, const std::vector<std::string> &args) {
    raw::Listener listener;
    port_ = listener.port();
    const std::string prelude =
        "const http = require('http'), net = require('net');\n"
        "const args = process.argv.slice(2);\n"
        "function serve(server) { server.listen({fd: 3}); return server; }\n"
        "process.on('SIGTERM', () => process.exit(0));\n";
    if (!dir_.write("server.js", prelude + script))
        return false;
    std::vector<std::string> argv = {"node", dir_.file("server.js")};
    argv.insert(argv.end(), args.begin(), args.end());
    Options options;
    options.inherit_fd = listener.fd();
    return process_.start(argv, options);
}

std::string NodeServer::url(const std::string &path) const {
    return "http://127.0.0.1:" + std::to_string(port_) + path;
}

Result run_node(const std::string &script, const std::vector<std::string> &args, int timeout_ms) {
    TempDir dir;
    const std::string prelude = "const http = require('http'), net = require('net');\n"
                                "const args = process.argv.slice(2);\n";
    dir.write("client.js", prelude + script);
    std::vector<std::string> argv = {"node", dir.file("client.js")};
    argv.insert(argv.end(), args.begin(), args.end());
    return run(argv, timeout_ms);
}

} // namespace peer
