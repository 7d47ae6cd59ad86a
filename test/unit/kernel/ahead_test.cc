// Weft - reading ahead: what has come on several connections at once is read before the first of them is told
// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <map>

#include "kernel_support.h"
#include "workflow/CommChannel.h"

namespace {

using namespace kt;

class Talk;

// Says to its owner what it was shown, and takes of it what that says.
class Speaker : public CommChannel {
public:
    explicit Speaker(Talk *owner) : owner_(owner) {}
    uint64_t bytes_received() const {
        struct CommChannelInfo info;
        this->get_info(&info);
        return info.bytes_received;
    }
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

int Speaker::receive(const char *buf, size_t *size) {
    size_t taken = owner_->shown(this, std::string(buf, *size));
    int result = taken < *size;
    *size = taken;
    return result;
}

void Speaker::handle(const struct CommChannelEvent &event) {
    if (event.type == CCE_FINISHED)
        owner_->add(number, "F");
    else if (event.type == CCE_CLOSED)
        owner_->add(number, event.reason == CCR_PEER_RESET ? "R" : "C");
}

} // namespace

TEST_F(Talk, AllHaveBeenReadWhenTheFirstIsTold) {
    std::atomic<int> asked{0};
    std::atomic<uint64_t> read{0};
    on_bytes = [&](Speaker *, const std::string &bytes) {
        if (asked++ == 0) {
            for (Speaker *speaker : speakers_)
                read += speaker->bytes_received();
        }
        return bytes.size();
    };
    speak("word");
    ASSERT_TRUE(wait_heard(4 * COUNT));
    EXPECT_EQ(read, 5 * COUNT);
    EXPECT_EQ(asked, static_cast<int>(COUNT)); // each once
    EXPECT_EQ(heard(), same_of_all("word"));
}

// It waits in the channel, and is shown once.
TEST_F(Talk, WhoIsStoppedMeanwhileIsToldLater) {
    std::atomic<Speaker *> first{nullptr};
    Latch told;
    on_bytes = [&](Speaker *speaker, const std::string &bytes) {
        Speaker *none = nullptr;
        if (first.compare_exchange_strong(none, speaker)) {
            for (Speaker *other : speakers_) {
                if (other != speaker)
                    other->stop_read();
            }
            told.down();
        }
        return bytes.size();
    };
    speak("word");
    ASSERT_TRUE(told.wait());
    EXPECT_EQ(engine_.ask("past the batch"), "past the batch");
    EXPECT_EQ(heard().size(), 1u);
    for (Speaker *speaker : speakers_)
        speaker->start_read();
    ASSERT_TRUE(wait_heard(4 * COUNT));
    EXPECT_EQ(heard(), same_of_all("word"));
}

TEST_F(Talk, WhoIsClosedMeanwhileIsNotTold) {
    std::atomic<Speaker *> first{nullptr};
    on_bytes = [&](Speaker *speaker, const std::string &bytes) {
        Speaker *none = nullptr;
        if (first.compare_exchange_strong(none, speaker)) {
            for (Speaker *other : speakers_) {
                if (other != speaker)
                    other->close();
            }
        }
        return bytes.size();
    };
    speak("word");
    ASSERT_TRUE(wait_heard(4 + COUNT - 1));
    std::map<int, std::string> expected = same_of_all("C");
    expected[first.load()->number] = "word";
    EXPECT_EQ(heard(), expected);
}

// Another worker goes on with the batch.
TEST_F(Talk, OneThatWaitsHoldsUpNoOther) {
    std::atomic<bool> first{true};
    Latch others(COUNT - 1);
    on_bytes = [&](Speaker *, const std::string &bytes) {
        if (first.exchange(false))
            EXPECT_TRUE(others.known_wait());
        else
            others.down();
        return bytes.size();
    };
    speak("word");
    ASSERT_TRUE(wait_heard(4 * COUNT));
    EXPECT_EQ(heard(), same_of_all("word"));
}

TEST_F(Talk, WhatIsLongerThanIsReadAheadStaysInOrder) {
    std::string text;
    for (int i = 0; text.size() < 100000; i++)
        text += std::to_string(i) + ' ';
    size_t before = 0;
    std::string expected;
    for (size_t size : {size_t{4095}, size_t{4096}, size_t{4097}, text.size(), size_t{3}}) {
        speak(text.substr(0, size));
        expected += text.substr(0, size);
        before += size * COUNT;
        ASSERT_TRUE(wait_heard(before));
        EXPECT_EQ(heard(), same_of_all(expected)) << size;
    }
}

// Of an odd number of bytes the last waits for its fellow.
TEST_F(Talk, WhatWasLeftStandsInFrontOfWhatIsReadAhead) {
    on_bytes = [](Speaker *, const std::string &bytes) { return bytes.size() / 2 * 2; };
    speak("abc");
    ASSERT_TRUE(wait_heard(2 * COUNT));
    EXPECT_EQ(heard(), same_of_all("ab"));
    on_bytes = [](Speaker *speaker, const std::string &bytes) {
        EXPECT_EQ(bytes, "cd") << speaker->number;
        return bytes.size();
    };
    speak("d");
    ASSERT_TRUE(wait_heard(4 * COUNT));
    EXPECT_EQ(heard(), same_of_all("abcd"));
}

TEST_F(Talk, AnEndOrABreakIsFoundBehindTheBytes) {
    {
        HeldPollers held(engine_.pool());
        for (Peer &peer : peers_)
            EXPECT_TRUE(peer.send("word"));
        peers_[0].finish();
        peers_[1].reset();
        peers_[2].finish();
    }
    ASSERT_TRUE(wait_heard(4 * COUNT + 5)); // two ends in order, and a break
    std::map<int, std::string> expected = same_of_all("word");
    expected[0] = expected[2] = "wordFC";
    expected[1] = "wordR";
    EXPECT_EQ(heard(), expected);
}

// A message has a second to become whole. When its rest is read ahead just as the second is over,
// it has come in time.
class Halves : public Talk {
protected:
    Halves() { options_.message_timeout = 1000; }
};

TEST_F(Halves, WhatWasReadAheadSpeaksForThePeer) {
    Peer conductor;
    ASSERT_TRUE(conductor.connect(engine_.service.port()));
    ASSERT_TRUE(conductor.send_frame("ready"));
    ASSERT_EQ(conductor.frame(), "ready");
    engine_.service.process = [&](Served *served) { // on the poller's driver
        EXPECT_TRUE(peers_[0].send("lf"));
        EXPECT_TRUE(peers_[1].send("lf"));
        served->answer("done");
    };
    Latch halves(COUNT);
    on_bytes = [&](Speaker *, const std::string &bytes) {
        if (bytes == "ha")
            halves.down();
        return bytes == "half" ? bytes.size() : 0;
    };
    speak("ha");
    ASSERT_TRUE(halves.wait());
    {
        // The timers fire behind the conductor's callback, in the look that finds the rest.
        HeldPollers held(engine_.pool());
        EXPECT_FALSE(Latch().wait(std::chrono::milliseconds(1100)));
        EXPECT_TRUE(conductor.send_frame("go"));
    }
    ASSERT_TRUE(wait_heard(2 * 4 + COUNT - 2));
    std::map<int, std::string> expected = same_of_all("C");
    expected[0] = expected[1] = "half";
    EXPECT_EQ(heard(), expected);
    EXPECT_EQ(conductor.frame(), "done");
}

// One thread works on what has come, and silence has an end of one second.
class Queued : public Talk {
protected:
    Queued() : Talk(CHM_QUEUED, 1, true) { options_.idle_timeout = 1000; }
};

TEST_F(Queued, TheTimeInTheQueueIsNotThePeersSilence) {
    Latch blocked, go, told(2);
    on_bytes = [&](Speaker *speaker, const std::string &bytes) {
        if (speaker->number == 0) {
            blocked.down();
            EXPECT_TRUE(go.wait()); // which the engine is not told of
        } else {
            told.down();
        }
        return bytes.size();
    };
    ASSERT_TRUE(peers_[0].send("first"));
    ASSERT_TRUE(blocked.wait());
    {
        HeldPollers held(engine_.pool());
        EXPECT_TRUE(peers_[1].send("word"));
        EXPECT_TRUE(peers_[2].send("word"));
    }
    EXPECT_FALSE(Latch().wait(std::chrono::milliseconds(1500)));
    go.down();
    ASSERT_TRUE(told.wait());
    for (size_t i : {1, 2})
        EXPECT_TRUE(peers_[i].send("again"));
    ASSERT_TRUE(wait_heard(5 + 2 * 9 + COUNT - 3)); // and the ends of those that were silent
    std::map<int, std::string> all = heard();
    EXPECT_EQ(all[1].substr(0, 9), "wordagain");
    EXPECT_EQ(all[2].substr(0, 9), "wordagain");
}
