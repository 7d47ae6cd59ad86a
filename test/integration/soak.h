// Weft - how long the tests of endurance go on, what memory they look at, and where they say it
// SPDX-License-Identifier: Apache-2.0
//
// The suite runs them for a moment; WEFT_SOAK_SECONDS in the environment asks for longer. Any
// thread may call what is here.

#ifndef WEFT_TEST_INTEGRATION_SOAK_H
#define WEFT_TEST_INTEGRATION_SOAK_H

#include <dirent.h>
#include <malloc.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <chrono>
#include <string>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define WEFT_UNDER_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define WEFT_UNDER_SANITIZER 1
#endif
#endif

// What malloc has given out, in bytes; the sanitizers bring one of their own.
#ifdef WEFT_UNDER_SANITIZER
extern "C" size_t __sanitizer_get_current_allocated_bytes(void);
inline size_t allocated_bytes() { return __sanitizer_get_current_allocated_bytes(); }
#else
inline size_t allocated_bytes() { return mallinfo2().uordblks + mallinfo2().hblkhd; }
#endif

// Of this process, with the one that it looks through.
inline long open_descriptors() {
    DIR *dir = opendir("/proc/self/fd");
    long count = 0;
    for (const dirent *entry = dir ? readdir(dir) : nullptr; entry; entry = readdir(dir))
        count += entry->d_name[0] != '.' ? 1 : 0;
    if (dir)
        closedir(dir);
    return count;
}

inline std::chrono::seconds soak_time(int otherwise) {
    const char *text = getenv("WEFT_SOAK_SECONDS");
    long seconds = text ? strtol(text, nullptr, 10) : otherwise;
    return std::chrono::seconds(seconds);
}

inline void tell(const std::string &figures) {
    printf("[ MEASURED ] %s\n", figures.c_str());
    fflush(stdout);
}

#endif
