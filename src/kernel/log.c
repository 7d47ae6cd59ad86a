// Weft - the log hook
// SPDX-License-Identifier: Apache-2.0
#include "kernel/log.h"

#include <stdarg.h>
#include <stdio.h>

#include "kernel/sys.h"

enum { PER_WINDOW = 10, TEXT_SIZE = 1024 };
static const uint64_t WINDOW_NS = 1000000000u;

static void to_stderr(enum weft_log_level level, const char *text, void *context) {
    static const char *const names[] = {"debug", "info", "warning", "error"};
    (void)context;
    fprintf(stderr, "weft: %s: %s\n", names[level], text);
}

static struct weft_lock hook_lock;
static weft_log_hook current_hook = to_stderr;
static void *current_context;
static int least_level = WEFT_LOG_WARN;

void weft_set_log_hook(weft_log_hook hook, void *context) {
    sys_lock(&hook_lock);
    current_hook = hook ? hook : to_stderr;
    current_context = context;
    sys_unlock(&hook_lock);
}

void weft_set_log_level(enum weft_log_level least) {
    __atomic_store_n(&least_level, (int)least, __ATOMIC_RELAXED);
}

// True when this place may speak; *left_out is what it swallowed before.
static int may_speak(struct weft_log_site *site, uint32_t *left_out) {
    uint64_t now = sys_now() + WINDOW_NS; // never 0, so a fresh site opens a window
    int ok = 1;
    *left_out = 0;
    sys_lock(&hook_lock);
    if (now - site->window >= WINDOW_NS) {
        *left_out = site->dropped;
        site->window = now;
        site->used = site->dropped = 0;
    }
    if (site->used >= PER_WINDOW) {
        site->dropped++;
        ok = 0;
    } else {
        site->used++;
    }
    sys_unlock(&hook_lock);
    return ok;
}

void weft_log_at(struct weft_log_site *site, enum weft_log_level level, const char *format, ...) {
    char text[TEXT_SIZE];
    uint32_t left_out;
    va_list args;

    if ((int)level < __atomic_load_n(&least_level, __ATOMIC_RELAXED) || !may_speak(site, &left_out))
        return;
    va_start(args, format);
    // NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized) - it does not follow va_start here
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (left_out && n > 0 && (size_t)n < sizeof text)
        snprintf(text + n, sizeof text - (size_t)n, " (and %u like it left out)", left_out);
    sys_lock(&hook_lock);
    weft_log_hook hook = current_hook;
    void *context = current_context;
    sys_unlock(&hook_lock);
    hook(level, text, context);
}
