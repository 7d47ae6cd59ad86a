// Weft public header, room: task - WFResourcePool: a fixed number of resources that tasks borrow
// SPDX-License-Identifier: Apache-2.0
//
// The way to keep at most n of something under way: get(task) makes a conditional whose task runs
// when it was given a resource, and post() gives the resource back, once for each task that has
// run. Who waits is served in the order of the starts (of the conditionals, not of the get()
// calls). What was posted last is given out first.
//
// All functions may be called on any thread. The pool must live as long as tasks wait for it or
// hold something of it. Resources are pointers that the pool never looks at; it does not own them.
#ifndef WEFT_WFRESOURCEPOOL_H
#define WEFT_WFRESOURCEPOOL_H

#include <mutex>
#include <stddef.h>

#include "WFTask.h"
#include "list.h"

class WFResourcePool {
public:
    // A conditional that, once started, waits for a resource, writes it to *resbuf, and then lets
    // `task` run, right behind it in its series. It owns the task. A conditional that is dismissed,
    // or whose series was canceled before its turn, takes no resource. Its signal() does nothing.
    WFConditional *get(SubTask *task, void **resbuf);
    // The same for those who need to know only that they may run.
    WFConditional *get(SubTask *task);

    // Gives a resource back. If a task waits, it is given the resource and runs within this call.
    // More than the pool was made with is a mistake that ends the process with a message.
    void post(void *res);

    // For derived pools. All of it is under the mutex.
    struct Data {
        void *pop() { return this->pool->pop(); }
        void push(void *resource) { this->pool->push(resource); }

        void **res;   // those that are there stand at the end
        long value;   // how many are there; below zero, how many tasks wait
        size_t index; // of the first that is there
        struct list_head wait_list;
        std::mutex mutex;
        WFResourcePool *pool;
    };

protected:
    // How resources are kept; a derived pool may have another order. Called with the mutex held, so
    // they must not block nor call the pool. pop() is called only when something was pushed, or
    // was there from the beginning, that is still there.
    virtual void *pop();
    virtual void push(void *res);

    struct Data data;

private:
    void create(size_t n);

    size_t room_;

public:
    // n resources, given out in this order at first. The array is copied.
    WFResourcePool(void *const *res, size_t n);
    // n resources that are all NULL: only their number counts.
    WFResourcePool(size_t n);
    virtual ~WFResourcePool();

    WFResourcePool(const WFResourcePool &) = delete;
    WFResourcePool &operator=(const WFResourcePool &) = delete;
};

#endif
