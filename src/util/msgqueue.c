// Weft - a bounded blocking queue between threads
// SPDX-License-Identifier: Apache-2.0
//
// Two chains under one mutex: `waiting`, where producers append and which the bound counts, and
// `batch`, from which consumers take. When the batch is used up the whole waiting chain becomes
// the next one, so that producers are woken once for many messages and not once for each.
// Always true under the mutex: nwaiting is the length of `waiting`; nobody sleeps for room while
// nwaiting < maxlen, and nobody sleeps for a message while one is there, but on the way to waking.

#include "workflow/msgqueue.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

struct chain {
    void **first;
    void **last; // means something while first is not NULL
};

struct __msgqueue {
    pthread_mutex_t mutex;
    pthread_cond_t has_message;
    pthread_cond_t has_room;
    struct chain waiting;
    struct chain batch;
    size_t nwaiting;
    size_t maxlen;
    size_t nsleeping_get; // so that nobody is signalled for nothing
    size_t nsleeping_put;
    int linkoff;
    int nonblock;
};

static void **link_of(void *msg, const msgqueue_t *queue) {
    return (void **)(void *)((char *)msg + queue->linkoff);
}

static void push_back(void **link, struct chain *chain) {
    *link = NULL;
    if (chain->first)
        *chain->last = link;
    else
        chain->first = link;
    chain->last = link;
}

static void push_front(void **link, struct chain *chain) {
    *link = chain->first;
    if (!chain->first)
        chain->last = link;
    chain->first = link;
}

msgqueue_t *msgqueue_create(size_t maxlen, int linkoff) {
    msgqueue_t *queue = calloc(1, sizeof *queue);
    int ret;

    if (!queue)
        return NULL;

    queue->maxlen = maxlen ? maxlen : (size_t)-1;
    queue->linkoff = linkoff;

    ret = pthread_mutex_init(&queue->mutex, NULL);
    if (ret == 0) {
        ret = pthread_cond_init(&queue->has_message, NULL);
        if (ret == 0) {
            ret = pthread_cond_init(&queue->has_room, NULL);
            if (ret == 0)
                return queue;

            pthread_cond_destroy(&queue->has_message);
        }

        pthread_mutex_destroy(&queue->mutex);
    }

    free(queue);
    errno = ret;
    return NULL;
}

// One more in `waiting`: lets one consumer have it.
static void count_waiting(msgqueue_t *queue) {
    queue->nwaiting++;
    if (queue->nsleeping_get)
        pthread_cond_signal(&queue->has_message);
}

static int is_full(const msgqueue_t *queue) {
    return queue->nwaiting >= queue->maxlen && !queue->nonblock;
}

static void sleep_for_room(msgqueue_t *queue) {
    queue->nsleeping_put++;
    pthread_cond_wait(&queue->has_room, &queue->mutex);
    queue->nsleeping_put--;
}

void msgqueue_put(void *msg, msgqueue_t *queue) {
    pthread_mutex_lock(&queue->mutex);
    while (is_full(queue))
        sleep_for_room(queue);

    push_back(link_of(msg, queue), &queue->waiting);
    count_waiting(queue);
    pthread_mutex_unlock(&queue->mutex);
}

void msgqueue_put_head(void *msg, msgqueue_t *queue) {
    pthread_mutex_lock(&queue->mutex);
    while (!queue->batch.first && is_full(queue))
        sleep_for_room(queue);

    if (queue->batch.first) {
        // A consumer still on its way to an earlier message may take this one; that message is
        // then left for the consumer which this signal wakes.
        push_front(link_of(msg, queue), &queue->batch);
        if (queue->nsleeping_get)
            pthread_cond_signal(&queue->has_message);
    } else {
        push_front(link_of(msg, queue), &queue->waiting);
        count_waiting(queue);
    }

    pthread_mutex_unlock(&queue->mutex);
}

static void start_batch(msgqueue_t *queue) {
    queue->batch = queue->waiting;
    queue->waiting.first = NULL;
    queue->nwaiting = 0;
    if (queue->nsleeping_put)
        pthread_cond_broadcast(&queue->has_room);
}

void *msgqueue_get(msgqueue_t *queue) {
    void **link;

    pthread_mutex_lock(&queue->mutex);
    while (!queue->batch.first && !queue->waiting.first && !queue->nonblock) {
        queue->nsleeping_get++;
        pthread_cond_wait(&queue->has_message, &queue->mutex);
        queue->nsleeping_get--;
    }

    if (!queue->batch.first)
        start_batch(queue);

    link = queue->batch.first;
    if (link)
        queue->batch.first = *link;

    pthread_mutex_unlock(&queue->mutex);
    return link ? (char *)link - queue->linkoff : NULL;
}

void msgqueue_set_nonblock(msgqueue_t *queue) {
    pthread_mutex_lock(&queue->mutex);
    queue->nonblock = 1;
    pthread_cond_broadcast(&queue->has_message);
    pthread_cond_broadcast(&queue->has_room);
    pthread_mutex_unlock(&queue->mutex);
}

void msgqueue_set_block(msgqueue_t *queue) {
    pthread_mutex_lock(&queue->mutex);
    queue->nonblock = 0;
    pthread_mutex_unlock(&queue->mutex);
}

void msgqueue_destroy(msgqueue_t *queue) {
    pthread_cond_destroy(&queue->has_room);
    pthread_cond_destroy(&queue->has_message);
    pthread_mutex_destroy(&queue->mutex);
    free(queue);
}
