// Weft - groups of channels: who belongs together, what they have queued, and broadcasts
// SPDX-License-Identifier: Apache-2.0
//
// Channels stand in the list of a shard, which their poller decides. A broadcast is an order for
// each shard: the channels as they were at the call, and how far it has come. One order of a shard
// is worked on at a time, oldest first, some channels at a go, on the poller that most of them
// belong to. So broadcasts keep their order and hold up nobody.
//
// Lock order: a connection's lock before a shard's; nothing is taken under a shard's.
#include <errno.h>
#include <new>
#include <stdlib.h>

#include "kernel/channel.h"
#include "workflow/detail/container_of.h"

namespace {

constexpr size_t AT_ONCE = 64; // channels sent to in one go

} // namespace

// The bytes, shared by all that send them.
struct CommChannelGroup::Payload {
    const char *data;
    size_t size;
    void (*release)(void *owner);
    void *owner;
    std::atomic<uint32_t> refs;

    void unref() {
        if (--refs > 0)
            return;
        release(owner);
        delete this;
    }
};

struct CommChannelGroup::Broadcast {
    Broadcast *next;
    Payload *payload;     // counted
    struct mpoller *pool; // the engine, which does not end before the order has; null while empty
    size_t count, done;
    CommChannel *channels[1]; // each with a reference

    void add(CommChannel *channel, struct mpoller *engine);
    void drop();
};

struct CommChannelGroup::Shard {
    struct weft_lock lock = {0}; // guards the rest
    CommChannelCore *first = nullptr;
    size_t count = 0;
    Broadcast *orders = nullptr;
    Broadcast **last = &orders;
    bool running = false; // the job is on its way; it holds a reference of the group
    CommChannelGroup *group = nullptr;
    struct weft_msg msg = {};
    struct weft_job job = {};

    static void run_msg(struct weft_msg *msg, struct weft_poller *poller);
    static void run_job(struct weft_job *job);
    void go(struct weft_poller *poller);
    void append(Broadcast *order);
};

// A share of the payload, on its way through one channel.
struct CommChannelGroup::Share : CommPiece {
    Payload *payload; // counted
};

CommChannelOptions::CommChannelOptions()
    : high_water(64u << 20), low_water(16u << 20), idle_timeout(-1), receive_timeout(-1),
      heartbeat(-1), first_byte_timeout(10000), first_message_timeout(60000), message_timeout(-1),
      min_receive_rate(240), finish_timeout(10000), backlog_limit(64u << 10), min_send_rate(4096),
      half_open(false), tell_written(false), tell_connecting(false) {}

CommChannelGroup::CommChannelGroup(const CommChannelOptions &options, size_t backlog_limit)
    : options_(options), backlog_limit_(backlog_limit), refs_(1), count_(0), backlog_(0),
      shards_(nullptr) {}

CommChannelGroup::~CommChannelGroup() { delete[] shards_; }

CommChannelGroup *CommChannelGroup::create(const CommChannelOptions &options,
                                           size_t backlog_limit) {
    auto *group = new (std::nothrow) CommChannelGroup(options, backlog_limit);
    Shard *shards = group ? new (std::nothrow) Shard[CHANNEL_GROUP_SHARDS] : nullptr;
    if (!shards) {
        delete group;
        errno = ENOMEM;
        return nullptr;
    }
    group->shards_ = shards;
    for (unsigned i = 0; i < CHANNEL_GROUP_SHARDS; i++) {
        shards[i].group = group;
        shards[i].msg.run = Shard::run_msg;
        shards[i].job.run = Shard::run_job;
    }
    return group;
}

void CommChannelGroup::ref() { this->refs_++; }

void CommChannelGroup::unref() {
    if (--this->refs_ == 0)
        delete this;
}

size_t CommChannelGroup::get_count() const { return this->count_; }
size_t CommChannelGroup::get_backlog() const { return this->backlog_; }

CommChannelGroup::Shard *CommChannelGroup::shard(const CommChannelCore *core) const {
    return &this->shards_[core->shard];
}

void CommChannelGroup::add(CommChannelCore *core) {
    Shard *shard = this->shard(core);
    sys_lock(&shard->lock);
    core->group_prev = nullptr;
    core->group_next = shard->first;
    if (shard->first)
        shard->first->group_prev = core;
    shard->first = core;
    shard->count++;
    core->in_group = true;
    sys_unlock(&shard->lock);
    this->count_++;
}

