// Weft - the log hook: what a user should hear of, with its rate limited
// SPDX-License-Identifier: Apache-2.0
//
// Any thread may log; the hook runs on it, under no lock of the kernel but possibly under one of
// the pool's, so it must not call back into Weft. Without a hook, warnings and errors go to
// standard error. Each place in the code may speak ten times a second; the number of messages left
// out is added to the next one that is let through.
#ifndef WEFT_SRC_KERNEL_LOG_H
#define WEFT_SRC_KERNEL_LOG_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum weft_log_level {
    WEFT_LOG_DEBUG = 0,
    WEFT_LOG_INFO = 1,
    WEFT_LOG_WARN = 2,
    WEFT_LOG_ERROR = 3,
};

struct weft_log_site {
    uint64_t window;
    uint32_t used;
    uint32_t dropped;
};

typedef void (*weft_log_hook)(enum weft_log_level level, const char *text, void *context);

// NULL restores the default. Set it before work begins, or accept that a message under way still
// reaches the old one.
void weft_set_log_hook(weft_log_hook hook, void *context);
void weft_set_log_level(enum weft_log_level least);

__attribute__((format(printf, 3, 4))) void weft_log_at(struct weft_log_site *site,
                                                       enum weft_log_level level,
                                                       const char *format, ...);

// A macro, because each place needs its own static counter.
#define weft_log(level, ...)                         \
    do {                                             \
        static struct weft_log_site log_site_;       \
        weft_log_at(&log_site_, level, __VA_ARGS__); \
    } while (0)

#ifdef __cplusplus
}
#endif

#endif
