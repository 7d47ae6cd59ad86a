// Weft - file requests of the kernel, by io_uring and by threads: what they answer, how many, and their end
// SPDX-License-Identifier: Apache-2.0
#include "io_support.h"

#include <sys/socket.h>

#include "kernel/metrics.h"

namespace {

using namespace kt;

class IOServiceTest : public testing::TestWithParam<enum IOServiceMode> {
protected:
    IOEngine engine{GetParam()};
};

TEST_P(IOServiceTest, NothingIsOpenedBeforeTheFirstRequest) {
    EXPECT_STREQ(engine.service.get_backend(), "");
    TempFile file("x");
    char c;
    File read(&engine.service);
    read.pread(file.fd, &c, 1, 0);
    EXPECT_TRUE(read.run());
    EXPECT_STREQ(engine.service.get_backend(), GetParam() == IOM_URING ? "io_uring" : "threads");
}

TEST_P(IOServiceTest, WritesWhatItReads) {
    TempFile file("");
    char a[] = "hello, ", b[] = "world";
    char text[16] = {};
    struct iovec out[] = {{a, 7}, {b, 5}};
    struct iovec in[] = {{text, 5}, {text + 5, 11}};
    File task(&engine.service);

    task.pwritev(file.fd, out, 2, 0);
    EXPECT_TRUE(task.run());
    EXPECT_EQ(task.res(), 12);
    task.pwrite(file.fd, "W", 1, 7);
    EXPECT_TRUE(task.run());
    EXPECT_EQ(task.res(), 1);
    task.fsync(file.fd);
    EXPECT_TRUE(task.run());
    EXPECT_EQ(task.res(), 0);
    task.fdatasync(file.fd);
    EXPECT_TRUE(task.run());
    EXPECT_EQ(task.res(), 0);
    task.preadv(file.fd, in, 2, 0);
    EXPECT_TRUE(task.run());
    EXPECT_EQ(task.res(), 12);
    EXPECT_STREQ(text, "hello, World");
    task.pread(file.fd, text, sizeof text, 7);
    EXPECT_TRUE(task.run());
    EXPECT_EQ(std::string(text, 5), "World");
    EXPECT_EQ(task.res(), 5) << "less than asked for is no error";
}

TEST_P(IOServiceTest, TheEndOfTheFileIsZero) {
    TempFile file("abc");
    char c[4];
    File task(&engine.service);
    for (long long offset : {3ll, 4ll, 1ll << 40}) {
        task.pread(file.fd, c, sizeof c, offset);
        EXPECT_TRUE(task.run());
        EXPECT_EQ(task.res(), 0);
    }
}

TEST_P(IOServiceTest, NothingAskedForIsNothing) {
    TempFile file("abc");
    File task(&engine.service);
    task.pread(file.fd, nullptr, 0, 0);
    EXPECT_TRUE(task.run());
    EXPECT_EQ(task.res(), 0);
    task.pwrite(file.fd, nullptr, 0, 0);
    EXPECT_TRUE(task.run());
    EXPECT_EQ(task.res(), 0);
    task.preadv(file.fd, nullptr, 0, 0);
    EXPECT_TRUE(task.run());
    EXPECT_EQ(task.res(), 0);
    EXPECT_EQ(file.content(), "abc");
}

TEST_P(IOServiceTest, OffsetMinusOneIsTheDescriptorsOwn) {
    TempFile file("abcdef");
    char c[2];
    File task(&engine.service);
    task.pread(file.fd, c, 2, -1);
    EXPECT_TRUE(task.run());
    EXPECT_EQ(std::string(c, 2), "ab");
    struct iovec one = {c, 2};
    task.preadv(file.fd, &one, 1, -1);
    EXPECT_TRUE(task.run());
    EXPECT_EQ(std::string(c, 2), "cd");
    task.pwrite(file.fd, "X", 1, -1);
    EXPECT_TRUE(task.run());
    EXPECT_EQ(file.content(), "abcdXf");
}

TEST_P(IOServiceTest, WhatCanBeToldAtOnceIs) {
    TempFile file("abc");
    int read_only = open(file.path.c_str(), O_RDONLY), path_only = open(file.path.c_str(), O_PATH);
    int write_only = open(file.path.c_str(), O_WRONLY), gone = dup(file.fd);
    close(gone);
    char c;
    struct iovec one = {&c, 1};
    File task(&engine.service);
    auto fails = [&task](int error) {
        task.dispatch();
        EXPECT_TRUE(task.ended()) << "not inside dispatch()";
        EXPECT_EQ(task.get_state(), IOS_STATE_ERROR);
        EXPECT_EQ(task.get_error(), error);
    };
    for (int fd : {-1, gone, write_only, path_only}) {
        task.pread(fd, &c, 1, 0);
        fails(EBADF);
        task.preadv(fd, &one, 1, 0);
        fails(EBADF);
    }
    for (int fd : {-1, gone, read_only, path_only}) {
        task.pwrite(fd, &c, 1, 0);
        fails(EBADF);
        task.pwritev(fd, &one, 1, 0);
        fails(EBADF);
    }
    for (int fd : {-1, gone}) {
        task.fsync(fd);
        fails(EBADF);
    }
    task.pread(file.fd, &c, 1, -2);
    fails(EINVAL);
    task.pread(file.fd, &c, static_cast<size_t>(SSIZE_MAX) + 1, 0);
    fails(EINVAL);
    for (int count : {-1, IOV_MAX + 1}) {
        task.preadv(file.fd, &one, count, 0);
        fails(EINVAL);
    }
    task.pwritev(file.fd, nullptr, 1, 0);
    fails(EFAULT);
    EXPECT_STREQ(engine.service.get_backend(), "") << "none of them came so far";
    for (int fd : {read_only, write_only, path_only})
        close(fd);
}

TEST_P(IOServiceTest, WhatTheSystemRefusesIsAnErrno) {
    TempFile file("abc");
    std::string directory = std::string(P_tmpdir);
    int dir = open(directory.c_str(), O_RDONLY), full = open("/dev/full", O_RDWR);
    int direct = open(file.path.c_str(), O_RDONLY | O_DIRECT);
    ASSERT_GE(dir, 0);
    ASSERT_GE(full, 0);
    char c[16] = {};
    File task(&engine.service);
    auto fails = [&task](int error) {
        EXPECT_TRUE(task.run());
        EXPECT_EQ(task.get_state(), IOS_STATE_ERROR);
        EXPECT_EQ(task.get_error(), error);
        EXPECT_EQ(task.res(), -error);
    };
    task.pread(dir, c, 1, 0);
    fails(EISDIR);
    task.pwrite(full, c, 1, 0);
    fails(ENOSPC);
    task.pread(file.fd, nullptr, 1, 0);
    fails(EFAULT);
    Pipe pipe;
    task.fsync(pipe.out);
    fails(EINVAL);
    if (direct >= 0) { // not every file system has it, and of those that have some do not mind
        ssize_t n = ::pread(direct, c + 1, 3, 1);
        int error = n < 0 ? errno : 0;
        task.pread(direct, c + 1, 3, 1);
        EXPECT_TRUE(task.run());
        EXPECT_EQ(task.get_error(), error);
        close(direct);
    }
    close(dir);
    close(full);
}

TEST_P(IOServiceTest, DevNullTakesAllAndGivesNothing) {
    int fd = open("/dev/null", O_RDWR);
    std::vector<char> big(1 << 20);
    File task(&engine.service);
    task.pwrite(fd, big.data(), big.size(), 12345);
    EXPECT_TRUE(task.run());
    EXPECT_EQ(task.res(), 1 << 20);
    task.pread(fd, big.data(), big.size(), 0);
    EXPECT_TRUE(task.run());
    EXPECT_EQ(task.res(), 0);
    close(fd);
}

// Of a file that short no more is touched than there is, so the buffer need not be that large.
TEST_P(IOServiceTest, AHugeCountIsAShortRead) {
    TempFile file("abc");
    char text[64] = {};
    File task(&engine.service);
    for (size_t count : {size_t{1} << 31, size_t{1} << 33}) {
        void *room = mmap(nullptr, count, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        ASSERT_NE(room, MAP_FAILED);
        task.pread(file.fd, room, count, 0);
        EXPECT_TRUE(task.run());
        EXPECT_EQ(task.res(), 3);
        memcpy(text, room, 3);
        EXPECT_STREQ(text, "abc");
        munmap(room, count);
    }
}

TEST_P(IOServiceTest, LargeOnesComeWhole) {
    TempFile file("");
    std::vector<char> out(3 << 20), in(3 << 20);
    for (size_t i = 0; i < out.size(); i++)
        out[i] = static_cast<char>(i * 7 / 5);
    File task(&engine.service);
    task.pwrite(file.fd, out.data(), out.size(), 0);
    EXPECT_TRUE(task.run());
    EXPECT_EQ(task.res(), 3 << 20);
    struct iovec vectors[] = {{in.data(), 1 << 20}, {in.data() + (1 << 20), 2 << 20}};
    task.preadv(file.fd, vectors, 2, 0);
    EXPECT_TRUE(task.run());
    EXPECT_EQ(task.res(), 3 << 20);
    EXPECT_TRUE(in == out);
}

TEST_P(IOServiceTest, APipeIsWaitedForAndHasNoOffsets) {
    Pipe pipe;
    char c[8] = {};
    File read(&engine.service), write(&engine.service);
    read.pread(pipe.in, c, sizeof c, 100);
    read.begin();
    write.pwrite(pipe.out, "abc", 3, 200);
    EXPECT_TRUE(write.run());
    EXPECT_EQ(write.res(), 3);
    EXPECT_TRUE(read.wait());
    EXPECT_EQ(read.res(), 3);
    EXPECT_STREQ(c, "abc");
}

TEST_P(IOServiceTest, NorHasASocket) {
    int ends[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    char c[8] = {};
    File read(&engine.service), write(&engine.service);
    read.pread(ends[0], c, sizeof c, 100);
    read.begin();
    write.pwrite(ends[1], "abc", 3, 200);
    EXPECT_TRUE(write.run());
    EXPECT_EQ(write.res(), 3);
    EXPECT_TRUE(read.wait());
    EXPECT_EQ(read.res(), 3);
    close(ends[0]);
    close(ends[1]);
}

TEST_P(IOServiceTest, HandledOnAWorker) {
    TempFile file("abc");
    char c;
    File task(&engine.service);
    CommScheduler *sched = &engine.sched;
    int where = -1;
    task.on_done = [&where, sched]() { where = sched->is_handler_thread(); };
    task.pread(file.fd, &c, 1, 0);
    EXPECT_TRUE(task.run());
    EXPECT_EQ(where, 1);
}

// The first in line blocks its thread until the one behind it was handled.
TEST_P(IOServiceTest, ACallbackThatWaitsHoldsNobodyUp) {
    TempFile file("abc");
    char a, b;
    File first(&engine.service), second(&engine.service);
    Latch handled;
    first.on_done = [&handled]() { EXPECT_TRUE(handled.wait(IO_PATIENCE)); };
    second.on_done = [&handled]() { handled.down(); };
    first.pread(file.fd, &a, 1, 0);
    second.pread(file.fd, &b, 1, 1);
    first.begin();
    second.begin();
    EXPECT_TRUE(first.wait());
    EXPECT_TRUE(second.wait());
}

// Each callback makes the next request.
TEST_P(IOServiceTest, OneAfterTheOther) {
    TempFile file(std::string(1000, 'x'));
    File task(&engine.service);
    std::vector<char> in(1000);
    int n = 0;
    Latch all;
    task.on_done = [&]() {
        EXPECT_EQ(task.res(), 1);
        if (++n == 1000) {
            all.down();
            return;
        }
        task.again = true;
        task.pread(file.fd, &in[static_cast<size_t>(n)], 1, n);
    };
    task.pread(file.fd, in.data(), 1, 0);
    task.begin();
    EXPECT_TRUE(all.wait(IO_PATIENCE));
    EXPECT_TRUE(task.wait());
    EXPECT_EQ(std::string(in.begin(), in.end()), std::string(1000, 'x'));
}

uint64_t sum_of(unsigned slot) {
    uint64_t sum;
    metrics_sum(slot, 1, &sum);
    return sum;
}

// Far more than a ring takes: what waits for its turn is neither refused nor forgotten.
void thousands_of_pipe_reads(IOEngine *engine) {
    constexpr size_t COUNT = 5000;
    Pipe pipe;
    std::vector<char> in(COUNT);
    uint64_t taken = sum_of(METRIC_FILES_IN), done = sum_of(METRIC_FILES_DONE);
    std::vector<std::unique_ptr<File>> tasks;
    for (size_t i = 0; i < COUNT; i++) {
        tasks.push_back(std::make_unique<File>(&engine->service));
        tasks.back()->pread(pipe.in, &in[i], 1, 0);
        tasks.back()->begin();
    }
    EXPECT_EQ(sum_of(METRIC_FILES_IN) - taken, COUNT);
    EXPECT_EQ(sum_of(METRIC_FILES_DONE), done) << "of an empty pipe";
    std::string bytes(COUNT, 'x');
    ASSERT_EQ(::write(pipe.out, bytes.data(), COUNT), static_cast<ssize_t>(COUNT));
    for (auto &task : tasks) {
        ASSERT_TRUE(task->wait());
        ASSERT_EQ(task->res(), 1) << task->get_error();
    }
    EXPECT_EQ(std::string(in.begin(), in.end()), bytes);
    EXPECT_EQ(sum_of(METRIC_FILES_DONE) - done, COUNT);
    EXPECT_EQ(sum_of(METRIC_FILES_IN) - sum_of(METRIC_FILES_BEGUN) - sum_of(METRIC_FILES_CANCELED),
              0u);
}

TEST_P(IOServiceTest, FiveThousandAtATime) { thousands_of_pipe_reads(&engine); }

TEST_P(IOServiceTest, FiveThousandThroughARingOfFour) {
    IOEngine small(GetParam(), 4);
    thousands_of_pipe_reads(&small);
}

TEST_P(IOServiceTest, ThoseWhoDrainWaitAndNobodyElseGetsIn) {
    Pipe pipe;
    char c;
    File read(&engine.service);
    read.pread(pipe.in, &c, 1, 0);
    read.begin();
    Latch begun;
    std::atomic<bool> drained{false};
    std::thread drainer([&]() {
        begun.down();
        engine.service.drain();
        drained = true;
    });
    ASSERT_TRUE(begun.wait(IO_PATIENCE));
    // Once it refuses, the drainer is at the wait or on the way to it.
    Pipe other;
    for (;;) {
        File late(&engine.service);
        late.pwrite(other.out, "x", 1, 0);
        if (late.run() && late.get_state() == IOS_STATE_STOPPED) {
            EXPECT_EQ(late.get_error(), 0);
            break;
        }
        char taken;
        ASSERT_EQ(::read(other.in, &taken, 1), 1);
    }
    EXPECT_FALSE(drained);
    EXPECT_FALSE(read.ended());
    ASSERT_EQ(::write(pipe.out, "y", 1), 1);
    drainer.join();
    EXPECT_TRUE(read.wait());
    EXPECT_EQ(c, 'y');
}

TEST_P(IOServiceTest, AClosedSchedulerTakesNone) {
    TempFile file("abc");
    char c;
    File task(&engine.service);
    engine.sched.close();
    task.pread(file.fd, &c, 1, 0);
    task.dispatch();
    EXPECT_TRUE(task.ended());
    EXPECT_EQ(task.get_state(), IOS_STATE_STOPPED);
}

// As at the end of a process: the sessions and timers are told first, the files are waited for.
TEST_P(IOServiceTest, WhatIsUnderWayOutlivesTheGate) {
    Pipe pipe;
    char c;
    File read(&engine.service);
    read.pread(pipe.in, &c, 1, 0);
    read.begin();
    engine.sched.close();
    EXPECT_FALSE(read.ended());
    ASSERT_EQ(::write(pipe.out, "y", 1), 1);
    engine.service.drain();
    EXPECT_TRUE(read.wait());
    EXPECT_EQ(read.res(), 1);
}

INSTANTIATE_TEST_SUITE_P(Kinds, IOServiceTest, testing::Values(IOM_URING, IOM_THREADS), kind_name);

} // namespace
