// Weft - the public form of the log hook
// SPDX-License-Identifier: Apache-2.0
#include "workflow/wf/log.h"

#include "kernel/log.h"
#include "kernel/sys.h"

namespace wf {

namespace {

static_assert(static_cast<int>(LogLevel::VERBOSE) == WEFT_LOG_DEBUG);
static_assert(static_cast<int>(LogLevel::ERROR) == WEFT_LOG_ERROR);

struct weft_lock lock;
LogHook current; // both under the lock
void *current_context;

void forward(enum weft_log_level level, const char *text, void *) {
    sys_lock(&lock);
    LogHook hook = current;
    void *context = current_context;
    sys_unlock(&lock);
    if (hook)
        hook(static_cast<LogLevel>(level), text, context);
}

} // namespace

void set_log_hook(LogHook hook, void *context) {
    sys_lock(&lock);
    current = hook;
    current_context = context;
    sys_unlock(&lock);
    weft_set_log_hook(hook ? forward : nullptr, nullptr);
}

void set_log_level(LogLevel least) { weft_set_log_level(static_cast<enum weft_log_level>(least)); }

} // namespace wf
