// Weft - file requests of the kernel: cancels, and systems without io_uring
// SPDX-License-Identifier: Apache-2.0
#include "io_support.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <random>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "kernel/log.h"
#include "kernel/uring.h"

namespace {

using namespace kt;

constexpr int THREADS_MOST = 16; // of the back end

class IOCancelTest : public testing::TestWithParam<enum IOServiceMode> {
protected:
    IOEngine engine{GetParam()};
};

void expect_canceled(File *task) {
    EXPECT_TRUE(task->wait());
    EXPECT_EQ(task->get_state(), IOS_STATE_ERROR);
    EXPECT_EQ(task->get_error(), ECANCELED);
    EXPECT_EQ(task->ends, 1);
}

TEST_P(IOCancelTest, TooEarlyAndTooLate) {
    TempFile file("abc");
    char c;
    File task(&engine.service);
    EXPECT_EQ(task.cancel(), -1);
    EXPECT_EQ(errno, ENOENT);
    int inside = 0;
    task.on_done = [&]() { inside = task.cancel(); };
    task.pread(file.fd, &c, 1, 0);
    EXPECT_TRUE(task.run());
    EXPECT_EQ(inside, -1) << "in its own callback";
    EXPECT_EQ(task.cancel(), -1);
    EXPECT_EQ(errno, ENOENT);
    EXPECT_EQ(task.get_state(), IOS_STATE_SUCCESS);
}

TEST(IOCancel, AReadOfAnEmptyPipe) {
    IOEngine engine(IOM_URING);
    Pipe pipe;
    char c;
    File read(&engine.service);
    read.pread(pipe.in, &c, 1, 0);
    read.begin();
    EXPECT_EQ(read.cancel(), 0);
    expect_canceled(&read);
    ASSERT_EQ(::write(pipe.out, "x", 1), 1);
    EXPECT_TRUE(read.run()) << "the byte is still there";
    EXPECT_EQ(read.res(), 1);
    EXPECT_EQ(c, 'x');
}

// The same, when the ring is sure to have it: the second read is answered behind it.
TEST(IOCancel, OneThatTheSystemHas) {
    IOEngine engine(IOM_URING);
    Pipe pipe;
    char c;
    TempFile file("abc");
    File read(&engine.service), others[2] = {File(&engine.service), File(&engine.service)};
    read.pread(pipe.in, &c, 1, 0);
    read.begin();
    for (File &other : others) { // by turns on both pollers
        other.pread(file.fd, &c, 1, 0);
        ASSERT_TRUE(other.run());
    }
    EXPECT_EQ(read.cancel(), 0);
    int again = read.cancel();
    EXPECT_TRUE(again == 0 || errno == ENOENT);
    expect_canceled(&read);
}

TEST(IOCancel, AThreadDoesNotLetGoButTheQueueDoes) {
    IOEngine engine(IOM_THREADS);
    Pipe pipe;
    char c[THREADS_MOST + 1];
    std::vector<std::unique_ptr<File>> busy;
    for (int i = 0; i < THREADS_MOST; i++) {
        busy.push_back(std::make_unique<File>(&engine.service));
        busy.back()->pread(pipe.in, &c[i], 1, 0);
        busy.back()->begin();
    }
    File waiting(&engine.service);
    waiting.pread(pipe.in, &c[THREADS_MOST], 1, 0);
    waiting.begin();
    EXPECT_EQ(waiting.cancel(), 0);
    expect_canceled(&waiting);
    // A byte for the first to read, and a request that is not the first in the queue any more when
    // that one has ended: a thread is at it.
    EXPECT_EQ(::write(pipe.out, std::string(THREADS_MOST, 'x').data(), THREADS_MOST), THREADS_MOST);
    for (auto &task : busy) {
        EXPECT_TRUE(task->wait());
        EXPECT_EQ(task->res(), 1);
        EXPECT_EQ(task->cancel(), -1);
    }
}

TEST(IOCancel, OneThatAThreadIsAt) {
    IOEngine engine(IOM_THREADS);
    Pipe first, second;
    char c[2];
    File one(&engine.service), two(&engine.service);
    one.pread(first.in, &c[0], 1, 0);
    one.begin();
    // Threads take from the front: when the write behind it was done, it was taken.
    two.pwrite(second.out, "x", 1, 0);
    EXPECT_TRUE(two.run());
    EXPECT_EQ(one.cancel(), -1);
    EXPECT_EQ(errno, ENOENT);
    ASSERT_EQ(::write(first.out, "y", 1), 1);
    EXPECT_TRUE(one.wait());
    EXPECT_EQ(one.res(), 1);
}

// Thousands wait for bytes of one pipe while one thread cancels them at random and another writes.
// Each ends once, and each byte is with exactly one that says so.
TEST_P(IOCancelTest, AtRandomWhileTheyComplete) {
    constexpr size_t COUNT = 4000;
    IOEngine narrow(GetParam(), 256); // so that some are in the system, and some in the queue
    Pipe pipe;
    std::vector<char> in(COUNT, 0);
    std::vector<std::unique_ptr<File>> tasks;
    for (size_t i = 0; i < COUNT; i++) {
        tasks.push_back(std::make_unique<File>(&narrow.service));
        tasks.back()->pread(pipe.in, &in[i], 1, 0);
        tasks.back()->begin();
    }
    std::thread writer([&]() {
        for (size_t i = 0; i < COUNT; i++) // what is left over stays in the pipe, and fits in
            EXPECT_EQ(::write(pipe.out, "x", 1), 1);
    });
    std::atomic<size_t> asked{0};
    std::thread canceler([&]() {
        std::mt19937 dice(7);
        for (size_t i = 0; i < COUNT / 2; i++)
            asked += tasks[dice() % COUNT]->cancel() == 0;
    });
    writer.join();
    canceler.join();
    size_t read = 0, canceled = 0;
    for (size_t i = 0; i < COUNT; i++) {
        ASSERT_TRUE(tasks[i]->wait());
        EXPECT_EQ(tasks[i]->ends, 1);
        if (tasks[i]->get_state() == IOS_STATE_SUCCESS) {
            EXPECT_EQ(tasks[i]->res(), 1);
            EXPECT_EQ(in[i], 'x');
            read++;
        } else {
            EXPECT_EQ(tasks[i]->get_error(), ECANCELED);
            EXPECT_EQ(in[i], 0);
            canceled++;
        }
    }
    EXPECT_EQ(read + canceled, COUNT);
    EXPECT_LE(canceled, asked.load());
    std::string rest(COUNT + 1, 0);
    ASSERT_EQ(fcntl(pipe.in, F_SETFL, O_NONBLOCK), 0);
    ssize_t left = ::read(pipe.in, rest.data(), rest.size());
    EXPECT_EQ(left < 0 ? 0u : static_cast<size_t>(left), canceled);
}

INSTANTIATE_TEST_SUITE_P(Kinds, IOCancelTest, testing::Values(IOM_URING, IOM_THREADS), kind_name);

// Makes io_uring_setup fail for this thread and those it starts, as a container may.
void refuse_uring(unsigned error) {
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    struct sock_fprog program = {4, filter};
    ASSERT_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    ASSERT_EQ(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0), 0);
}

