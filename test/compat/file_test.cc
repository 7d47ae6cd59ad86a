// Weft - compat: file tasks, by descriptor and by path, and the futures of WFFacilities
// SPDX-License-Identifier: Apache-2.0
//
// Rows 52 to 54 of the behaviour table. Each group runs by io_uring and by threads: see
// CMakeLists.txt, which sets WEFT_FILE_IO.

#include <gtest/gtest.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <memory>

#include "workflow/WFFacilities.h"
#include "workflow/WFGlobal.h"
#include "workflow/WFTaskFactory.h"
#include "workflow/Workflow.h"

#include "support.h"

using compat::Event;

namespace {

// A directory of the test's own, empty again at its end.
class FileTest : public testing::Test {
protected:
    void SetUp() override {
        char name[] = "/tmp/weft_file_XXXXXX";
        ASSERT_NE(nullptr, mkdtemp(name));
        directory = name;
        path = directory + "/file";
    }
    void TearDown() override {
        unlink(path.c_str());
        rmdir(directory.c_str());
    }
    void write_file(const std::string &content) {
        int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
        ASSERT_GE(fd, 0);
        ASSERT_EQ((ssize_t)content.size(), write(fd, content.data(), content.size()));
        close(fd);
    }
    std::string read_file() {
        char text[4096];
        int fd = open(path.c_str(), O_RDONLY);
        ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof text);
        close(fd);
        return std::string(text, (size_t)n);
    }

    std::string directory;
    std::string path;
};

int descriptors() {
    int n = 0;
    DIR *dir = opendir("/proc/self/fd");
    while (struct dirent *entry = readdir(dir))
        n += entry->d_name[0] != '.';
    closedir(dir);
    return n;
}

TEST_F(FileTest, TheKindThatWasAskedFor) {
    char c;
    write_file("a");
    int fd = open(path.c_str(), O_RDONLY);
    EXPECT_EQ(1, WFFacilities::async_pread(fd, &c, 1, 0).get());
    close(fd);
    std::string asked = getenv("WEFT_FILE_IO") ? getenv("WEFT_FILE_IO") : "";
    std::string backend = WFGlobal::get_io_service()->get_backend();
    if (!asked.empty()) {
        EXPECT_EQ(asked == "uring" ? "io_uring" : "threads", backend);
    }
}

// Row 52: the callback is run on a handler.
TEST_F(FileTest, Row52OnAHandler) {
    Event done;
    char buf[16];
    write_file("hello");
    int fd = open(path.c_str(), O_RDONLY);
    WFFileIOTask *task =
        WFTaskFactory::create_pread_task(fd, buf, sizeof buf, 1, [&](WFFileIOTask *t) {
            EXPECT_EQ(WFT_STATE_SUCCESS, t->get_state());
            EXPECT_EQ(0, t->get_error());
            EXPECT_EQ(4, t->get_retval());
            EXPECT_EQ(fd, t->get_args()->fd);
            EXPECT_EQ((void *)buf, t->get_args()->buf);
            EXPECT_EQ(sizeof buf, t->get_args()->count);
            EXPECT_EQ(1, t->get_args()->offset);
            EXPECT_EQ((void *)&done, t->user_data);
            EXPECT_EQ(1, WFGlobal::get_scheduler()->is_handler_thread());
            done.set();
        });
    EXPECT_EQ(WFT_STATE_UNDEFINED, task->get_state());
    EXPECT_EQ(-1, task->get_retval());
    task->user_data = &done;
    task->start();
    ASSERT_TRUE(done.wait());
    EXPECT_EQ("ello", std::string(buf, 4));
    close(fd);
}

