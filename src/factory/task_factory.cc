// Weft - WFTaskFactory: timers, counters, mailboxes, conditionals, guards, dynamic tasks
// SPDX-License-Identifier: Apache-2.0
#include "workflow/WFTaskFactory.h"

#include "task/guards.h"
#include "task/named.h"
#include "workflow/detail/runtime.h"

using wf::detail::runtime_scheduler;

namespace {

class DynamicTask final : public WFDynamicTask {
public:
    explicit DynamicTask(dynamic_create_t &&create) : create_(std::move(create)) {}

protected:
    void dispatch() override {
        SubTask *next = create_ ? create_(this) : nullptr;
        if (!next)
            wf::detail::misuse("the create function of a dynamic task returned no task");
        wf::detail::series_prepend(series_of(this), next);
        this->state = WFT_STATE_SUCCESS;
        this->subtask_done();
    }

private:
    dynamic_create_t create_;
};

} // namespace

WFTimerTask *WFTaskFactory::create_timer_task(time_t seconds, long nanoseconds,
                                              timer_callback_t callback) {
    return wf::detail::make_timer(runtime_scheduler(), seconds, nanoseconds, std::move(callback));
}

WFTimerTask *WFTaskFactory::create_timer_task(const std::string &timer_name, time_t seconds,
                                              long nanoseconds, timer_callback_t callback) {
    return wf::detail::NamedTimers::create(runtime_scheduler(), timer_name, seconds, nanoseconds,
                                           std::move(callback));
}

WFTimerTask *WFTaskFactory::create_timer_task(unsigned int microseconds,
                                              timer_callback_t callback) {
    return create_timer_task(microseconds / 1000000, microseconds % 1000000 * 1000L,
                             std::move(callback));
}

WFTimerTask *WFTaskFactory::create_timer_task(timer_callback_t callback) {
    return wf::detail::make_canceled_timer(runtime_scheduler(), std::move(callback));
}

int WFTaskFactory::cancel_by_name(const std::string &timer_name, size_t max) {
    return wf::detail::NamedTimers::cancel(timer_name, max);
}

WFCounterTask *WFTaskFactory::create_counter_task(const std::string &counter_name,
                                                  unsigned int target_value,
                                                  counter_callback_t callback) {
    return wf::detail::NamedCounters::create(counter_name, target_value, std::move(callback));
}

int WFTaskFactory::count_by_name(const std::string &counter_name, unsigned int n) {
    return wf::detail::NamedCounters::count(counter_name, n);
}

// One message for all.
static void *same_message(const void *messages, size_t) {
    return *static_cast<void *const *>(messages);
}

WFMailboxTask *WFTaskFactory::create_mailbox_task(const std::string &mailbox_name, void **mailbox,
                                                  mailbox_callback_t callback) {
    return wf::detail::NamedMailboxes::create(mailbox_name, mailbox, std::move(callback));
}

WFMailboxTask *WFTaskFactory::create_mailbox_task(const std::string &mailbox_name,
                                                  mailbox_callback_t callback) {
    return wf::detail::NamedMailboxes::create(mailbox_name, std::move(callback));
}

int WFTaskFactory::send_by_name(const std::string &mailbox_name, void *msg, size_t max) {
    return wf::detail::NamedMailboxes::send(mailbox_name, &msg, same_message, max);
}

int wf::detail::send_each(const std::string &name, const void *messages, MessageAt message_at,
                          size_t max) {
    return NamedMailboxes::send(name, messages, message_at, max);
}

WFConditional *WFTaskFactory::create_conditional(const std::string &cond_name, SubTask *task,
                                                 void **msgbuf) {
    return wf::detail::NamedConditionals::create(cond_name, task, msgbuf);
}

WFConditional *WFTaskFactory::create_conditional(const std::string &cond_name, SubTask *task) {
    return wf::detail::NamedConditionals::create(cond_name, task);
}

int WFTaskFactory::signal_by_name(const std::string &cond_name, void *msg, size_t max) {
    return wf::detail::NamedConditionals::send(cond_name, &msg, same_message, max);
}

int wf::detail::signal_each(const std::string &name, const void *messages, MessageAt message_at,
                            size_t max) {
    return NamedConditionals::send(name, messages, message_at, max);
}

WFConditional *WFTaskFactory::create_guard(const std::string &resource_name, SubTask *task) {
    return wf::detail::Guards::create(resource_name, task);
}

WFConditional *WFTaskFactory::create_guard(const std::string &resource_name, SubTask *task,
                                           void **msgbuf) {
    return wf::detail::Guards::create(resource_name, task, msgbuf);
}

int WFTaskFactory::release_guard(const std::string &resource_name, void *msg) {
    return wf::detail::Guards::release(resource_name, msg);
}

int WFTaskFactory::release_guard_safe(const std::string &resource_name, void *msg) {
    return wf::detail::Guards::release_later(resource_name, msg, runtime_scheduler());
}

WFDynamicTask *WFTaskFactory::create_dynamic_task(dynamic_create_t create) {
    return new DynamicTask(std::move(create));
}
