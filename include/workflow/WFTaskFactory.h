// Weft public header, room: factory - WFTaskFactory: how programs make tasks
// SPDX-License-Identifier: Apache-2.0
//
// Factories never return NULL: bad input shows as state and error in the callback. A task is owned
// by the program until it is started or put in a series, and from then on by itself. Times are
// relative.
#ifndef WEFT_WFTASKFACTORY_H
#define WEFT_WFTASKFACTORY_H

#include <errno.h>
#include <functional>
#include <stddef.h>
#include <string>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <utility>

#include "EndpointParams.h"
#include "HttpMessage.h"
#include "RouteManager.h"
#include "URIParser.h"
#include "WFGraphTask.h"
#include "WFTask.h"
#include "WFTaskError.h"
#include "Workflow.h"
#ifdef WEFT_WORKFLOW_PACKAGE
#include "wf/tls.h" // the rules for TLS that such programs expect
#endif

using WFHttpTask = WFNetworkTask<protocol::HttpRequest, protocol::HttpResponse>;
using http_callback_t = std::function<void(WFHttpTask *)>;

// Of a file task: get_args() in its callback.
struct FileIOArgs {
    int fd;
    void *buf;
    size_t count;
    off_t offset;
};

struct FileVIOArgs {
    int fd;
    const struct iovec *iov;
    int iovcnt;
    off_t offset;
};

struct FileSyncArgs {
    int fd;
};

using WFFileIOTask = WFFileTask<struct FileIOArgs>;
using fio_callback_t = std::function<void(WFFileIOTask *)>;
using WFFileVIOTask = WFFileTask<struct FileVIOArgs>;
using fvio_callback_t = std::function<void(WFFileVIOTask *)>;
using WFFileSyncTask = WFFileTask<struct FileSyncArgs>;
using fsync_callback_t = std::function<void(WFFileSyncTask *)>;

using timer_callback_t = std::function<void(WFTimerTask *)>;
using counter_callback_t = std::function<void(WFCounterTask *)>;
using mailbox_callback_t = std::function<void(WFMailboxTask *)>;
using selector_callback_t = std::function<void(WFSelectorTask *)>;
using repeated_create_t = std::function<SubTask *(WFRepeaterTask *)>;
using repeater_callback_t = std::function<void(WFRepeaterTask *)>;
using module_callback_t = std::function<void(const WFModuleTask *)>;
using graph_callback_t = std::function<void(WFGraphTask *)>;

using WFEmptyTask = WFGenericTask;
using WFDynamicTask = WFGenericTask;
using dynamic_create_t = std::function<SubTask *(WFDynamicTask *)>;

class WFTaskFactory {
public:
    // An HTTP request. Method GET, HTTP/1.1, the url's path, Host, and Basic authorization from its
    // user info are set and may be changed before the start. Connections are kept alive for 60 s.
    // Redirects are followed up to redirect_max times; what fails with WFT_STATE_SYS_ERROR is tried
    // again up to retry_max times.
    static WFHttpTask *create_http_task(const std::string &url, int redirect_max, int retry_max,
                                        http_callback_t callback);
    static WFHttpTask *create_http_task(const ParsedURI &uri, int redirect_max, int retry_max,
                                        http_callback_t callback);

    // Reads and writes files. Buffers, vectors and descriptors are borrowed until the callback,
    // which runs on a worker; get_retval() is how much was moved, and less than asked for is a
    // success, 0 the end of the file. What can be told at once (EBADF, EINVAL, ENOENT of a path) is
    // told by the callback inside start(). An offset of -1 is the descriptor's own position, which
    // then moves; pipes and sockets have none. See docs/about-files.md.
    static WFFileIOTask *create_pread_task(int fd, void *buf, size_t count, off_t offset,
                                           fio_callback_t callback);
    static WFFileIOTask *create_pwrite_task(int fd, const void *buf, size_t count, off_t offset,
                                            fio_callback_t callback);
    static WFFileVIOTask *create_preadv_task(int fd, const struct iovec *iov, int iovcnt,
                                             off_t offset, fvio_callback_t callback);
    static WFFileVIOTask *create_pwritev_task(int fd, const struct iovec *iov, int iovcnt,
                                              off_t offset, fvio_callback_t callback);
    // What was written is on its device; of the second, without what is not needed to read it.
    // get_retval() is 0.
    static WFFileSyncTask *create_fsync_task(int fd, fsync_callback_t callback);
    static WFFileSyncTask *create_fdatasync_task(int fd, fsync_callback_t callback);
    // The same by name. The file is opened when the task begins, on that thread, and closed before
    // the callback, where the descriptor in get_args() is -1. One that is written to is made if
    // need be, with mode 0644, and not shortened.
    static WFFileIOTask *create_pread_task(const std::string &path, void *buf, size_t count,
                                           off_t offset, fio_callback_t callback);
    static WFFileIOTask *create_pwrite_task(const std::string &path, const void *buf, size_t count,
                                            off_t offset, fio_callback_t callback);
    static WFFileVIOTask *create_preadv_task(const std::string &path, const struct iovec *iov,
                                             int iovcnt, off_t offset, fvio_callback_t callback);
    static WFFileVIOTask *create_pwritev_task(const std::string &path, const struct iovec *iov,
                                              int iovcnt, off_t offset, fvio_callback_t callback);