// Row 52: what cannot be submitted ends inside start(), on the caller.
TEST_F(FileTest, Row52SubmitErrorsInsideStart) {
    std::thread::id caller = std::this_thread::get_id();
    int calls = 0;
    char c;
    struct iovec one = {&c, 1};
    int expected = EBADF;
    auto check = [&](int state, int error, long retval) {
        EXPECT_EQ(caller, std::this_thread::get_id());
        EXPECT_EQ(WFT_STATE_SYS_ERROR, state);
        EXPECT_EQ(expected, error);
        EXPECT_EQ(-1, retval);
        calls++;
    };
    auto io = [&](WFFileIOTask *t) {
        check(t->get_state(), t->get_error(), t->get_retval());
        EXPECT_EQ(-1, t->get_args()->fd);
    };
    auto vio = [&](WFFileVIOTask *t) {
        check(t->get_state(), t->get_error(), t->get_retval());
        EXPECT_EQ(-1, t->get_args()->fd);
    };
    auto sync = [&](WFFileSyncTask *t) { check(t->get_state(), t->get_error(), t->get_retval()); };
    WFTaskFactory::create_pread_task(-1, &c, 1, 0, io)->start();
    EXPECT_EQ(1, calls);
    WFTaskFactory::create_pwrite_task(-1, &c, 1, 0, io)->start();
    WFTaskFactory::create_preadv_task(-1, &one, 1, 0, vio)->start();
    WFTaskFactory::create_pwritev_task(-1, &one, 1, 0, vio)->start();
    WFTaskFactory::create_fsync_task(-1, sync)->start();
    WFTaskFactory::create_fdatasync_task(-1, sync)->start();
    EXPECT_EQ(6, calls);
    expected = ENOENT;
    std::string missing = directory + "/none/file";
    WFTaskFactory::create_pread_task(missing, &c, 1, 0, io)->start();
    WFTaskFactory::create_pwrite_task(missing, &c, 1, 0, io)->start();
    WFTaskFactory::create_preadv_task(missing, &one, 1, 0, vio)->start();
    WFTaskFactory::create_pwritev_task(missing, &one, 1, 0, vio)->start();
    EXPECT_EQ(10, calls);
    expected = EISDIR;
    WFTaskFactory::create_pwrite_task(directory, &c, 1, 0, io)->start();
    EXPECT_EQ(11, calls);
}

// Row 52, by the numbers that compiled programs know: 1, EBADF.
TEST_F(FileTest, Row52Numbers) {
    char c;
    WFTaskFactory::create_pread_task(-1, &c, 1, 0, [](WFFileIOTask *t) {
        EXPECT_EQ(1, t->get_state());
        EXPECT_EQ(9, t->get_error());
    })->start();
}

// Row 53: a path is opened when the task begins, and closed before the callback.
TEST_F(FileTest, Row53PathsAreOpenedLateAndClosedEarly) {
    Event done;
    char buf[16];
    int before = 0, inside = 0;
    WFFileIOTask *read =
        WFTaskFactory::create_pread_task(path, buf, sizeof buf, 0, [&](WFFileIOTask *t) {
            EXPECT_EQ(WFT_STATE_SUCCESS, t->get_state());
            EXPECT_EQ(5, t->get_retval());
            EXPECT_EQ(-1, t->get_args()->fd);
            inside = descriptors();
            done.set();
        });
    // The file is there only from the first task of the series on.
    WFTimerTask *maker = WFTaskFactory::create_timer_task(0, 0, [&](WFTimerTask *) {
        write_file("12345");
        char c; // opens what the engine keeps
        int fd = open(path.c_str(), O_RDONLY);
        WFFacilities::async_pread(fd, &c, 1, 0).get();
        close(fd);
        before = descriptors();
    });
    SeriesWork *series = Workflow::create_series_work(maker, nullptr);
    series->push_back(read);
    series->start();
    ASSERT_TRUE(done.wait());
    EXPECT_EQ(before, inside);
    EXPECT_EQ("12345", std::string(buf, 5));
}

