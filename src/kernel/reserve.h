// Weft - the descriptor that is kept back, to close newcomers when there are no others left
// SPDX-License-Identifier: Apache-2.0
//
// Descriptors are the process's, so all its listeners share one reserve: what one of them gave up
// for a moment another would else take for a newcomer of its own, and keep. There from the first
// listener to the last; called by any thread.
//
//   whole        a descriptor is held
//   in use       given up, to be accepted into and opened anew, under the lock
//   lost         somebody was faster; renew() gets it back as soon as one is free
//   unavailable  it cannot be opened for another reason: accepting goes on without
//
// Who accepts looks first and afterwards: without a reserve nobody is accepted, and who was
// accepted while it was in use or lost may have got what it was, and is closed for it.
#ifndef WEFT_SRC_KERNEL_RESERVE_H
#define WEFT_SRC_KERNEL_RESERVE_H

#include "kernel/sys.h"

class DescriptorReserve {
public:
    static void add_user();
    static void remove_user();
    // Whole, or unavailable: a newcomer may be accepted, or was accepted rightly.
    static bool allows();
    // Makes it whole where it is lost. False: there is no descriptor for it.
    static bool renew();
    // There is no descriptor to accept with: gives the reserve up to accept one newcomer and close
    // it. False: nobody was closed, or the reserve is lost: it is time for a pause.
    static bool refuse_one(int listen_fd);
    // Whether a call failed with this because there is no room for a descriptor.
    static bool is_want(int error);
};

#endif
