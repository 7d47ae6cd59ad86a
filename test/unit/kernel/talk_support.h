// Weft - support for tests of channels: a server, and clients that speak all at once
// SPDX-License-Identifier: Apache-2.0
#ifndef WEFT_TEST_TALK_SUPPORT_H
#define WEFT_TEST_TALK_SUPPORT_H

#include <array>
#include <map>
#include <sys/ioctl.h>

#include "kernel/entry.h"
#include "kernel_support.h"
#include "workflow/CommChannel.h"

namespace kt {

// What has come to a socket and was not received. On this machine what was sent has come.
inline size_t unread_bytes(int fd) {
    int bytes = 0;
    EXPECT_EQ(ioctl(fd, FIONREAD, &bytes), 0);
    return static_cast<size_t>(bytes);
}

class Talk;

// Says to its owner what it was shown, and takes of it what that says.
class Speaker : public CommChannel {
public:
    explicit Speaker(Talk *owner) : owner_(owner) {}
    size_t queued() const { return this->get_queued(); }
    int number = -1; // what it said first
    bool gone = false;

private:
    int receive(const char *buf, size_t *size) override;
    void handle(const struct CommChannelEvent &event) override;
    Talk *const owner_;
};

// A server of channels with one poller, and clients that speak while nobody listens, so that what
// they said is found in one look.
class Talk : public testing::Test {
public:
    static constexpr size_t COUNT = 8;

    // What is done when a channel is shown bytes; how many are taken.
    std::function<size_t(Speaker *, const std::string &)> on_bytes;

    size_t shown(Speaker *speaker, const std::string &bytes) {
        if (speaker->number < 0) {
            speaker->number = bytes[0] - '0';
            speakers_[static_cast<size_t>(speaker->number)] = speaker;
            introduced_.down();
            return 1;
        }
        size_t taken = on_bytes ? on_bytes(speaker, bytes) : bytes.size();
        add(speaker->number, bytes.substr(0, taken));
        return taken;
    }
    void add(int number, const std::string &text) {
        std::lock_guard<std::mutex> guard(mutex_);
        heard_[number] += text;
        count_ += text.size();
        changed_.notify_all();
    }

protected:
    class Server : public Service {
    public:
        Talk *owner = nullptr;
        using CommService::set_channels;

    private:
        CommChannel *new_channel(CommConnection *) override { return new Speaker(owner); }
    };

    void SetUp() override {
        group_ = CommChannelGroup::create(options_);
        server_.owner = this;
        server_.set_channels(group_);
        ASSERT_EQ(server_.bind(&engine_.sched), 0);
        for (size_t i = 0; i < COUNT; i++) {
            ASSERT_TRUE(peers_[i].connect(server_.port()));
            ASSERT_TRUE(peers_[i].send(std::to_string(i)));
        }
        ASSERT_TRUE(introduced_.wait());
    }
    void TearDown() override {
        for (Peer &peer : peers_)
            peer.close();
        EXPECT_TRUE(server_.unbind_and_wait());
        server_.deinit();
        group_->unref();
    }
    // All of them at once.
    void speak(const std::string &text) {
        HeldPollers held(engine_.pool());
        for (Peer &peer : peers_)
            EXPECT_TRUE(peer.send(text));
    }
    // The connection of one.
    CommConnEntry *entry_of(const Speaker *speaker) {
        return entry_of(peers_[static_cast<size_t>(speaker->number)]);
    }
    CommConnEntry *entry_of(const Peer &peer) {
        struct sockaddr_in own, other;
        socklen_t len = sizeof own;
        EXPECT_EQ(getsockname(peer.fd(), reinterpret_cast<struct sockaddr *>(&own), &len), 0);
        const weft_poller *poller = engine_.pool()->pollers;
        for (int32_t i = 0; i < poller->slot_count; i++) {
            struct pollable *node = poller->slots[i].node;
            len = sizeof other;
            if (node && node->ops->stream &&
                getpeername(node->fd, reinterpret_cast<struct sockaddr *>(&other), &len) == 0 &&
                other.sin_port == own.sin_port)
                return static_cast<CommConnEntry *>(node);
        }
        abort();
    }
    // By the server, of all that was sent to it; while its poller is held, or from its callback.
    size_t unread_at_all() {
        size_t sum = 0;
        for (const Peer &peer : peers_)
            sum += unread_bytes(entry_of(peer)->fd);
        return sum;
    }
    // Until so many bytes were heard in all, and letters of events.
    bool wait_heard(size_t count) {
        std::unique_lock<std::mutex> guard(mutex_);
        return changed_.wait_for(guard, PATIENCE, [&] { return count_ >= count; });
    }
    std::map<int, std::string> heard() {
        std::lock_guard<std::mutex> guard(mutex_);
        return heard_;
    }
    std::map<int, std::string> same_of_all(const std::string &text) {
        std::map<int, std::string> all;
        for (size_t i = 0; i < COUNT; i++)
            all[static_cast<int>(i)] = text;
        return all;
    }

    explicit Talk(enum CommHandlerMode mode = CHM_INLINE, size_t handlers = 20, bool watch = false)
        : engine_(mode, 1, handlers, watch) {}

    Engine engine_;
    Server server_;
    CommChannelOptions options_;
    CommChannelGroup *group_ = nullptr;
    std::array<Peer, COUNT> peers_;
    std::array<Speaker *, COUNT> speakers_{};
    Latch introduced_{COUNT};
    std::mutex mutex_;
    std::condition_variable changed_;
    std::map<int, std::string> heard_;
    size_t count_ = 0;
};

inline int Speaker::receive(const char *buf, size_t *size) {
    size_t taken = owner_->shown(this, std::string(buf, *size));
    int result = taken < *size;
    *size = taken;
    return result;
}

inline void Speaker::handle(const struct CommChannelEvent &event) {
    if (event.type == CCE_FINISHED)
        owner_->add(number, "F");
    else if (event.type == CCE_WRITTEN)
        owner_->add(number, "W");
    else if (event.type == CCE_CLOSED)
        owner_->add(number, event.reason == CCR_PEER_RESET ? "R" : "C");
}

} // namespace kt

#endif
