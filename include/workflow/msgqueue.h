// Weft public header, room: util - a bounded blocking queue between threads
// SPDX-License-Identifier: Apache-2.0
//
// Intrusive: each message lends one aligned pointer of space, `linkoff` bytes from its address,
// from put to get. The queue owns no message. All calls but create and destroy: any thread.

#ifndef WEFT_MSGQUEUE_H
#define WEFT_MSGQUEUE_H

#include <stddef.h>

typedef struct __msgqueue msgqueue_t;

#ifdef __cplusplus
extern "C" {
#endif

// A queue in blocking mode; NULL with errno when there is no memory. `maxlen` messages may wait
// before put blocks; 0 means no bound. Consumers take what waits as a batch, and the rest of a
// batch does not count, so that up to 2 * maxlen messages can be held.
msgqueue_t *msgqueue_create(size_t maxlen, int linkoff);

// The oldest message. Waits while there is none; in non-blocking mode returns NULL instead.
void *msgqueue_get(msgqueue_t *queue);

// Appends a message. Waits while maxlen messages wait already, but never in non-blocking mode.
void msgqueue_put(void *msg, msgqueue_t *queue);

// Makes it the next one to be taken. Waits as msgqueue_put does when no batch is being consumed;
// otherwise not at all.
void msgqueue_put_head(void *msg, msgqueue_t *queue);

// Everyone who waits inside the queue returns, and nobody waits from now on.
void msgqueue_set_nonblock(msgqueue_t *queue);
void msgqueue_set_block(msgqueue_t *queue);

// No thread may be inside the queue. Messages still in it are the caller's, untouched.
void msgqueue_destroy(msgqueue_t *queue);

#ifdef __cplusplus
}
#endif

#endif // WEFT_MSGQUEUE_H