// Writing makes the file, with mode 0644, and does not shorten it.
TEST_F(FileTest, Row53WritingMakesTheFileAndKeepsTheRest) {
    mode_t mask = umask(0);
    Event done;
    char hello[] = "hello", world[] = "WORLD";
    struct iovec two[] = {{world, 2}, {world + 2, 3}};
    WFTaskFactory::create_pwrite_task(path, hello, 5, 3, [&](WFFileIOTask *t) {
        EXPECT_EQ(WFT_STATE_SUCCESS, t->get_state());
        EXPECT_EQ(5, t->get_retval());
        EXPECT_EQ(-1, t->get_args()->fd);
        done.set();
    })->start();
    ASSERT_TRUE(done.wait());
    umask(mask);
    struct stat info;
    ASSERT_EQ(0, stat(path.c_str(), &info));
    EXPECT_EQ(0644u, info.st_mode & 07777u);
    EXPECT_EQ(std::string("\0\0\0hello", 8), read_file());
    WFTaskFactory::create_pwritev_task(path, two, 2, 1, [&](WFFileVIOTask *t) {
        EXPECT_EQ(5, t->get_retval());
        EXPECT_EQ(-1, t->get_args()->fd);
        done.set();
    })->start();
    ASSERT_TRUE(done.wait(2));
    EXPECT_EQ(std::string("\0WORLDlo", 8), read_file());
    char in[8];
    struct iovec back[] = {{in, 1}, {in + 1, 7}};
    WFTaskFactory::create_preadv_task(path, back, 2, 0, [&](WFFileVIOTask *t) {
        EXPECT_EQ(8, t->get_retval());
        EXPECT_EQ(-1, t->get_args()->fd);
        done.set();
    })->start();
    ASSERT_TRUE(done.wait(3));
    EXPECT_EQ(std::string("\0WORLDlo", 8), std::string(in, 8));
}

// A directory can be opened for reading, but not read.
TEST_F(FileTest, Row53ADirectoryIsNotRead) {
    Event done;
    char c;
    WFTaskFactory::create_pread_task(directory, &c, 1, 0, [&](WFFileIOTask *t) {
        EXPECT_EQ(WFT_STATE_SYS_ERROR, t->get_state());
        EXPECT_EQ(EISDIR, t->get_error());
        EXPECT_EQ(-1, t->get_retval());
        EXPECT_EQ(-1, t->get_args()->fd);
        done.set();
    })->start();
    ASSERT_TRUE(done.wait());
}

TEST_F(FileTest, AFullDeviceIsNoSpace) {
    Event done;
    WFTaskFactory::create_pwrite_task("/dev/full", "x", 1, 0, [&](WFFileIOTask *t) {
        EXPECT_EQ(WFT_STATE_SYS_ERROR, t->get_state());
        EXPECT_EQ(ENOSPC, t->get_error());
        EXPECT_EQ(-1, t->get_retval());
        done.set();
    })->start();
    ASSERT_TRUE(done.wait());
}

// Row 54: fewer bytes than asked for are a success, and so is the end of the file.
TEST_F(FileTest, Row54ShortReadsAreSuccess) {
    Event done;
    char buf[100];
    write_file("0123456789");
    int ended = 0;
    for (off_t offset : {0, 5, 10, 11}) {
        WFTaskFactory::create_pread_task(path, buf, sizeof buf, offset, [&](WFFileIOTask *t) {
            EXPECT_EQ(WFT_STATE_SUCCESS, t->get_state());
            EXPECT_EQ(0, t->get_error());
            EXPECT_EQ(offset < 10 ? 10 - offset : 0, t->get_retval());
            done.set();
        })->start();
        ASSERT_TRUE(done.wait(++ended));
    }
}

// Row 54: a sync answers 0.
TEST_F(FileTest, Row54SyncsAnswerZero) {
    Event done;
    write_file("x");
    int fd = open(path.c_str(), O_RDWR);
    auto check = [&](WFFileSyncTask *t) {
        EXPECT_EQ(WFT_STATE_SUCCESS, t->get_state());
        EXPECT_EQ(0, t->get_retval());
        EXPECT_EQ(fd, t->get_args()->fd);
        done.set();
    };
    WFTaskFactory::create_fsync_task(fd, check)->start();
    WFTaskFactory::create_fdatasync_task(fd, check)->start();
    ASSERT_TRUE(done.wait(2));
    close(fd);
}

