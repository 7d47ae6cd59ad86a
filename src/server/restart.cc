// Weft - listeners that come from outside, and graceful restart
// SPDX-License-Identifier: Apache-2.0
#include "workflow/wf/restart.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <string>
#include <sys/wait.h>
#include <unistd.h>

#include "workflow/detail/runtime.h"

namespace wf {

namespace {

constexpr int FIRST_FD = 3;                // where both protocols begin
constexpr int MOST = 64;                   // descriptors that are handed on
constexpr int APART = FIRST_FD + MOST + 1; // above all the numbers they get in the successor
constexpr const char *OURS = "WEFT_LISTEN_FDS";
constexpr const char *READY = "WEFT_READY_FD";

int number_of(const char *name) {
    const char *text = getenv(name);
    char *end = nullptr;
    long value = text ? strtol(text, &end, 10) : -1;
    return text && *text && *end == '\0' && value >= 0 && value < 65536 ? static_cast<int>(value)
                                                                        : -1;
}

// systemd names the process that its descriptors are for (sd_listen_fds(3)).
int activated() {
    const char *pid = getenv("LISTEN_PID");
    return pid && strtol(pid, nullptr, 10) == static_cast<long>(getpid()) ? number_of("LISTEN_FDS")
                                                                          : -1;
}

// Descriptors out of the way of the numbers they will have in the successor; closed at the end.
class Handed {
public:
    ~Handed() {
        for (int fd : fds)
            close(fd);
    }
    bool add(int fd) {
        int apart = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, APART);
        if (apart >= 0)
            fds.push_back(apart);
        return apart >= 0;
    }
    std::vector<int> fds;
};

bool is_one(const char *row, const char *name) {
    size_t size = strlen(name);
    return strncmp(row, name, size) == 0 && row[size] == '=';
}

std::vector<std::string> environment(size_t listeners) {
    std::vector<std::string> rows;
    for (char **row = environ; *row; row++) {
        if (!is_one(*row, OURS) && !is_one(*row, READY) && !is_one(*row, "LISTEN_FDS") &&
            !is_one(*row, "LISTEN_PID"))
            rows.emplace_back(*row);
    }
    rows.push_back(std::string(OURS) + "=" + std::to_string(listeners));
    rows.push_back(std::string(READY) + "=" +
                   std::to_string(FIRST_FD + static_cast<int>(listeners)));
    return rows;
}

// errno, or 0 and the process.
int spawn(char *const argv[], const Handed &handed, pid_t *pid) {
    std::vector<std::string> rows = environment(handed.fds.size() - 1);
    std::vector<char *> pointers;
    pointers.reserve(rows.size() + 1);
    for (std::string &row : rows)
        pointers.push_back(row.data());
    pointers.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    int target = FIRST_FD;
    int error = 0;
    for (size_t i = 0; i < handed.fds.size() && error == 0; i++)
        error = posix_spawn_file_actions_adddup2(&actions, handed.fds[i], target++);
    // What this process blocks or ignores is its own business.
    posix_spawnattr_t attributes;
    sigset_t none, changed;
    sigemptyset(&none);
    sigemptyset(&changed);
    sigaddset(&changed, SIGPIPE);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &changed);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    if (error == 0)
        error = posix_spawnp(pid, argv[0], &actions, &attributes, argv, pointers.data());
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return error;
}

// 0 when the word came.
int wait_ready(int fd, int timeout_ms) {
    struct pollfd p = {fd, POLLIN, 0};
    char word;
    int cookie = detail::runtime_wait_begin();
    int n;
    do
        n = poll(&p, 1, timeout_ms);
    while (n < 0 && errno == EINTR);
    detail::runtime_wait_end(cookie);
    if (n == 0)
        return ETIMEDOUT;
    return n > 0 && read(fd, &word, 1) == 1 ? 0 : ECHILD;
}

pid_t give_up(pid_t pid, int error) {
    if (pid > 0) {
        kill(pid, SIGKILL);
        waitpid(pid, nullptr, 0);
    }
    errno = error;
    return -1;
}

} // namespace

std::vector<int> inherited_listeners() {
    std::vector<int> fds;
    int count = number_of(OURS);
    if (count < 0)
        count = activated();
    for (int fd = FIRST_FD; fd < FIRST_FD + count; fd++) {
        if (fcntl(fd, F_SETFD, FD_CLOEXEC) == 0)
            fds.push_back(fd);
    }
    for (const char *name : {OURS, "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"})
        unsetenv(name);
    return fds;
}

void tell_ready() {
    int fd = number_of(READY);
    unsetenv(READY);
    if (fd < FIRST_FD)
        return;
    ssize_t n = write(fd, "r", 1); // who does not listen any more need not know
    (void)n;
    close(fd);
}

pid_t start_successor(char *const argv[], const std::vector<WFServerBase *> &servers,
                      int timeout_ms) {
    Handed handed;
    for (WFServerBase *server : servers) {
        if (server->get_listen_options()->reuse_port)
            return give_up(0, EOPNOTSUPP);
        int fd = server->dup_listen_fd();
        bool added = handed.add(fd);
        int error = errno;
        if (fd >= 0)
            close(fd);
        if (!added)
            return give_up(0, error);
    }
    int word[2];
    if (servers.size() > static_cast<size_t>(MOST) || pipe2(word, O_CLOEXEC) < 0)
        return give_up(0, servers.size() > static_cast<size_t>(MOST) ? EINVAL : errno);
    bool added = handed.add(word[1]);
    int error = errno;
    close(word[1]);
    pid_t pid = 0;
    if (added) {
        error = spawn(argv, handed, &pid);
        close(handed.fds.back()); // else the end of the successor would not be seen
        handed.fds.pop_back();
        if (error == 0)
            error = wait_ready(word[0], timeout_ms);
    }
    close(word[0]);
    if (!added || error != 0)
        return give_up(pid, error);
    for (WFServerBase *server : servers)
        server->share_listening();
    return pid;
}

} // namespace wf
