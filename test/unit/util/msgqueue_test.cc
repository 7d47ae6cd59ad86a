// Weft - the blocking message queue
// SPDX-License-Identifier: Apache-2.0

#include <gtest/gtest.h>

#include <stddef.h>

#include <atomic>
#include <future>
#include <thread>
#include <vector>

#include "workflow/msgqueue.h"

namespace {

struct Message {
    int producer = 0;
    int value = 0;
    void *link = nullptr;
};

constexpr int kOffset = static_cast<int>(offsetof(Message, link));

struct Queue {
    msgqueue_t *q;

    explicit Queue(size_t maxlen) : q(msgqueue_create(maxlen, kOffset)) {}
    ~Queue() { msgqueue_destroy(q); }

    void put(Message *message) { msgqueue_put(message, q); }
    Message *get() { return static_cast<Message *>(msgqueue_get(q)); }
};

TEST(msgqueue, first_in_first_out) {
    Queue queue(10);
    Message m[3];

    for (Message &one : m)
        queue.put(&one);
    EXPECT_EQ(queue.get(), &m[0]);
    queue.put(&m[0]);
    EXPECT_EQ(queue.get(), &m[1]);
    EXPECT_EQ(queue.get(), &m[2]);
    EXPECT_EQ(queue.get(), &m[0]);
}

TEST(msgqueue, put_head_comes_next) {
    Queue queue(10);
    Message m[5];

    queue.put(&m[0]);
    msgqueue_put_head(&m[1], queue.q);
    EXPECT_EQ(queue.get(), &m[1]);
    queue.put(&m[2]);
    msgqueue_put_head(&m[3], queue.q);
    EXPECT_EQ(queue.get(), &m[3]);
    EXPECT_EQ(queue.get(), &m[0]);
    EXPECT_EQ(queue.get(), &m[2]);
    msgqueue_put_head(&m[4], queue.q);
    EXPECT_EQ(queue.get(), &m[4]);
}

TEST(msgqueue, nonblock_get_returns_null_on_empty_and_put_never_waits) {
    Queue queue(1);
    Message m[4];

    msgqueue_set_nonblock(queue.q);
    EXPECT_EQ(queue.get(), nullptr);
    for (int i = 0; i < 3; i++)
        queue.put(&m[i]);
    msgqueue_put_head(&m[3], queue.q);
    EXPECT_EQ(queue.get(), &m[3]);
    for (int i = 0; i < 3; i++)
        EXPECT_EQ(queue.get(), &m[i]);
    EXPECT_EQ(queue.get(), nullptr);
}

TEST(msgqueue, zero_means_no_bound) {
    Queue queue(0);
    std::vector<Message> m(1000);

    for (Message &one : m)
        queue.put(&one);
    for (Message &one : m)
        EXPECT_EQ(queue.get(), &one);
}

TEST(msgqueue, negative_offset) {
    struct Pair {
        void *link;
        Message message;
    } pair = {};
    msgqueue_t *q = msgqueue_create(1, static_cast<int>(offsetof(Pair, link)) -
                                           static_cast<int>(offsetof(Pair, message)));

    msgqueue_put(&pair.message, q);
    EXPECT_EQ(msgqueue_get(q), &pair.message);
    msgqueue_destroy(q);
}

// A full bound holds again once the batch was taken: 2 * maxlen in all, no more.
TEST(msgqueue, put_waits_at_maxlen) {
    Queue queue(2);
    Message m[6];
    std::atomic<int> done{0};

    queue.put(&m[0]);
    queue.put(&m[1]);
    EXPECT_EQ(queue.get(), &m[0]);
    queue.put(&m[2]);
    queue.put(&m[3]);

    std::thread producer([&] {
        queue.put(&m[4]);
        done = 1;
    });
    // m[1] is the last of the batch; taking it makes no room, taking m[2] does.
    EXPECT_EQ(queue.get(), &m[1]);
    EXPECT_EQ(done, 0);
    EXPECT_EQ(queue.get(), &m[2]);
    producer.join();
    EXPECT_EQ(done, 1);
    EXPECT_EQ(queue.get(), &m[3]);
    EXPECT_EQ(queue.get(), &m[4]);
}

TEST(msgqueue, set_nonblock_frees_all_who_wait) {
    Queue empty(1), full(1);
    Message m[3];
    std::vector<std::thread> threads;

    full.put(&m[0]);
    for (int i = 0; i < 3; i++)
        threads.emplace_back([&] { EXPECT_EQ(empty.get(), nullptr); });
    threads.emplace_back([&] { full.put(&m[1]); });
    threads.emplace_back([&] { msgqueue_put_head(&m[2], full.q); });
    msgqueue_set_nonblock(empty.q);
    msgqueue_set_nonblock(full.q);
    for (std::thread &thread : threads)
        thread.join();

    int left = 0;
    while (full.get())
        left++;
    EXPECT_EQ(left, 3);

    // And back: a getter waits for its message again.
    msgqueue_set_block(full.q);
    auto waiting = std::async(std::launch::async, [&] { return full.get(); });
    full.put(&m[0]);
    EXPECT_EQ(waiting.get(), &m[0]);
}

// Each message arrives once, those of one producer in order at each consumer.
void many_to_many(size_t maxlen, int nproducers, int nconsumers) {
    constexpr int kEach = 5000;
    Queue queue(maxlen);
    std::vector<std::vector<Message>> messages(static_cast<size_t>(nproducers));
    std::vector<Message> stops(static_cast<size_t>(nconsumers));
    std::atomic<int> received{0};
    std::atomic<long> sum{0};
    std::vector<std::thread> producers, consumers;

    for (int c = 0; c < nconsumers; c++) {
        consumers.emplace_back([&] {
            std::vector<int> last(static_cast<size_t>(nproducers), 0);
            for (Message *m = queue.get(); m->value > 0; m = queue.get()) {
                int &before = last[static_cast<size_t>(m->producer)];
                EXPECT_GT(m->value, before);
                before = m->value;
                received++;
                sum += m->value;
            }
        });
    }
    for (int p = 0; p < nproducers; p++) {
        producers.emplace_back([&, p] {
            std::vector<Message> &mine = messages[static_cast<size_t>(p)];
            mine.resize(kEach);
            for (int i = 0; i < kEach; i++) {
                mine[static_cast<size_t>(i)].producer = p;
                mine[static_cast<size_t>(i)].value = i + 1;
                queue.put(&mine[static_cast<size_t>(i)]);
            }
        });
    }
    for (std::thread &thread : producers)
        thread.join();
    for (Message &stop : stops)
        queue.put(&stop);
    for (std::thread &thread : consumers)
        thread.join();

    EXPECT_EQ(received, nproducers * kEach);
    EXPECT_EQ(sum, static_cast<long>(nproducers) * kEach * (kEach + 1) / 2);
}

TEST(msgqueue, many_to_many) {
    many_to_many(1, 3, 3);
    many_to_many(7, 2, 4);
    many_to_many(7, 4, 1);
    many_to_many(0, 1, 4);
}

} // namespace