TEST_F(FileTest, WithoutACallback) {
    Event done;
    static char unseen; // its read may outlive the test
    char c;
    write_file("x");
    WFTaskFactory::create_pread_task(path, &unseen, 1, 0, nullptr)->start();
    WFFileIOTask *task = WFTaskFactory::create_pread_task(path, &c, 1, 0, nullptr);
    task->set_callback([&](WFFileIOTask *) { done.set(); });
    task->start();
    ASSERT_TRUE(done.wait());
}

// The sanitizers judge the leaks. Nothing is opened for a task that never begins.
TEST_F(FileTest, DismissedAndCanceledOnesLeaveNothing) {
    char c;
    WFTaskFactory::create_pwrite_task(path, "x", 1, 0, nullptr)->dismiss();
    WFTaskFactory::create_fsync_task(-1, nullptr)->dismiss();
    Event done;
    SeriesWork *series = Workflow::create_series_work(
        WFTaskFactory::create_timer_task(0, 0, [](WFTimerTask *t) { series_of(t)->cancel(); }),
        [&](const SeriesWork *) { done.set(); });
    series->push_back(WFTaskFactory::create_pwrite_task(path, "x", 1, 0, nullptr));
    series->push_back(WFTaskFactory::create_pread_task(path, &c, 1, 0, nullptr));
    series->start();
    ASSERT_TRUE(done.wait());
    EXPECT_NE(0, access(path.c_str(), F_OK));
}

// A series copies a file: read, write, sync, and the length is right in the end.
TEST_F(FileTest, InASeries) {
    Event done;
    char buf[64];
    write_file("copy me");
    std::string copy = directory + "/copy";
    SeriesWork *series = Workflow::create_series_work(
        WFTaskFactory::create_pread_task(
            path, buf, sizeof buf, 0,
            [&](WFFileIOTask *t) {
                series_of(t)->push_back(WFTaskFactory::create_pwrite_task(
                    copy, buf, (size_t)t->get_retval(), 0, nullptr));
            }),
        [&](const SeriesWork *) { done.set(); });
    series->start();
    ASSERT_TRUE(done.wait());
    ASSERT_EQ(0, rename(copy.c_str(), path.c_str()));
    EXPECT_EQ("copy me", read_file());
}

// cancel(): of one that waits behind others. On both kinds at least one of these can be ended, by
// the ring or in the queue; the rest is let go by bytes.
TEST_F(FileTest, CancelEndsOneThatWaits) {
    const int COUNT = 40;
    int ends[2];
    char in[COUNT];
    Event done;
    std::atomic<int> canceled(0);
    ASSERT_EQ(0, pipe(ends));
    WFFileIOTask *last = nullptr;
    for (int i = 0; i < COUNT; i++) {
        last = WFTaskFactory::create_pread_task(ends[0], &in[i], 1, 0, [&](WFFileIOTask *t) {
            if (t->get_state() == WFT_STATE_SYS_ERROR) {
                EXPECT_EQ(ECANCELED, t->get_error());
                EXPECT_EQ(-1, t->get_retval());
                canceled++;
            } else {
                EXPECT_EQ(1, t->get_retval());
            }
            done.set();
        });
        last->start();
    }
    EXPECT_EQ(0, last->cancel());
    ASSERT_TRUE(done.wait());
    EXPECT_EQ(1, canceled);
    std::string bytes(COUNT - 1, 'x');
    ASSERT_EQ((ssize_t)bytes.size(), write(ends[1], bytes.data(), bytes.size()));
    ASSERT_TRUE(done.wait(COUNT));
    EXPECT_EQ(1, canceled);
    close(ends[0]);
    close(ends[1]);
}

