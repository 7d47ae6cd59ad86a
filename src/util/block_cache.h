// Weft - a cache of equal memory blocks per thread, for objects that come and go with every request
// SPDX-License-Identifier: Apache-2.0
//
// A base class: objects of T are made in blocks that the thread keeps when they are deleted, at
// most KEEP of them. HTTP tasks are larger than what malloc keeps per thread, so each would cost it
// some 300 instructions. A block may be freed on another thread than it was made on; it then stays
// there. The sanitizers see plain memory, or they would miss what they look for.
#ifndef WEFT_SRC_UTIL_BLOCK_CACHE_H
#define WEFT_SRC_UTIL_BLOCK_CACHE_H

#include <new>
#include <stddef.h>

#include "util/sanitized.h"

namespace wf {

template <class T, unsigned KEEP = 64>
class BlockCached {
public:
#if !WEFT_SANITIZED
    static void *operator new(size_t size) {
        Kept &kept = of_thread();
        if (size == sizeof(T) && kept.count > 0)
            return kept.blocks[--kept.count];
        return ::operator new(size);
    }

    static void operator delete(void *block, size_t size) {
        Kept &kept = of_thread();
        if (size == sizeof(T) && kept.count < kept.room)
            kept.blocks[kept.count++] = block;
        else
            ::operator delete(block);
    }

#else
    static void *operator new(size_t size) { return ::operator new(size); }
    static void operator delete(void *block, size_t) { ::operator delete(block); }
#endif

private:
#if !WEFT_SANITIZED
    struct Kept {
        void *blocks[KEEP];
        unsigned count = 0;
        unsigned room = KEEP; // 0 once the thread ends: objects may still be deleted after this one

        ~Kept() {
            room = 0;
            while (count > 0)
                ::operator delete(blocks[--count]);
        }
    };

    static Kept &of_thread() {
        static thread_local Kept kept;
        return kept;
    }
#endif
};

} // namespace wf

#endif
