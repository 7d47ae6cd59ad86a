// Weft - guards: tasks that run while they hold a resource known by its name
// SPDX-License-Identifier: Apache-2.0
//
// What the factory's create_guard(), release_guard() and release_guard_safe() do. All functions may
// be called on any thread.
#ifndef WEFT_SRC_TASK_GUARDS_H
#define WEFT_SRC_TASK_GUARDS_H

#include <string>

#include "workflow/WFTask.h"

namespace wf::detail {

class Guards {
public:
    static WFConditional *create(const std::string &name, SubTask *task);
    static WFConditional *create(const std::string &name, SubTask *task, void **msgbuf);

    // Gives the resource to the next that waits, whose task runs within this call. 1 when there was
    // one, else 0.
    static int release(const std::string &name, void *msg);

    // The same, but its task runs on a worker.
    static int release_later(const std::string &name, void *msg, CommScheduler *scheduler);
};

} // namespace wf::detail

#endif