struct Heard {
    std::mutex mutex;
    std::vector<std::pair<enum weft_log_level, std::string>> lines;
};

void hear(enum weft_log_level level, const char *text, void *context) {
    auto *heard = static_cast<Heard *>(context);
    std::lock_guard<std::mutex> lock(heard->mutex);
    if (strstr(text, "io_uring"))
        heard->lines.emplace_back(level, text);
}

TEST(IOFallback, ThreadsWhereTheSystemRefusesARing) {
    for (unsigned error : {ENOSYS, EPERM, ENOMEM}) {
        Heard heard;
        weft_set_log_hook(hear, &heard);
        weft_set_log_level(WEFT_LOG_INFO);
        std::thread([error]() {
            refuse_uring(error);
            TempFile file("abc");
            IOEngine engine(IOM_AUTO);
            char c[3];
            File task(&engine.service);
            for (long i = 0; i < 3; i++) {
                task.pread(file.fd, &c[i], 1, i);
                EXPECT_TRUE(task.run());
                EXPECT_EQ(task.res(), 1);
            }
            EXPECT_EQ(std::string(c, 3), "abc");
            EXPECT_STREQ(engine.service.get_backend(), "threads");
        }).join();
        weft_set_log_hook(nullptr, nullptr);
        weft_set_log_level(WEFT_LOG_WARN);
        ASSERT_EQ(heard.lines.size(), 1u) << "said once";
        EXPECT_EQ(heard.lines[0].first, WEFT_LOG_INFO);
        EXPECT_NE(heard.lines[0].second.find(strerror(static_cast<int>(error))), std::string::npos)
            << heard.lines[0].second;
    }
}

TEST(IOFallback, TheEnvironmentDecides) {
    TempFile file("abc");
    for (const char *kind : {"threads", "uring"}) {
        setenv("WEFT_FILE_IO", kind, 1);
        IOEngine engine(IOM_AUTO);
        char c;
        File task(&engine.service);
        task.pread(file.fd, &c, 1, 0);
        EXPECT_TRUE(task.run());
        EXPECT_STREQ(engine.service.get_backend(),
                     strcmp(kind, "uring") == 0 ? "io_uring" : "threads");
    }
    unsetenv("WEFT_FILE_IO");
}

TEST(IOFallback, ARingThatCannotDoAllWillNotDo) {
    std::vector<char> room(sizeof(struct io_uring_probe) + 64 * sizeof(struct io_uring_probe_op));
    auto *probe = reinterpret_cast<struct io_uring_probe *>(room.data());
    probe->ops_len = 64;
    for (int i = 0; i < 64; i++)
        probe->ops[i].flags = IO_URING_OP_SUPPORTED;
    EXPECT_TRUE(uring_suffices(UINT32_MAX, probe));
    EXPECT_FALSE(uring_suffices(UINT32_MAX & ~IORING_FEAT_NODROP, probe));
    EXPECT_FALSE(uring_suffices(0, probe));
    for (int op : {IORING_OP_READ, IORING_OP_WRITEV, IORING_OP_FSYNC, IORING_OP_ASYNC_CANCEL}) {
        probe->ops[op].flags = 0;
        EXPECT_FALSE(uring_suffices(UINT32_MAX, probe));
        probe->ops[op].flags = IO_URING_OP_SUPPORTED;
    }
    probe->ops_len = IORING_OP_READ; // an older system: it knows fewer
    EXPECT_FALSE(uring_suffices(UINT32_MAX, probe));
}

} // namespace
