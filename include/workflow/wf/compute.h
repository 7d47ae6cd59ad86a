// Weft public header, room: task - queues of computations: which goes first, and how many at a time
// SPDX-License-Identifier: Apache-2.0
//
// For the queues of go and thread tasks, by their names. Without these calls all queues are equal:
// those that have work share the compute threads by turns. The calls may be made at any time, on
// any thread, also before the first task of that name, and count for what has not begun. Usable
// from C++11.
#ifndef WEFT_COMPUTE_H
#define WEFT_COMPUTE_H

#include <stddef.h>
#include <string>

namespace wf {

// At most so many bodies of this queue run at a time, 0: as many as there are threads. The others
// wait in their order and hold no thread, which the other queues use. A body counts from its begin
// to its end, whatever it waits for; its callback does not. What ran already when the limit was set
// does not count.
void set_queue_limit(const std::string &queue_name, size_t most);

// 0 at first. A thread that becomes free takes from the queues of the highest priority that have
// something to run, by turns, and from others only when these have nothing: a queue that is never
// empty starves all below it, unless it has a limit below the number of threads. Nothing that has
// begun is interrupted.
void set_queue_priority(const std::string &queue_name, int priority);

} // namespace wf

#endif
