// Weft - reading ahead: what has come on several connections at once is read before the first of them is told
// SPDX-License-Identifier: Apache-2.0
#include "talk_support.h"

using namespace kt;

TEST_F(Talk, AllHaveBeenReadWhenTheFirstIsTold) {
    std::atomic<int> asked{0};
    std::atomic<size_t> unread{1}, kept{0};
    on_bytes = [&](Speaker *speaker, const std::string &bytes) {
        if (asked++ > 0)
            return bytes.size();
        unread = unread_at_all();
        // Where whoever takes the poller over finds it, too.
        for (Speaker *other : speakers_) {
            CommConnEntry *entry = entry_of(other);
            entry->set_lock();
            kept += other == speaker ? 0 : entry->input_size();
            entry->unlock();
        }
        return bytes.size();
    };
    {
        HeldPollers held(engine_.pool());
        for (Peer &peer : peers_)
            EXPECT_TRUE(peer.send("word"));
        EXPECT_EQ(unread_at_all(), 4 * COUNT);
    }
    ASSERT_TRUE(wait_heard(4 * COUNT));
    EXPECT_EQ(unread, 0u);
    EXPECT_EQ(kept, 4 * (COUNT - 1));
    EXPECT_EQ(asked, static_cast<int>(COUNT)); // each once
    EXPECT_EQ(heard(), same_of_all("word"));
}

// A break that was found behind bytes which nobody has seen would take them along.
TEST_F(Talk, NothingIsReadBehindWhatNobodyHasSeen) {
    std::atomic<bool> first{true};
    std::atomic<size_t> refused{0};
    on_bytes = [&](Speaker *speaker, const std::string &bytes) {
        if (first.exchange(false)) {
            for (Speaker *other : speakers_) {
                struct pollable *node = entry_of(other);
                if (other != speaker && !node->ops->stream->ahead(node, EPOLLIN))
                    refused++;
            }
        }
        return bytes.size();
    };
    speak("word");
    ASSERT_TRUE(wait_heard(4 * COUNT));
    EXPECT_EQ(refused, COUNT - 1);
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
    for (size_t size : {size_t{999}, size_t{1000}, size_t{1001}, size_t{1500}, size_t{2},
                        size_t{1000}, text.size(), size_t{3}}) {
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
