// Weft - wf/compute.h: limits and priorities of the queues of the process
// SPDX-License-Identifier: Apache-2.0
#include "workflow/wf/compute.h"

#include "workflow/Executor.h"
#include "workflow/detail/runtime.h"

namespace wf {

void set_queue_limit(const std::string &queue_name, size_t most) {
    detail::runtime_compute_executor()->set_queue_limit(
        detail::runtime_exec_queue(queue_name.c_str()), most);
}

void set_queue_priority(const std::string &queue_name, int priority) {
    detail::runtime_compute_executor()->set_queue_priority(
        detail::runtime_exec_queue(queue_name.c_str()), priority);
}

} // namespace wf
