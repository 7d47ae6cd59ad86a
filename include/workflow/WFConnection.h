// Weft public header, room: task - WFConnection: a connection that carries a program's context
// SPDX-License-Identifier: Apache-2.0
#ifndef WEFT_WFCONNECTION_H
#define WEFT_WFCONNECTION_H

#include <atomic>
#include <functional>
#include <stddef.h>
#include <utility>

#include "Communicator.h"

// One per connection, idle ones included, so it is small: a deleter is kept apart, and only when
// there is one. The context is the program's; when the connection ends deleter(context) is run, on
// a thread of the engine. Setting a context frees neither the old one nor anything else.
class WFConnection : public CommConnection {
public:
    void *get_context() const { return this->context_.load(std::memory_order_acquire); }

    void set_context(void *context, std::function<void(void *)> deleter) {
        this->set_deleter(std::move(deleter));
        this->context_.store(context, std::memory_order_release);
    }

    // Keeps the deleter.
    void set_context(void *context) { this->context_.store(context, std::memory_order_release); }

    // Sets the context if it is still `test_context`: returns the new one then, else the one that
    // is there. From any thread.
    void *test_set_context(void *test_context, void *new_context,
                           std::function<void(void *)> deleter) {
        if (!this->context_.compare_exchange_strong(test_context, new_context))
            return test_context;
        this->set_deleter(std::move(deleter));
        return new_context;
    }

    void *test_set_context(void *test_context, void *new_context) {
        if (this->context_.compare_exchange_strong(test_context, new_context))
            return new_context;
        return test_context;
    }

    WFConnection() : context_(NULL), deleter_(NULL) {}

protected:
    ~WFConnection() override {
        if (this->deleter_) {
            (*this->deleter_)(this->get_context());
            delete this->deleter_;
        }
    }

private:
    typedef std::function<void(void *)> Deleter;

    void set_deleter(Deleter &&deleter) {
        Deleter *old = this->deleter_;
        this->deleter_ = deleter ? new Deleter(std::move(deleter)) : NULL;
        delete old;
    }

    std::atomic<void *> context_;
    Deleter *deleter_;
};

#endif
