// Weft - what the tests of file requests share: a service with its scheduler, a request, files and pipes
// SPDX-License-Identifier: Apache-2.0
#ifndef WEFT_TEST_UNIT_KERNEL_IO_SUPPORT_H
#define WEFT_TEST_UNIT_KERNEL_IO_SUPPORT_H

#include "kernel_support.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "workflow/IORequest.h"

namespace kt {

constexpr auto IO_PATIENCE = std::chrono::seconds(60);

inline std::string kind_name(const testing::TestParamInfo<enum IOServiceMode> &info) {
    return info.param == IOM_URING ? "Uring" : "Threads";
}

struct IOEngine {
    explicit IOEngine(enum IOServiceMode mode, int max_events = 4096) {
        EXPECT_EQ(sched.init(2, 4), 0);
        EXPECT_EQ(service.init(&sched, max_events, mode), 0);
    }
    ~IOEngine() {
        service.drain();
        sched.deinit();
        service.deinit();
    }
    CommScheduler sched;
    IOService service;
};

struct TempFile {
    explicit TempFile(const std::string &content) {
        char name[] = "/tmp/weft_io_XXXXXX";
        fd = mkstemp(name);
        EXPECT_GE(fd, 0);
        EXPECT_EQ(::pwrite(fd, content.data(), content.size(), 0),
                  static_cast<ssize_t>(content.size()));
        path = name;
    }
    ~TempFile() {
        close(fd);
        unlink(path.c_str());
    }
    std::string content() const {
        char text[4096];
        ssize_t n = ::pread(fd, text, sizeof text, 0);
        return n < 0 ? "<error>" : std::string(text, static_cast<size_t>(n));
    }
    int fd;
    std::string path;
};

struct Pipe {
    Pipe() {
        int ends[2];
        EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
        in = ends[0];
        out = ends[1];
    }
    ~Pipe() {
        close(in);
        close(out);
    }
    int in, out;
};

// A request that belongs to the test, and may be made again when it has ended.
class File : public IORequest {
public:
    explicit File(IOService *service_in) : IORequest(service_in) {}

    void pread(int fd, void *buf, size_t n, long long off) {
        prepare_ = [=, this] { this->prep_pread(fd, buf, n, off); };
    }
    void pwrite(int fd, const void *buf, size_t n, long long off) {
        prepare_ = [=, this] { this->prep_pwrite(fd, buf, n, off); };
    }
    void preadv(int fd, const struct iovec *iov, int n, long long off) {
        prepare_ = [=, this] { this->prep_preadv(fd, iov, n, off); };
    }
    void pwritev(int fd, const struct iovec *iov, int n, long long off) {
        prepare_ = [=, this] { this->prep_pwritev(fd, iov, n, off); };
    }
    void fsync(int fd) {
        prepare_ = [=, this] { this->prep_fsync(fd); };
    }
    void fdatasync(int fd) {
        prepare_ = [=, this] { this->prep_fdatasync(fd); };
    }

    void begin() {
        begun_++;
        this->dispatch();
    }
    bool run() {
        begin();
        return wait();
    }
    bool wait() {
        std::unique_lock<std::mutex> lock(mutex_);
        return cond_.wait_for(lock, IO_PATIENCE, [this] { return ends >= begun_; });
    }
    bool ended() {
        std::lock_guard<std::mutex> lock(mutex_);
        return ends > 0;
    }
    long res() const { return this->get_res(); }
    int get_state() const { return this->state; }
    int get_error() const { return this->error; }

    std::function<void()> on_done;
    bool again = false; // is begun again when on_done() has returned
    int ends = 0;

private:
    int prepare() override {
        prepare_();
        return 0;
    }
    SubTask *done() override {
        if (on_done)
            on_done();
        std::lock_guard<std::mutex> lock(mutex_);
        if (again) {
            again = false;
            return this;
        }
        ends++;
        cond_.notify_all();
        return nullptr;
    }

    std::function<void()> prepare_;
    std::mutex mutex_;
    std::condition_variable cond_;
    int begun_ = 0;
};

} // namespace kt

#endif
