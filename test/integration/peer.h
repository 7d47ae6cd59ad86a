// Weft - real peers for the integration tests: programs run to their end, and servers on free ports
// SPDX-License-Identifier: Apache-2.0
//
// Every object belongs to the test that makes it, and ends its process when it goes: with TERM
// first, with KILL after some seconds. A server gets its listening socket from us, bound to port
// 0 and already listening, so no port is fixed and nobody has to wait until the server is up.

#ifndef WEFT_TEST_INTEGRATION_PEER_H
#define WEFT_TEST_INTEGRATION_PEER_H

#include <sys/types.h>

#include <map>
#include <string>
#include <vector>

namespace peer {

// A directory that is removed with everything in it.
class TempDir {
public:
    TempDir();
    ~TempDir();
    TempDir(const TempDir &) = delete;
    TempDir &operator=(const TempDir &) = delete;

    const std::string &path() const { return path_; }
    std::string file(const std::string &name) const { return path_ + "/" + name; }
    bool write(const std::string &name, const std::string &content) const;

private:
    std::string path_;
};

struct Options {
    int inherit_fd = -1;                    // Becomes descriptor 3 of the child.
    std::map<std::string, std::string> env; // Added to the environment.
    long nofile = 0;                        // Limit on descriptors; 0: as it is.
};

// A child process whose standard output and error go to one file each.
class Process {
public:
    Process() = default;
    ~Process() { stop(); }
    Process(const Process &) = delete;
    Process &operator=(const Process &) = delete;

    bool start(const std::vector<std::string> &argv, const Options &options = Options());
    // Waits for the end: the exit status, -signal when one ended it, -1000 after the time.
    int wait(int timeout_ms = 60000);
    // Waits until a line of the output contains mark; the line, or "".
    std::string wait_line(const std::string &mark, int timeout_ms = 30000);
    void signal(int number);
    void stop();

    bool running();
    pid_t pid() const { return pid_; }
    std::string out() const;
    std::string err() const;
    // CPU time used so far, user and system, in milliseconds.
    long cpu_ms() const;

private:
    TempDir dir_;
    pid_t pid_ = -1;
    int status_ = 0;
};

struct Result {
    int status = -1;
    std::string out;
    std::string err;
};

// Runs a program to its end.
Result run(const std::vector<std::string> &argv, int timeout_ms = 60000);

// True when the program is on PATH; tests that need it are skipped otherwise.
bool have(const std::string &program);

// nginx with our configuration inside one server block.
class Nginx {
public:
    // locations: what stands inside `server { ... }` behind `listen`. Files of the directory
    // `html` inside dir() are served as they are. listen: what stands behind the address.
    bool start(const std::string &locations, const std::string &listen = "");
    unsigned short port() const { return port_; }
    std::string url(const std::string &path) const;
    const TempDir &dir() const { return dir_; }
    std::string log() const;

private:
    TempDir dir_;
    unsigned short port_ = 0;
    Process process_;
};

// A node script that calls `serve(server)` for its http.Server; process.argv from 2 on are args.
class NodeServer {
public:
    bool start(const std::string &script, const std::vector<std::string> &args = {});
    unsigned short port() const { return port_; }
    std::string url(const std::string &path) const;
    Process &process() { return process_; }

private:
    TempDir dir_;
    unsigned short port_ = 0;
    Process process_;
};

// Runs a node script to its end.
Result run_node(const std::string &script, const std::vector<std::string> &args,
                int timeout_ms = 60000);

} // namespace peer

#endif