void CommChannelGroup::remove(CommChannelCore *core) {
    Shard *shard = this->shard(core);
    sys_lock(&shard->lock);
    bool was_in = core->in_group;
    if (was_in) {
        (core->group_prev ? core->group_prev->group_next : shard->first) = core->group_next;
        if (core->group_next)
            core->group_next->group_prev = core->group_prev;
        shard->count--;
        core->in_group = false;
    }
    sys_unlock(&shard->lock);
    if (was_in)
        this->count_--;
}

size_t CommChannelGroup::list(CommChannel **channels, size_t max) const {
    size_t count = 0;
    for (unsigned i = 0; i < CHANNEL_GROUP_SHARDS && count < max; i++) {
        Shard *shard = &this->shards_[i];
        sys_lock(&shard->lock);
        for (CommChannelCore *c = shard->first; c && count < max; c = c->group_next) {
            c->channel->ref();
            channels[count++] = c->channel;
        }
        sys_unlock(&shard->lock);
    }
    return count;
}

// Whether there is more than there may be.
bool CommChannelGroup::note_backlog(size_t before, size_t after) {
    if (before == after)
        return false;
    size_t sum = this->backlog_ += after - before; // wraps as it should
    return after > before && this->backlog_limit_ > 0 && sum > this->backlog_limit_;
}

void CommChannelGroup::cut_greatest() {
    CommChannel *greatest = nullptr;
    size_t most = 0;
    for (unsigned i = 0; i < CHANNEL_GROUP_SHARDS; i++) {
        Shard *shard = &this->shards_[i];
        CommChannel *before = greatest;
        sys_lock(&shard->lock);
        for (CommChannelCore *c = shard->first; c; c = c->group_next) {
            size_t queued = c->queued;
            if (queued > most) {
                most = queued;
                greatest = c->channel;
            }
        }
        bool here = greatest != before;
        if (here)
            greatest->ref();
        sys_unlock(&shard->lock);
        if (here && before)
            before->unref();
    }
    if (!greatest)
        return;
    // Somebody else may have cut it meanwhile.
    if (this->backlog_ > this->backlog_limit_)
        CommChannelMachine::close(greatest->core_, CCR_BACKLOG_FULL);
    greatest->unref();
}

void CommChannelGroup::Shard::append(Broadcast *order) {
    order->next = nullptr;
    sys_lock(&lock);
    *last = order;
    last = &order->next;
    bool start = !running;
    running = true;
    struct weft_poller *poller = order->channels[0]->core_->entry.load()->poller;
    sys_unlock(&lock);
    if (start) {
        group->ref();
        go(poller);
    }
}

void CommChannelGroup::Shard::go(struct weft_poller *poller) { poller_do(poller, &msg); }

void CommChannelGroup::Shard::run_msg(struct weft_msg *msg, struct weft_poller *poller) {
    poller_ready(poller, &WEFT_CONTAINER_OF(msg, Shard, msg)->job);
}

// Of a channel that has not ended, which the caller makes sure of: so the engine is there still.
void CommChannelGroup::Broadcast::add(CommChannel *channel, struct mpoller *engine) {
    if (!pool) {
        mpoller_enter(engine);
        pool = engine;
    }
    channel->ref();
    channels[count++] = channel;
}

// What is left of it, and itself.
void CommChannelGroup::Broadcast::drop() {
    while (done < count)
        channels[done++]->unref();
    payload->unref();
    struct mpoller *engine = pool;
    free(this);
    if (engine)
        mpoller_leave(engine);
}

// Some channels of the oldest order. Releasing is the program's code, so it stands behind the lock.
void CommChannelGroup::Shard::run_job(struct weft_job *job) {
    Shard *self = WEFT_CONTAINER_OF(job, Shard, job);
    sys_lock(&self->lock);
    Broadcast *order = self->orders;
    sys_unlock(&self->lock);
    struct weft_poller *poller = order->channels[order->done]->core_->entry.load()->poller;
    for (size_t i = 0; i < AT_ONCE && order->done < order->count; i++) {
        CommChannel *channel = order->channels[order->done++];
        send_share(channel->core_, order->payload);
        channel->unref();
    }
    if (order->done < order->count) {
        self->go(poller);
        return;
    }
    sys_lock(&self->lock);
    self->orders = order->next;
    if (!self->orders)
        self->last = &self->orders;
    bool more = self->running = self->orders != nullptr;
    sys_unlock(&self->lock);
    if (more)
        self->go(poller);
    else
        self->group->unref();
    order->drop(); // last: it keeps the poller
}

