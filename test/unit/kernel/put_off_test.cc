// Weft - putting off: what the callbacks of a batch send leaves together, behind the last of them
// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <memory>
#include <thread>

#include "kernel/channel.h"
#include "talk_support.h"

namespace {

using namespace kt;

// What has come to it, without waiting.
size_t arrived(const Peer &peer) { return unread_bytes(peer.fd()); }

void work(std::chrono::microseconds time) {
    auto until = std::chrono::steady_clock::now() + time;
    while (std::chrono::steady_clock::now() < until)
        ;
}

class PutOff : public Talk {
protected:
    // Nothing leaves because a machine was slow.
    explicit PutOff(bool watch = false) : Talk(CHM_INLINE, 20, watch) {
        engine_.pool()->put_off_ns = UINT64_MAX;
    }
    size_t arrived_at_all() const {
        size_t sum = 0;
        for (const Peer &peer : peers_)
            sum += arrived(peer);
        return sum;
    }
    // Each connection's answer to a word: `answer` is called on its turn, with its place in line.
    void answer_words(std::function<void(Speaker *, size_t)> answer) {
        auto answered = std::make_shared<Latch>(COUNT);
        on_bytes = [this, answer, answered](Speaker *speaker, const std::string &bytes) {
            answer(speaker, turn_++);
            answered->down();
            return bytes.size();
        };
        speak("word");
        ASSERT_TRUE(answered->wait());
    }
    // As if the callbacks of its service had been timed for long enough.
    void seem_slow(const Peer &peer) {
        HeldPollers held(engine_.pool());
        __atomic_store_n(&entry_of(peer)->site->mean_ns, 1000000, __ATOMIC_RELAXED);
    }
    std::atomic<size_t> turn_{0};
};

struct Piece : CommPiece {
    explicit Piece(std::string bytes_in) : CommPiece{}, bytes(std::move(bytes_in)) {
        data = bytes.data();
        size = bytes.size();
        release = [](CommPiece *piece) { delete static_cast<Piece *>(piece); };
    }
    const std::string bytes;
};

// The poller's step is taken here, by its driver: what the program does meanwhile comes in between.
class Leaving : public PutOff {
protected:
    // Of the first connection, which has put "late!" off: `meanwhile` while that is being sent, of
    // which `done` bytes are, or which fails with a negative errno.
    void leave(ssize_t done, std::function<void(Speaker *)> meanwhile) {
        std::atomic<Speaker *> first{nullptr};
        answer_words([&](Speaker *speaker, size_t turn) {
            if (turn == 0) {
                first = speaker;
                number_ = speaker->number; // it may be gone behind this
                EXPECT_EQ(speaker->send("late!", 5), 0);
            } else if (turn == COUNT - 1) {
                struct pollable *node = entry_of(first.load());
                weft_block *block;
                ASSERT_TRUE(node->ops->stream->flush(node, true, &block) && block);
                std::thread([&] { meanwhile(first); }).join(); // the driver is inside the poller
                if (done > 0) {
                    ASSERT_EQ(::send(node->fd, block->bytes, static_cast<size_t>(done), 0), done);
                }
                node->ops->stream->flushed(node, block, done);
            }
        });
    }
    Peer &peer() { return peers_[static_cast<size_t>(number_)]; }

    int number_ = 0;
};

class PutOffWatched : public PutOff {
protected:
    PutOffWatched() : PutOff(true) {}
};

} // namespace

TEST_F(PutOff, AllLeavesBehindTheLastCallback) {
    std::atomic<size_t> before{1}, queued{0};
    answer_words([&](Speaker *speaker, size_t turn) {
        EXPECT_EQ(speaker->send("answer", 6), 0);
        queued += speaker->queued();
        if (turn == COUNT - 1)
            before = arrived_at_all();
    });
    for (Peer &peer : peers_)
        EXPECT_EQ(peer.receive(6), "answer");
    EXPECT_EQ(before, 0u);
    EXPECT_EQ(queued, 6 * COUNT);
    HeldPollers held(engine_.pool()); // past the batch
    for (const Speaker *speaker : speakers_)
        EXPECT_EQ(speaker->queued(), 0u);
}

// Nobody waits for others who has none beside it.
TEST_F(PutOff, OneAloneSendsAtOnce) {
    std::atomic<size_t> inside{0};
    on_bytes = [&](Speaker *speaker, const std::string &bytes) {
        EXPECT_EQ(speaker->send("answer", 6), 0);
        inside = arrived(peers_[0]);
        return bytes.size();
    };
    ASSERT_TRUE(peers_[0].send("word"));
    ASSERT_TRUE(wait_heard(4));
    EXPECT_EQ(inside, 6u);
}

