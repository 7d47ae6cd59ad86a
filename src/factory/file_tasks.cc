// Weft - WFTaskFactory: file tasks, by descriptor and by path
// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <unistd.h>

#include "workflow/WFTaskFactory.h"
#include "workflow/detail/runtime.h"

using wf::detail::runtime_io_service;

static_assert(int{WFT_STATE_ABORTED} == IOS_STATE_STOPPED);

namespace {

class Pread : public WFFileIOTask {
public:
    Pread(int fd, void *buf, size_t count, off_t offset, fio_callback_t &&cb)
        : WFFileIOTask(runtime_io_service(), std::move(cb)) {
        args = {fd, buf, count, offset};
    }

protected:
    static constexpr int OPEN_FLAGS = O_RDONLY;

    int prepare() override {
        prep_pread(args.fd, args.buf, args.count, args.offset);
        return 0;
    }
};

class Pwrite : public WFFileIOTask {
public:
    Pwrite(int fd, const void *buf, size_t count, off_t offset, fio_callback_t &&cb)
        : WFFileIOTask(runtime_io_service(), std::move(cb)) {
        args = {fd, const_cast<void *>(buf), count, offset};
    }

protected:
    static constexpr int OPEN_FLAGS = O_WRONLY | O_CREAT;

    int prepare() override {
        prep_pwrite(args.fd, args.buf, args.count, args.offset);
        return 0;
    }
};

class Preadv : public WFFileVIOTask {
public:
    Preadv(int fd, const struct iovec *iov, int iovcnt, off_t offset, fvio_callback_t &&cb)
        : WFFileVIOTask(runtime_io_service(), std::move(cb)) {
        args = {fd, iov, iovcnt, offset};
    }

protected:
    static constexpr int OPEN_FLAGS = O_RDONLY;

    int prepare() override {
        prep_preadv(args.fd, args.iov, args.iovcnt, args.offset);
        return 0;
    }
};

class Pwritev : public WFFileVIOTask {
public:
    Pwritev(int fd, const struct iovec *iov, int iovcnt, off_t offset, fvio_callback_t &&cb)
        : WFFileVIOTask(runtime_io_service(), std::move(cb)) {
        args = {fd, iov, iovcnt, offset};
    }

protected:
    static constexpr int OPEN_FLAGS = O_WRONLY | O_CREAT;

    int prepare() override {
        prep_pwritev(args.fd, args.iov, args.iovcnt, args.offset);
        return 0;
    }
};

class Sync : public WFFileSyncTask {
public:
    Sync(int fd, bool data_only, fsync_callback_t &&cb)
        : WFFileSyncTask(runtime_io_service(), std::move(cb)), data_only_(data_only) {
        args.fd = fd;
    }

protected:
    int prepare() override {
        if (data_only_)
            prep_fdatasync(args.fd);
        else
            prep_fsync(args.fd);
        return 0;
    }

private:
    bool data_only_;
};

// The same on a file of its own, which is open from prepare() to done() only.
template <class TASK>
class ByPath final : public TASK {
public:
    template <class... ARGS>
    explicit ByPath(const std::string &path, ARGS &&...rest)
        : TASK(-1, std::forward<ARGS>(rest)...), path_(path) {}

private:
    int prepare() override {
        this->args.fd = open(path_.c_str(), TASK::OPEN_FLAGS | O_CLOEXEC, 0644);
        return this->args.fd < 0 ? -1 : TASK::prepare();
    }

    SubTask *done() override {
        if (this->args.fd >= 0)
            close(this->args.fd);
        this->args.fd = -1;
        return TASK::done();
    }

    std::string path_;
};

} // namespace

WFFileIOTask *WFTaskFactory::create_pread_task(int fd, void *buf, size_t count, off_t offset,
                                               fio_callback_t callback) {
    return new Pread(fd, buf, count, offset, std::move(callback));
}

WFFileIOTask *WFTaskFactory::create_pwrite_task(int fd, const void *buf, size_t count, off_t offset,
                                                fio_callback_t callback) {
    return new Pwrite(fd, buf, count, offset, std::move(callback));
}

WFFileVIOTask *WFTaskFactory::create_preadv_task(int fd, const struct iovec *iov, int iovcnt,
                                                 off_t offset, fvio_callback_t callback) {
    return new Preadv(fd, iov, iovcnt, offset, std::move(callback));
}

WFFileVIOTask *WFTaskFactory::create_pwritev_task(int fd, const struct iovec *iov, int iovcnt,
                                                  off_t offset, fvio_callback_t callback) {
    return new Pwritev(fd, iov, iovcnt, offset, std::move(callback));
}

WFFileSyncTask *WFTaskFactory::create_fsync_task(int fd, fsync_callback_t callback) {
    return new Sync(fd, false, std::move(callback));
}

WFFileSyncTask *WFTaskFactory::create_fdatasync_task(int fd, fsync_callback_t callback) {
    return new Sync(fd, true, std::move(callback));
}

WFFileIOTask *WFTaskFactory::create_pread_task(const std::string &path, void *buf, size_t count,
                                               off_t offset, fio_callback_t callback) {
    return new ByPath<Pread>(path, buf, count, offset, std::move(callback));
}

WFFileIOTask *WFTaskFactory::create_pwrite_task(const std::string &path, const void *buf,
                                                size_t count, off_t offset,
                                                fio_callback_t callback) {
    return new ByPath<Pwrite>(path, buf, count, offset, std::move(callback));
}

WFFileVIOTask *WFTaskFactory::create_preadv_task(const std::string &path, const struct iovec *iov,
                                                 int iovcnt, off_t offset,
                                                 fvio_callback_t callback) {
    return new ByPath<Preadv>(path, iov, iovcnt, offset, std::move(callback));
}

WFFileVIOTask *WFTaskFactory::create_pwritev_task(const std::string &path, const struct iovec *iov,
                                                  int iovcnt, off_t offset,
                                                  fvio_callback_t callback) {
    return new ByPath<Pwritev>(path, iov, iovcnt, offset, std::move(callback));
}
