// Weft - WFResourcePool: a fixed number of resources that tasks borrow
// SPDX-License-Identifier: Apache-2.0
//
// Always holds, under the mutex: tasks wait only while no resource is there, and `value` is the
// number of resources minus the number of those that wait.
#include "workflow/WFResourcePool.h"

#include <string.h>

#include "task/claim.h"

using wf::detail::Claim;

namespace {

class Borrower final : public Claim {
public:
    Borrower(WFResourcePool::Data *data, SubTask *task_in) : Claim(task_in), data_(data) {}
    Borrower(WFResourcePool::Data *data, SubTask *task_in, void **msgbuf_in)
        : Claim(task_in, msgbuf_in), data_(data) {}

protected:
    void dispatch() override {
        {
            std::lock_guard lock(data_->mutex);
            if (--data_->value < 0) {
                list_add_tail(&this->list, &data_->wait_list);
                return; // it may be gone as soon as the lock is
            }
            this->grant(data_->pop());
        }
        this->go();
    }

    bool withdraw() override {
        std::lock_guard lock(data_->mutex);
        if (!this->leave_line())
            return false;
        data_->value++;
        return true;
    }

private:
    WFResourcePool::Data *data_;
};

} // namespace

WFResourcePool::WFResourcePool(void *const *res, size_t n) {
    this->create(n);
    if (n > 0)
        memcpy(this->data.res, res, n * sizeof *res);
}

WFResourcePool::WFResourcePool(size_t n) {
    this->create(n);
    if (n > 0)
        memset(this->data.res, 0, n * sizeof *this->data.res);
}

void WFResourcePool::create(size_t n) {
    room_ = n;
    this->data.res = new void *[n];
    this->data.value = static_cast<long>(n);
    this->data.index = 0;
    INIT_LIST_HEAD(&this->data.wait_list);
    this->data.pool = this;
}

WFResourcePool::~WFResourcePool() { delete[] this->data.res; }

WFConditional *WFResourcePool::get(SubTask *task, void **resbuf) {
    return new Borrower(&this->data, task, resbuf);
}

WFConditional *WFResourcePool::get(SubTask *task) { return new Borrower(&this->data, task); }

void WFResourcePool::post(void *res) {
    Claim::Leaving leaving;
    {
        std::lock_guard lock(this->data.mutex);
        Claim::give_to_first(&this->data.wait_list, res, &leaving);
        this->data.value += leaving.count;
        if (!leaving.granted) {
            this->data.push(res);
            this->data.value++;
        }
    }
    Claim::go_all(leaving.first); // the pool may be gone from here on
}

void *WFResourcePool::pop() {
    if (this->data.index == room_)
        wf::detail::misuse("WFResourcePool::pop() of an empty pool");
    return this->data.res[this->data.index++];
}

void WFResourcePool::push(void *res) {
    if (this->data.index == 0)
        wf::detail::misuse("WFResourcePool::post() of more resources than the pool was made with");
    this->data.index--;
    this->data.res[this->data.index] = res;
}