// Whatever stands behind what was put off: more of it, more than it may be, pieces of others.
TEST_F(PutOff, TheOrderStays) {
    const std::string great(700, 'g'), greater(3000, 'h');
    answer_words([&](Speaker *speaker, size_t) {
        EXPECT_EQ(speaker->send("a", 1), 0);
        EXPECT_EQ(speaker->send("b", 1), 0);
        EXPECT_EQ(speaker->send(great.data(), great.size()), 0);
        EXPECT_EQ(speaker->send(great.data(), great.size()), 0); // finds no room beside the others
        EXPECT_EQ(speaker->send("c", 1), 0);
        EXPECT_EQ(speaker->send(greater.data(), greater.size()), 0);
        EXPECT_EQ(speaker->send("d", 1), 0);
        EXPECT_EQ(speaker->send(new Piece("piece")), 0);
        EXPECT_EQ(speaker->send("e", 1), 0);
    });
    const std::string expected = "ab" + great + great + "c" + greater + "dpiecee";
    for (Peer &peer : peers_)
        EXPECT_EQ(peer.receive(expected.size()), expected);
}

// Another thread's bytes stand behind, and wait for nobody.
TEST_F(PutOff, AnotherThreadSendsAtOnce) {
    std::atomic<size_t> at_once{0};
    answer_words([&](Speaker *speaker, size_t) {
        EXPECT_EQ(speaker->send("1", 1), 0);
        std::thread([&] { EXPECT_EQ(speaker->send("2", 1), 0); }).join();
        at_once += arrived(peers_[static_cast<size_t>(speaker->number)]);
        EXPECT_EQ(speaker->send("3", 1), 0);
    });
    EXPECT_EQ(at_once, 2 * COUNT);
    for (Peer &peer : peers_)
        EXPECT_EQ(peer.receive(3), "123");
}

TEST_F(PutOff, AnEndFindsItSent) {
    answer_words([&](Speaker *speaker, size_t turn) {
        EXPECT_EQ(speaker->send("last", 4), 0);
        if (turn % 2 == 0)
            speaker->close();
        else
            speaker->shutdown();
    });
    for (Peer &peer : peers_)
        EXPECT_EQ(peer.until_end(), "last");
}

TEST_F(PutOff, AnEndOfAnotherFindsItSent) {
    std::atomic<Speaker *> before{nullptr};
    answer_words([&](Speaker *speaker, size_t) {
        EXPECT_EQ(speaker->send("last", 4), 0);
        Speaker *other = before.exchange(speaker);
        if (other)
            other->close();
    });
    before.load()->close();
    for (Peer &peer : peers_)
        EXPECT_EQ(peer.until_end(), "last");
}

// Who refuses what the peer has said may say why.
TEST_F(PutOff, LastWordsAreHeard) {
    on_bytes = [&](Speaker *speaker, const std::string &bytes) {
        EXPECT_EQ(speaker->send("sorry", 5), 0);
        return bytes.size() + 1; // which no callback can have taken
    };
    speak("word");
    for (Peer &peer : peers_)
        EXPECT_EQ(peer.until_end(), "sorry");
}

// A job of the ready list, behind a batch whose last event has become stale.
TEST_F(PutOff, NotOutsideOfEvents) {
    struct Job : weft_job {
        std::function<void()> body;
    } job;
    Latch done;
    size_t inside = 0;
    std::atomic<bool> first{true};
    on_bytes = [&](Speaker *speaker, const std::string &bytes) {
        if (!first.exchange(false))
            return bytes.size();
        job.body = [&, speaker] {
            EXPECT_EQ(speaker->send("answer", 6), 0);
            inside = arrived(peers_[static_cast<size_t>(speaker->number)]);
            done.down();
        };
        job.run = [](struct weft_job *j) { static_cast<Job *>(j)->body(); };
        mpoller_defer(engine_.pool(), &job);
        for (Speaker *other : speakers_) {
            if (other != speaker)
                other->close();
        }
        return bytes.size();
    };
    speak("word");
    ASSERT_TRUE(done.wait());
    EXPECT_EQ(inside, 6u);
}

// The peer has gone: the connection is found broken when it is sent, and the others are unharmed.
TEST_F(PutOff, WhoHasGoneIsNoticed) {
    std::atomic<size_t> reset{COUNT};
    answer_words([&](Speaker *speaker, size_t turn) {
        EXPECT_EQ(speaker->send("first", 5), 0);
        if (turn == 0) {
            reset = static_cast<size_t>(speaker->number);
            peers_[reset].reset();
        }
    });
    for (size_t i = 0; i < COUNT; i++) {
        if (i != reset) {
            EXPECT_EQ(peers_[i].receive(5), "first");
        }
    }
    ASSERT_TRUE(wait_heard(4 * COUNT + 1));
    EXPECT_EQ(heard()[static_cast<int>(reset)], "wordR");
}