    // A timer. nanoseconds outside [0, 1e9): WFT_STATE_SYS_ERROR, EINVAL; seconds < 0: until
    // canceled. The callback runs on a worker.
    static WFTimerTask *create_timer_task(time_t seconds, long nanoseconds,
                                          timer_callback_t callback);
    static WFTimerTask *create_timer_task(const std::string &timer_name, time_t seconds,
                                          long nanoseconds, timer_callback_t callback);
    // Canceled at its start: its callback runs on a worker at once.
    static WFTimerTask *create_timer_task(timer_callback_t callback);
    static WFTimerTask *create_timer_task(unsigned int microseconds, timer_callback_t callback);

    // Cancels the timers of that name, oldest first, at most `max`. Returns how many; their
    // callbacks follow with WFT_STATE_SYS_ERROR, ECANCELED.
    static int cancel_by_name(const std::string &timer_name) {
        return cancel_by_name(timer_name, (size_t)-1);
    }
    static int cancel_by_name(const std::string &timer_name, size_t max);

    // Ends when it was counted `target_value` times (and started).
    static WFCounterTask *create_counter_task(unsigned int target_value,
                                              counter_callback_t callback) {
        return new WFCounterTask(target_value, std::move(callback));
    }
    static WFCounterTask *create_counter_task(const std::string &counter_name,
                                              unsigned int target_value,
                                              counter_callback_t callback);
    // Counts the counters of that name, oldest first. Returns how many reached their target.
    static int count_by_name(const std::string &counter_name) {
        return count_by_name(counter_name, 1);
    }
    static int count_by_name(const std::string &counter_name, unsigned int n);

    // A computation: `func` with `args`, bound as std::bind does. Tasks of one queue name share the
    // compute threads fairly with those of others. func may be nullptr until reset_go_task() sets
    // one.
    template <class FUNC, class... ARGS>
    static WFGoTask *create_go_task(const std::string &queue_name, FUNC &&func, ARGS &&...args);
    template <class FUNC, class... ARGS>
    static WFGoTask *create_go_task(ExecQueue *queue, Executor *executor, FUNC &&func,
                                    ARGS &&...args);
    // The same with a limit on its time from the start: WFT_STATE_SYS_ERROR, ETIMEDOUT; the
    // function goes on.
    template <class FUNC, class... ARGS>
    static WFGoTask *create_timedgo_task(time_t seconds, long nanoseconds,
                                         const std::string &queue_name, FUNC &&func,
                                         ARGS &&...args);
    template <class FUNC, class... ARGS>
    static WFGoTask *create_timedgo_task(time_t seconds, long nanoseconds, ExecQueue *queue,
                                         Executor *executor, FUNC &&func, ARGS &&...args);
    template <class FUNC, class... ARGS>
    static void reset_go_task(WFGoTask *task, FUNC &&func, ARGS &&...args);

    static WFGraphTask *create_graph_task(graph_callback_t callback) {
        return new WFGraphTask(std::move(callback));
    }

    static WFEmptyTask *create_empty_task() { return new WFEmptyTask; }

    // Ends when it was sent a message, which it writes to *mailbox (or to its user_data).
    static WFMailboxTask *create_mailbox_task(void **mailbox, mailbox_callback_t callback) {
        return new WFMailboxTask(mailbox, std::move(callback));
    }
    static WFMailboxTask *create_mailbox_task(mailbox_callback_t callback) {
        return new WFMailboxTask(std::move(callback));
    }
    // The same, to be reached by name until it has got its message, by send() too, or is deleted.
    static WFMailboxTask *create_mailbox_task(const std::string &mailbox_name, void **mailbox,
                                              mailbox_callback_t callback);
    static WFMailboxTask *create_mailbox_task(const std::string &mailbox_name,
                                              mailbox_callback_t callback);

    // Sends to all mailboxes of that name, or to the `max` oldest, and returns to how many; where
    // there is none the message is lost. Those that were started end within this call. The third
    // form gives msg[i] to the i-th oldest.
    static int send_by_name(const std::string &mailbox_name, void *msg) {
        return send_by_name(mailbox_name, msg, (size_t)-1);
    }
    static int send_by_name(const std::string &mailbox_name, void *msg, size_t max);
    template <typename T>
    static int send_by_name(const std::string &mailbox_name, T *const msg[], size_t max);

    // Ends with the first of `candidates` messages that is not NULL.
    static WFSelectorTask *create_selector_task(size_t candidates, selector_callback_t callback) {
        return new WFSelectorTask(candidates, std::move(callback));
    }