void CommChannelGroup::send_share(CommChannelCore *core, Payload *payload) {
    Share *share = new (std::nothrow) Share;
    if (!share) { // a hole in what it is sent would be worse
        CommChannelMachine::close(core, CCR_NO_MEMORY);
        return;
    }
    payload->refs++;
    share->next = nullptr;
    share->data = payload->data;
    share->size = payload->size;
    share->payload = payload;
    share->release = [](CommPiece *piece) {
        static_cast<Share *>(piece)->payload->unref();
        delete static_cast<Share *>(piece);
    };
    CommChannelMachine::send(core, share); // whoever has ended meanwhile is left out
}

CommChannelGroup::Broadcast *CommChannelGroup::make_order(size_t count, Payload *payload) {
    size_t size = sizeof(Broadcast) + count * sizeof(CommChannel *);
    Broadcast *order = static_cast<Broadcast *>(malloc(size));
    if (!order)
        return nullptr;
    order->count = order->done = 0;
    order->pool = nullptr;
    order->payload = payload;
    payload->refs++;
    return order;
}

// Gives the orders to their shards, or drops them all.
void CommChannelGroup::post(Broadcast **orders, bool good) {
    for (unsigned i = 0; i < CHANNEL_GROUP_SHARDS; i++) {
        Broadcast *order = orders[i];
        if (!order)
            continue;
        if (good && order->count > 0) {
            this->shards_[i].append(order);
            continue;
        }
        order->drop();
    }
}

int CommChannelGroup::broadcast(const char *data, size_t size, void (*release)(void *owner),
                                void *owner) {
    Broadcast *orders[CHANNEL_GROUP_SHARDS] = {};
    Payload *payload = new (std::nothrow) Payload{data, size, release, owner, {1}};
    bool good = payload != nullptr;
    for (unsigned i = 0; i < CHANNEL_GROUP_SHARDS && good; i++) {
        Shard *shard = &this->shards_[i];
        sys_lock(&shard->lock);
        if (shard->count > 0) {
            Broadcast *order = orders[i] = make_order(shard->count, payload);
            good = order != nullptr;
            for (CommChannelCore *c = shard->first; c && good; c = c->group_next) {
                order->add(c->channel, c->entry.load()->poller->pool);
            }
        }
        sys_unlock(&shard->lock);
    }
    return this->send_orders(orders, payload, good, release, owner);
}

int CommChannelGroup::broadcast(CommChannel *const *channels, size_t count, const char *data,
                                size_t size, void (*release)(void *owner), void *owner) {
    Broadcast *orders[CHANNEL_GROUP_SHARDS] = {};
    size_t counts[CHANNEL_GROUP_SHARDS] = {};
    Payload *payload = new (std::nothrow) Payload{data, size, release, owner, {1}};
    bool good = payload != nullptr;
    auto place = [&](size_t i) {
        const CommChannelCore *core = channels[i]->core_;
        return core && core->entry ? core->shard : CHANNEL_GROUP_SHARDS;
    };
    for (size_t i = 0; i < count; i++) {
        if (place(i) < CHANNEL_GROUP_SHARDS)
            counts[place(i)]++;
    }
    for (unsigned i = 0; i < CHANNEL_GROUP_SHARDS && good; i++) {
        orders[i] = counts[i] ? make_order(counts[i], payload) : nullptr;
        good = counts[i] == 0 || orders[i];
    }
    for (size_t i = 0; i < count && good; i++) {
        // One that was connected since they were counted has no place.
        Broadcast *order = place(i) < CHANNEL_GROUP_SHARDS ? orders[place(i)] : nullptr;
        if (order && order->count < counts[place(i)])
            CommChannelMachine::if_live(channels[i]->core_, [&](struct mpoller *engine) {
                order->add(channels[i], engine);
            });
    }
    return this->send_orders(orders, payload, good, release, owner);
}

int CommChannelGroup::send_orders(Broadcast **orders, Payload *payload, bool good,
                                  void (*release)(void *owner), void *owner) {
    this->post(orders, good);
    if (payload)
        payload->unref();
    else
        release(owner);
    errno = ENOMEM;
    return good ? 0 : -1;
}