// One that is told of: nothing may depend on who else is in the batch.
TEST_F(PutOff, AKnownWaitSendsItFirst) {
    std::atomic<size_t> answered{0};
    answer_words([&](Speaker *speaker, size_t turn) {
        EXPECT_EQ(speaker->send("answer", 6), 0);
        if (turn > 0)
            return;
        int cookie = kernel_wait_begin();
        // By us, though whoever drives next would send it as well. It may have, by now.
        EXPECT_EQ(arrived(peers_[static_cast<size_t>(speaker->number)]), 6u);
        if (peers_[static_cast<size_t>(speaker->number)].receive(6) == "answer")
            answered++;
        kernel_wait_end(cookie);
    });
    EXPECT_EQ(answered, 1u);
}

// One that it is not told of: the worker that takes the poller over sends what was put off.
TEST_F(PutOffWatched, ARelaySendsIt) {
    std::atomic<size_t> answered{0};
    answer_words([&](Speaker *speaker, size_t turn) {
        EXPECT_EQ(speaker->send("answer", 6), 0);
        if (turn == 2 && peers_[static_cast<size_t>(speaker->number)].receive(6) == "answer")
            answered++;
    });
    EXPECT_EQ(answered, 1u);
}

// Somebody has the lock of one: the others do not wait for that, and that one is not forgotten.
TEST_F(PutOff, OneThatSomebodyHasLeavesLast) {
    std::atomic<int> first{-1};
    Latch locked, sent;
    std::thread locker;
    answer_words([&](Speaker *speaker, size_t turn) {
        EXPECT_EQ(speaker->send("answer", 6), 0);
        if (turn == 0)
            first = speaker->number;
        if (turn < COUNT - 1)
            return;
        CommConnEntry *entry = entry_of(peers_[static_cast<size_t>(first)]);
        locker = std::thread([&, entry] {
            entry->set_lock();
            locked.down();
            EXPECT_TRUE(sent.wait());
            entry->unlock();
        });
        EXPECT_TRUE(locked.wait());
    });
    Peer &last = peers_[static_cast<size_t>(first)];
    for (Peer &peer : peers_) {
        if (&peer != &last) {
            EXPECT_EQ(peer.receive(6), "answer");
        }
    }
    EXPECT_EQ(arrived(last), 0u);
    sent.down();
    EXPECT_EQ(last.receive(6), "answer");
    locker.join();
}

// Others of the batch wait for a quick callback, not for one that takes its time.
TEST_F(PutOff, NotBehindSlowCallbacks) {
    seem_slow(peers_[0]);
    std::atomic<size_t> at_last{0}, turn{0};
    on_bytes = [&](Speaker *speaker, const std::string &bytes) {
        EXPECT_EQ(speaker->send("answer", 6), 0);
        if (turn++ == COUNT - 1)
            at_last = arrived_at_all();
        return bytes.size();
    };
    speak("word");
    ASSERT_TRUE(wait_heard(4 * COUNT));
    EXPECT_EQ(at_last, 6 * COUNT);
}

// Nor long behind others, whatever they do.
TEST_F(PutOff, NotLongBehindOthers) {
    std::atomic<size_t> in_time{0};
    const Peer *first = nullptr;
    engine_.pool()->put_off_ns = PUT_OFF_NS;
    answer_words([&](Speaker *speaker, size_t turn) {
        if (turn == 0) {
            EXPECT_EQ(speaker->send("answer", 6), 0);
            first = &peers_[static_cast<size_t>(speaker->number)];
        } else if (turn == 1) {
            work(std::chrono::milliseconds(1));
        } else if (turn == 2) {
            in_time = arrived(*first);
        }
    });
    EXPECT_EQ(in_time, 6u);
}

// Nor behind callbacks of others that are known to be slow.
TEST_F(PutOff, NotBehindSlowCallbacksOfOthers) {
    Peer slow;
    ASSERT_TRUE(slow.connect(engine_.service.port()));
    std::atomic<size_t> in_time{0};
    engine_.service.process = [&](Served *served) {
        in_time = arrived(peers_[0]);
        served->answer("done");
    };
    ASSERT_TRUE(slow.send_frame("work"));
    ASSERT_EQ(slow.frame(), "done");
    seem_slow(slow);
    on_bytes = [](Speaker *speaker, const std::string &bytes) {
        EXPECT_EQ(speaker->send("answer", 6), 0);
        return bytes.size();
    };
    {
        HeldPollers held(engine_.pool());
        EXPECT_TRUE(peers_[0].send("word")); // which is found first
        EXPECT_TRUE(slow.send_frame("work"));
    }
    EXPECT_EQ(slow.frame(), "done");
    EXPECT_EQ(in_time, 6u);
}

// A mark that it would cross is crossed as ever.
class PutOffMarks : public PutOff {
protected:
    PutOffMarks() {
        options_.high_water = 5;
        options_.low_water = 0;
        options_.tell_written = true;
    }
};

