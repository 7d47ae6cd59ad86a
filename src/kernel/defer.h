// Weft - where to go on when a stack has become too deep, and what a known wait gives away
// SPDX-License-Identifier: Apache-2.0
//
// The kernel can be used without a process-wide engine, so these are told by whoever creates one.
#ifndef WEFT_SRC_KERNEL_DEFER_H
#define WEFT_SRC_KERNEL_DEFER_H

#include "workflow/detail/kernel_types.h"

// The pool that takes deferred jobs from threads which are not its own. May create it. NULL takes
// the hook out.
void kernel_set_defer(bool (*defer)(struct weft_job *job));

// Runs a job later, on the pool of this worker, else where the hook says. False when there is no
// such place.
bool kernel_defer(struct weft_job *job);

// Brackets a wait of this thread, whatever it is: a worker gives its poller away, an executor
// grows.
int kernel_wait_begin();
void kernel_wait_end(int cookie);

#endif
