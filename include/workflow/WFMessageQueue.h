// Weft public header, room: task - WFMessageQueue: messages that tasks wait for, first in, first out
// SPDX-License-Identifier: Apache-2.0
//
// post() puts a message in, and never waits: the queue has no limit. get(task) makes a conditional
// whose task runs when it was given a message. Who waits is served in the order of the starts (of
// the conditionals, not of the get() calls). Each message is given to one task.
//
// All functions may be called on any thread. The queue must live as long as tasks wait for it.
// Messages are pointers that the queue never looks at; it does not own them, not even those that
// are left in it at its end.
#ifndef WEFT_WFMESSAGEQUEUE_H
#define WEFT_WFMESSAGEQUEUE_H

#include <mutex>
#include <stddef.h>

#include "WFTask.h"
#include "list.h"

class WFMessageQueue {
public:
    // A conditional that, once started, waits for a message, writes it to *msgbuf, and then lets
    // `task` run, right behind it in its series. It owns the task. A conditional that is dismissed,
    // or whose series was canceled before its turn, takes no message. Its signal() does nothing.
    WFConditional *get(SubTask *task, void **msgbuf);
    // The same, with the message in the conditional's own user_data.
    WFConditional *get(SubTask *task);

    // If a task waits, it is given the message and runs within this call; else the message is kept.
    void post(void *msg);

    // For derived queues. All of it is under the mutex.
    struct Data {
        void *pop() { return this->queue->pop(); }
        void push(void *msg) { this->queue->push(msg); }

        struct list_head msg_list;
        struct list_head wait_list;
        std::mutex mutex;
        WFMessageQueue *queue;
    };

protected:
    struct MessageEntry {
        struct list_head list;
        void *msg;
    };

    // How messages are kept; a derived queue may have another order or place for them. Called with
    // the mutex held, so they must not block nor call the queue. pop() is called once for each
    // push(), and not before it.
    virtual void *pop();
    virtual void push(void *msg);

    struct Data data;

private:
    class Getter;

    size_t kept_; // pushed and not popped; under the mutex

public:
    WFMessageQueue();
    virtual ~WFMessageQueue();

    WFMessageQueue(const WFMessageQueue &) = delete;
    WFMessageQueue &operator=(const WFMessageQueue &) = delete;
};

#endif
