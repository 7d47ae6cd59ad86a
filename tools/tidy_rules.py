#!/usr/bin/env python3
# Weft - the tables of the checker: rooms and their levels, and the idioms that are banned, each with its replacement.
# SPDX-License-Identifier: Apache-2.0
import re

CODE = {".h", ".inl", ".c", ".cc"}
SCRIPTS = {".sh", ".py", ".cmake", ".txt"}
# Code keeps to 100 columns, as clang-format has it; comments, scripts and build files to 120.
COLUMNS = {"code": 100, "text": 120}

# util < kernel < protocol, task < nameservice, trace < factory < coro < channel, metrics < server, client < engine.
# Equals never meet.
LEVEL = {"util": 0, "kernel": 1, "protocol": 2, "task": 2, "nameservice": 3, "trace": 3, "factory": 4,
         "coro": 5, "channel": 6, "metrics": 6, "server": 7, "client": 7, "engine": 8}

# The files of the kernel that may speak to the system; all others go through them.
SYSTEM_FILES = re.compile(r"src/kernel/(?:sys\w*|poller_epoll|poller_uring|transport\w*)\.(?:h|c)$")


class Banned:
    """A pattern that must not appear. `where` is matched against the path, `unless` exempts paths."""

    def __init__(self, name, pattern, instead, where=r"", unless=None, code_only=True):
        self.name = name
        self.pattern = re.compile(pattern, re.M)
        self.instead = instead
        self.where = re.compile(where)
        self.unless = unless and re.compile(unless)
        self.code_only = code_only

    def applies(self, path, is_code):
        if not is_code or not self.where.match(path):
            return False
        return not (self.unless and self.unless.match(path))


OURS = r"(?:src|include)/"
SOCKET_CALLS = r"(?:socket|connect|bind|listen|recv|send|readv?|writev?|close|shutdown|poll)\s*\("
THROUGH = "the kernel reaches the system through sys_*, poller_* and transport_* only"
CALL = r"(?<![\w.>:])(?:::)?"

BANNED = [
    Banned("volatile", r"(?<!asm )(?<!__asm__ )\bvolatile\b(?!\s+(?:std::)?sig_atomic_t)",
           "volatile orders nothing between threads: use std::atomic or \"kernel/atomics.h\""),
    Banned("unsafe-string", r"(?<![\w.>])(?:sprintf|vsprintf|strcpy|strcat|gets|strtok)\s*\(",
           "no bound or no thread safety: use snprintf, memcpy with a known length, std::string"),
    Banned("unsafe-number", CALL + r"(?:atoi|atol|atoll|atof)\s*\(",
           "errors go unseen: use strtol with a check, or std::from_chars", where=OURS),
    Banned("unsafe-libc", r"(?<![\w.>])(?:localtime|gmtime|ctime|asctime|inet_ntoa|gethostbyname)\s*\(",
           "shared static buffer: use the _r form, inet_ntop, getaddrinfo"),
    Banned("random", CALL + r"(?:rand|srand|random)\s*\(",
           "use the random source of the system header, or a seeded std::mt19937 in tests",
           where=r"(?:src|include|test)/"),
    Banned("signal", CALL + r"signal\s*\(", "use sigaction: signal resets or restarts by platform", where=OURS),
    Banned("fence", r"\b(?:__atomic|atomic)_thread_fence\b|\b__sync_\w+",
           "ThreadSanitizer cannot follow bare fences: use an exchange, or membarrier with its TSan form",
           where=OURS),
    Banned("throw", r"\bthrow\b", "Weft throws nothing: return -1 and errno in C, a [[nodiscard]] result in C++",
           where=OURS),
    Banned("using-namespace", r"\busing\s+namespace\b", "a header must not choose names for its users: write them out",
           where=r".*\.(?:h|inl)$"),
    Banned("pragma-once", r"#\s*pragma\s+once\b", "use an include guard WEFT_<NAME>_H"),
    Banned("thread-local", r"\b(?:thread_local|__thread|_Thread_local)\b",
           "the simulator's workers are fibers: ask the system header for the current worker",
           where=r"src/kernel/", unless=SYSTEM_FILES.pattern),
    Banned("system-call", CALL + r"(?:epoll_\w+|eventfd|timerfd_\w+|accept4?|recvfrom|recvmsg|sendto|sendmsg|futex"
           r"|syscall|clock_gettime|pthread_create|getrandom|membarrier|getsockopt|setsockopt)\s*\(",
           THROUGH, where=r"src/kernel/", unless=SYSTEM_FILES.pattern),
    Banned("system-call", r"(?<![\w.>:])" + SOCKET_CALLS,
           THROUGH, where=r"src/kernel/.*\.c$", unless=SYSTEM_FILES.pattern),
    Banned("system-call", r"(?<![\w>])::" + SOCKET_CALLS,
           THROUGH, where=r"src/kernel/.*\.(?:cc|h)$", unless=SYSTEM_FILES.pattern),
    Banned("system-header", r"#\s*include\s*<(?:sys/(?:epoll|eventfd|timerfd)|linux/futex|poll)\.h>",
           THROUGH, where=r"src/kernel/", unless=SYSTEM_FILES.pattern),
    Banned("protocol-pure",
           r"#\s*include\s*<(?:thread|mutex|condition_variable|future|pthread\.h|sys/(?:socket|epoll)\.h)>",
           "protocol turns bytes into messages: no sockets, no threads", where=r"src/protocol/"),
    Banned("test-sleep", r"(?<![\w.>:])(?:::)?(?:usleep|sleep|nanosleep)\s*\(|\bsleep_(?:for|until)\s*\(",
           "do not wait by sleeping: wait for the event (WaitGroup, condition variable, future)", where=r"test/"),
    Banned("test-empty", r"\b(?:(?:EXPECT|ASSERT)_TRUE|assert)\s*\(\s*true\s*\)|\bSUCCEED\s*\(",
           "a test that cannot fail proves nothing: state what must hold", where=r"test/"),
    Banned("test-skip", r"\bGTEST_SKIP\b|\bDISABLED_\w+", "a test runs or goes: mend it, or remove it", where=r"test/"),
    Banned("fixed-port", r"(?:\.|->)start\s*\(\s*(?:\"[^\"]*\"\s*,\s*)?[1-9][0-9]{2,4}\s*[,)]",
           "bind port 0 and ask which port it became", where=r"test/"),
    Banned("unfinished", r"\b(?:TO" r"DO|FIX" r"ME|X" r"XX)\b", "finish it, or open an issue that says what is missing",
           code_only=False),
]
