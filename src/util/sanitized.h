// Weft - whether a sanitizer watches this build: what would hide errors from it is then left out
// SPDX-License-Identifier: Apache-2.0
#ifndef WEFT_SRC_UTIL_SANITIZED_H
#define WEFT_SRC_UTIL_SANITIZED_H

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define WEFT_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
    __has_feature(memory_sanitizer)
#define WEFT_SANITIZED 1
#endif
#endif
#ifndef WEFT_SANITIZED
#define WEFT_SANITIZED 0
#endif

#endif