TEST_F(FileTest, CancelBeforeTheStartIsTooEarly) {
    char c;
    WFFileIOTask *task = WFTaskFactory::create_pread_task(path, &c, 1, 0, nullptr);
    EXPECT_EQ(-1, task->cancel());
    EXPECT_EQ(ENOENT, errno);
    task->dismiss();
}

TEST_F(FileTest, Futures) {
    int fd = open(path.c_str(), O_RDWR | O_CREAT, 0600);
    char in[8] = {};
    char a[] = "abc", b[] = "de";
    struct iovec out[] = {{a, 3}, {b, 2}};
    struct iovec back[] = {{in, 4}, {in + 4, 4}};
    EXPECT_EQ(5, WFFacilities::async_pwritev(fd, out, 2, 0).get());
    EXPECT_EQ(1, WFFacilities::async_pwrite(fd, "X", 1, 1).get());
    EXPECT_EQ(0, WFFacilities::async_fsync(fd).get());
    EXPECT_EQ(0, WFFacilities::async_fdatasync(fd).get());
    EXPECT_EQ(5, WFFacilities::async_preadv(fd, back, 2, 0).get());
    EXPECT_STREQ("aXcde", in);
    EXPECT_EQ(2, WFFacilities::async_pread(fd, in, 8, 3).get());
    EXPECT_EQ('d', in[0]);
    close(fd);
    EXPECT_EQ(-1, WFFacilities::async_pread(-1, in, 8, 3).get());
    EXPECT_EQ(-1, WFFacilities::async_pwritev(-1, out, 2, 3).get());
    EXPECT_EQ(-1, WFFacilities::async_fsync(-1).get());
}

// A callback may wait for another file task's future: rows 52 and 125.
TEST_F(FileTest, FuturesInCallbacks) {
    const int COUNT = 50;
    Event done;
    write_file("0123456789");
    std::vector<char> in(COUNT);
    for (int i = 0; i < COUNT; i++) {
        WFTaskFactory::create_pread_task(path, &in[(size_t)i], 1, i % 10, [&](WFFileIOTask *) {
            char c;
            int fd = open(path.c_str(), O_RDONLY);
            EXPECT_EQ(1, WFFacilities::async_pread(fd, &c, 1, 9).get());
            EXPECT_EQ('9', c);
            close(fd);
            done.set();
        })->start();
    }
    ASSERT_TRUE(done.wait(COUNT));
    for (int i = 0; i < COUNT; i++)
        EXPECT_EQ('0' + i % 10, in[(size_t)i]);
}

// A task of a program's own, on the old names: it inherits IORequest, and says what it wants.
class OwnRequest : public IORequest {
public:
    OwnRequest(int fd_in, Event *event_in)
        : IORequest(WFGlobal::get_io_service()), fd(fd_in), event(event_in) {}
    char buf[4];
    int fd;
    Event *event;
    int result[3];

private:
    int prepare() override {
        this->prep_pread(this->fd, this->buf, 4, 2);
        return 0;
    }
    SubTask *done() override {
        this->result[0] = this->state;
        this->result[1] = this->error;
        this->result[2] = (int)this->get_res();
        SubTask *next = series_of(this)->pop();
        this->event->set();
        return next;
    }
};

TEST_F(FileTest, RequestsOfAProgramsOwn) {
    Event done;
    write_file("0123456789");
    int fd = open(path.c_str(), O_RDONLY);
    OwnRequest own(fd, &done);
    Workflow::start_series_work(&own, nullptr);
    ASSERT_TRUE(done.wait());
    EXPECT_EQ(IOS_STATE_SUCCESS, own.result[0]);
    EXPECT_EQ(0, own.result[1]);
    EXPECT_EQ(4, own.result[2]);
    EXPECT_EQ("2345", std::string(own.buf, 4));
    close(fd);
}

} // namespace