TEST_F(PutOffMarks, NotAboveTheHighWaterMark) {
    std::atomic<size_t> at_last{0};
    answer_words([&](Speaker *speaker, size_t turn) {
        EXPECT_EQ(speaker->send("answer", 6), 0);
        if (turn == COUNT - 1)
            at_last = arrived_at_all();
    });
    EXPECT_EQ(at_last, 6 * COUNT);
}

TEST_F(PutOffMarks, WhatWasWrittenIsTold) {
    answer_words([&](Speaker *speaker, size_t) { EXPECT_EQ(speaker->send("yes", 3), 0); });
    ASSERT_TRUE(wait_heard(5 * COUNT));
    EXPECT_EQ(heard(), same_of_all("wordW"));
    for (Peer &peer : peers_)
        EXPECT_EQ(peer.receive(3), "yes");
}

TEST_F(Leaving, WhatIsSentMeanwhileStandsBehind) {
    for (ssize_t done : {ssize_t{5}, ssize_t{2}, ssize_t{-EAGAIN}}) {
        turn_ = 0;
        leave(done, [](Speaker *speaker) {
            EXPECT_EQ(speaker->send("and", 3), 0);
            EXPECT_EQ(speaker->queued(), 8u);
        });
        EXPECT_EQ(peer().receive(8), "late!and") << done;
    }
}

TEST_F(Leaving, PiecesThatAreSentMeanwhileStandBehind) {
    for (ssize_t done : {ssize_t{5}, ssize_t{2}, ssize_t{-EAGAIN}}) {
        turn_ = 0;
        leave(done, [](Speaker *speaker) { EXPECT_EQ(speaker->send(new Piece("and")), 0); });
        EXPECT_EQ(peer().receive(8), "late!and") << done;
    }
}

// The machine runs in that moment and is told of room.
TEST_F(Leaving, RoomThatIsFoundMeanwhileIsLeftAlone) {
    for (ssize_t done : {ssize_t{5}, ssize_t{2}, ssize_t{-EAGAIN}}) {
        turn_ = 0;
        leave(done, [this](Speaker *speaker) {
            EXPECT_EQ(speaker->send("and", 3), 0);
            CommConnEntry *entry = entry_of(speaker);
            entry->set_lock();
            entry->note(EPOLLOUT);
            CommChannelMachine::run(entry);
        });
        EXPECT_EQ(peer().receive(8), "late!and") << done;
    }
}

TEST_F(Leaving, OurEndStandsBehind) {
    leave(2, [](Speaker *speaker) { speaker->shutdown(); });
    EXPECT_EQ(peer().until_end(), "late!");
}

TEST_F(Leaving, AnEndAtOnceLeavesNothingBehind) {
    leave(5, [](Speaker *speaker) { speaker->close(); });
    EXPECT_EQ(peer().until_end(), "late!");
    ASSERT_TRUE(wait_heard(4 * COUNT + 1));
}

TEST_F(Leaving, ABreakIsTold) {
    leave(-EPIPE, [](Speaker *speaker) { EXPECT_EQ(speaker->send("and", 3), 0); });
    peer().close(); // until then the peer may have more to say
    ASSERT_TRUE(wait_heard(4 * COUNT + 1));
    EXPECT_EQ(heard()[number_], "wordR");
}

// Who says why and then closes is heard, though it was only queued for our sake.
TEST_F(Leaving, AnEndStandsBehindWhatIsSentMeanwhile) {
    leave(5, [](Speaker *speaker) {
        EXPECT_EQ(speaker->send("bye", 3), 0);
        speaker->close();
    });
    EXPECT_EQ(peer().until_end(), "late!bye");
}

TEST_F(Leaving, TheSumsAreRight) {
    struct CommChannelInfo info;
    Speaker *left = nullptr;
    leave(5, [&](Speaker *speaker) {
        EXPECT_EQ(speaker->send(new Piece("")), 0);
        left = speaker;
        left->ref();
    });
    EXPECT_EQ(peer().receive(5), "late!");
    EXPECT_EQ(engine_.ask("past the batch"), "past the batch");
    left->get_info(&info);
    EXPECT_EQ(info.bytes_sent, 5u);
    EXPECT_EQ(info.queued, 0u);
    EXPECT_EQ(group_->get_backlog(), 0u);
    left->unref();
}

TEST_F(Leaving, WhatHasLeftIsCountedBehindAnEnd) {
    struct CommChannelInfo info;
    Speaker *left = nullptr;
    leave(5, [&](Speaker *speaker) {
        left = speaker;
        left->ref();
        left->close();
    });
    EXPECT_EQ(peer().until_end(), "late!");
    left->get_info(&info);
    EXPECT_EQ(info.bytes_sent, 5u);
    left->unref();
}
