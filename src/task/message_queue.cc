// Weft - WFMessageQueue: messages that tasks wait for, first in, first out
// SPDX-License-Identifier: Apache-2.0
//
// Always holds, under the mutex: tasks wait only while no message is kept. How many are kept is
// counted here, and not read off the list, because a derived queue may keep them elsewhere.
#include "workflow/WFMessageQueue.h"

#include "task/claim.h"

using wf::detail::Claim;

class WFMessageQueue::Getter final : public Claim {
public:
    Getter(WFMessageQueue *queue, SubTask *task_in) : Claim(task_in), queue_(queue) {}
    Getter(WFMessageQueue *queue, SubTask *task_in, void **msgbuf_in)
        : Claim(task_in, msgbuf_in), queue_(queue) {}

protected:
    void dispatch() override {
        {
            std::lock_guard lock(queue_->data.mutex);
            if (queue_->kept_ == 0) {
                list_add_tail(&this->list, &queue_->data.wait_list);
                return; // it may be gone as soon as the lock is
            }
            queue_->kept_--;
            this->grant(queue_->data.pop());
        }
        this->go();
    }

    bool withdraw() override {
        std::lock_guard lock(queue_->data.mutex);
        return this->leave_line();
    }

private:
    WFMessageQueue *queue_;
};

WFMessageQueue::WFMessageQueue() : kept_(0) {
    INIT_LIST_HEAD(&this->data.msg_list);
    INIT_LIST_HEAD(&this->data.wait_list);
    this->data.queue = this;
}

WFMessageQueue::~WFMessageQueue() {
    while (!list_empty(&this->data.msg_list))
        this->WFMessageQueue::pop();
}

WFConditional *WFMessageQueue::get(SubTask *task, void **msgbuf) {
    return new Getter(this, task, msgbuf);
}

WFConditional *WFMessageQueue::get(SubTask *task) { return new Getter(this, task); }

void WFMessageQueue::post(void *msg) {
    Claim::Leaving leaving;
    {
        std::lock_guard lock(this->data.mutex);
        Claim::give_to_first(&this->data.wait_list, msg, &leaving);
        if (!leaving.granted) {
            this->data.push(msg);
            kept_++;
        }
    }
    Claim::go_all(leaving.first); // the queue may be gone from here on
}

void *WFMessageQueue::pop() {
    if (list_empty(&this->data.msg_list))
        wf::detail::misuse("WFMessageQueue::pop() of an empty queue");
    MessageEntry *entry = list_entry(this->data.msg_list.next, MessageEntry, list);
    void *msg = entry->msg;
    list_del(&entry->list);
    delete entry;
    return msg;
}

void WFMessageQueue::push(void *msg) {
    MessageEntry *entry = new MessageEntry;
    entry->msg = msg;
    list_add_tail(&entry->list, &this->data.msg_list);
}
