// Weft public header, room: kernel - Executor: threads that run sessions of named queues, fairly
// SPDX-License-Identifier: Apache-2.0
#ifndef WEFT_EXECUTOR_H
#define WEFT_EXECUTOR_H

#include <condition_variable>
#include <mutex>
#include <stddef.h>
#include <vector>

#define ES_STATE_FINISHED 0
#define ES_STATE_ERROR    1
#define ES_STATE_CANCELED 2

class ExecSession;
class Executor;
class SubTask;

// A queue of sessions, first in, first out; costs no thread. Must outlive its sessions.
class ExecQueue {
public:
    int init();
    void deinit();

    ExecQueue()
        : first(NULL), last(NULL), next(NULL), most(0), running(0), priority(0), place(NOWHERE) {}
    virtual ~ExecQueue() {}

private:
    ExecSession *first; // under the executor's lock, like the rest
    ExecSession *last;
    ExecQueue *next; // in the executor's round, or in its list of held ones
    size_t most;     // so many of its sessions run at a time; 0: no limit
    size_t running;  // of those that were begun while there was a limit
    int priority;
    // In the round exactly when it has sessions that may run; held when it has some, and as many
    // run as may.
    enum { NOWHERE, ROUND, HELD } place;
    friend class Executor;
};

// A piece of computation.
class ExecSession {
private:
    // The work, on a thread of the executor.
    virtual void execute() = 0;
    // Follows on the same thread with ES_STATE_FINISHED, or comes with ES_STATE_CANCELED when it
    // will not be executed.
    virtual void handle(int state, int error) = 0;

protected:
    ExecQueue *get_queue() const { return this->queue; }
    // Of one that is a task: that, for those who trace.
    virtual const SubTask *get_task() const { return NULL; }

public:
    ExecSession() : queue(NULL), next(NULL) {}
    virtual ~ExecSession() {}

private:
    ExecQueue *queue;
    ExecSession *next;
    friend class Executor;
};

// Threads that take turns over the queues that have work, one session at a time, so that busy
// queues share the threads equally whatever their backlogs. Threads are made when first needed. Of
// queues of different priority the higher is served first; a queue with a limit is left out while
// so many of its sessions run.
class Executor {
public:
    int init(size_t nthreads);
    // Running sessions finish, those not begun get ES_STATE_CANCELED; then the threads are joined.
    void deinit();

    int request(ExecSession *session, ExecQueue *queue);
    // Takes back a session that has not begun: it is not executed, and gets no handle(). -1 with
    // EBUSY: it has begun.
    int withdraw(ExecSession *session, ExecQueue *queue);

    // Of a queue that is used with this executor, at any time; see wf/compute.h. 0 takes the limit
    // away.
    void set_queue_limit(ExecQueue *queue, size_t most);
    void set_queue_priority(ExecQueue *queue, int priority);

    int increase_thread();
    int decrease_thread();

    // Brackets a wait on one of this process's executor threads, so that the executor can grow
    // meanwhile. Answers 1 on such a thread, else 0.
    static int wait_begin();
    static void wait_end(int cookie);

    Executor()
        : round_first(NULL), round_last(NULL), held_first(NULL), limit(0), waiting(0), threads(0),
          idle(0), stopping(false) {}
    virtual ~Executor() {}

private:
    static void *run_thread(void *executor);
    void work();
    static void execute(ExecSession *session);
    ExecSession *take(std::unique_lock<std::mutex> *lock, bool *limited);
    void place_queue(ExecQueue *queue);
    void take_out(ExecQueue *queue);
    void enter_round(ExecQueue *queue);
    void left_limited(ExecQueue *queue);
    bool call_thread();
    bool start_thread();
    void cancel_all(std::unique_lock<std::mutex> *lock);

    std::mutex mutex;
    std::condition_variable work_cond;
    std::condition_variable end_cond;
    ExecQueue *round_first;
    ExecQueue *round_last;
    ExecQueue *held_first;
    size_t limit;
    size_t waiting; // threads in known waits
    size_t threads;
    size_t idle;
    bool stopping;
};

#endif