    // Holds `task` back until it is signalled.
    static WFConditional *create_conditional(SubTask *task, void **msgbuf) {
        return new WFConditional(task, msgbuf);
    }
    static WFConditional *create_conditional(SubTask *task) { return new WFConditional(task); }
    // The same, to be reached by name until it was signalled, by signal() too, or is deleted.
    static WFConditional *create_conditional(const std::string &cond_name, SubTask *task,
                                             void **msgbuf);
    static WFConditional *create_conditional(const std::string &cond_name, SubTask *task);

    // Signals all conditionals of that name, or the `max` oldest, and returns how many. The tasks
    // of those that were started run within this call. The third form gives msg[i] to the i-th
    // oldest.
    static int signal_by_name(const std::string &cond_name, void *msg) {
        return signal_by_name(cond_name, msg, (size_t)-1);
    }
    static int signal_by_name(const std::string &cond_name, void *msg, size_t max);
    template <typename T>
    static int signal_by_name(const std::string &cond_name, T *const msg[], size_t max);

    // Lets `task` run when it holds the resource of that name. The guard asks for it when it is
    // started, and those that wait get it in that order, each with a message from the one before
    // in *msgbuf; who finds the resource free gets NULL. It is held until release_guard(), which
    // the program must call once for each task that has run. A guard that is dismissed, or whose
    // series was canceled before its turn, does not hold it. Its signal() does nothing.
    static WFConditional *create_guard(const std::string &resource_name, SubTask *task);
    static WFConditional *create_guard(const std::string &resource_name, SubTask *task,
                                       void **msgbuf);

    // Gives the resource, and msg, to the guard that has waited longest. 1 when there was one, else
    // 0, also when nobody holds the resource. The task of that guard runs within this call, or
    // rather, with the safe one, on a worker.
    static int release_guard(const std::string &resource_name, void *msg);
    static int release_guard_safe(const std::string &resource_name, void *msg);

    // Runs what create(task) makes, again and again, until it makes NULL.
    static WFRepeaterTask *create_repeater_task(repeated_create_t create,
                                                repeater_callback_t callback) {
        return new WFRepeaterTask(std::move(create), std::move(callback));
    }

    // A series as one task.
    static WFModuleTask *create_module_task(SubTask *first, module_callback_t callback) {
        return new WFModuleTask(first, std::move(callback));
    }
    static WFModuleTask *create_module_task(SubTask *first, SubTask *last,
                                            module_callback_t callback) {
        WFModuleTask *task = new WFModuleTask(first, std::move(callback));
        task->sub_series()->set_last_task(last);
        return task;
    }

    // At its turn calls create(task), and what it returns runs next.
    static WFDynamicTask *create_dynamic_task(dynamic_create_t create);
};

// Tasks of any protocol made of two message classes.
template <class REQ, class RESP>
class WFNetworkTaskFactory {
private:
    using T = WFNetworkTask<REQ, RESP>;

public:
    static T *create_client_task(enum TransportType type, const std::string &host,
                                 unsigned short port, int retry_max,
                                 std::function<void(T *)> callback);
    static T *create_client_task(enum TransportType type, const std::string &url, int retry_max,
                                 std::function<void(T *)> callback);
    static T *create_client_task(enum TransportType type, const ParsedURI &uri, int retry_max,
                                 std::function<void(T *)> callback);
    static T *create_client_task(enum TransportType type, const struct sockaddr *addr,
                                 socklen_t addrlen, int retry_max,
                                 std::function<void(T *)> callback);
    static T *create_client_task(enum TransportType type, struct sockaddr *addr, socklen_t addrlen,
                                 SSL_CTX *ssl_ctx, int retry_max,
                                 std::function<void(T *)> callback);

    static T *create_server_task(CommService *service, std::function<void(T *)> &process);
};

// Computations with typed input and output.
template <class INPUT, class OUTPUT>
class WFThreadTaskFactory {
private:
    using T = WFThreadTask<INPUT, OUTPUT>;

public:
    static T *create_thread_task(const std::string &queue_name,
                                 std::function<void(INPUT *, OUTPUT *)> routine,
                                 std::function<void(T *)> callback);
    static T *create_thread_task(time_t seconds, long nanoseconds, const std::string &queue_name,
                                 std::function<void(INPUT *, OUTPUT *)> routine,
                                 std::function<void(T *)> callback);
    static T *create_thread_task(ExecQueue *queue, Executor *executor,
                                 std::function<void(INPUT *, OUTPUT *)> routine,
                                 std::function<void(T *)> callback);
    static T *create_thread_task(time_t seconds, long nanoseconds, ExecQueue *queue,
                                 Executor *executor, std::function<void(INPUT *, OUTPUT *)> routine,
                                 std::function<void(T *)> callback);
};

#include "WFTaskFactory.inl"

#endif
