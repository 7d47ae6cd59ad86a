// Weft - relay: callbacks that block or wait stall nobody, in each mode and with 1, 2 and 8 pollers
// SPDX-License-Identifier: Apache-2.0
#include "kernel_support.h"

#include <string.h>

namespace {

using namespace kt;

class Relay : public testing::TestWithParam<std::tuple<int, int>> {
protected:
    enum CommHandlerMode mode() const {
        return static_cast<enum CommHandlerMode>(std::get<0>(GetParam()));
    }
    size_t pollers() const { return static_cast<size_t>(std::get<1>(GetParam())); }
};

// Sends `n` requests and waits for all answers to be good.
void expect_echoes(Engine &engine, int n) {
    Latch done(n);
    std::atomic<int> good{0};
    for (int i = 0; i < n; i++) {
        std::string body = "echo " + std::to_string(i);
        engine.send(body, [&, body](Request *r) {
            good += r->get_state() == CS_STATE_SUCCESS && r->response.body == body;
            done.down();
        });
    }
    ASSERT_TRUE(done.wait()) << done.left() << " of " << n << " answers are missing";
    EXPECT_EQ(good, n);
}

// Every handler starts a timer of no time and waits for its callback.
void wait_for_timer(Engine &engine, bool known) {
    engine.service.process = [&, known](Served *s) {
        Latch ended;
        engine.after(0, [&](Timer *) { ended.down(); });
        EXPECT_TRUE(known ? ended.known_wait() : ended.wait());
        s->answer(s->request.body);
    };
    expect_echoes(engine, 40);
}

TEST_P(Relay, ACallbackWaitsForATaskThatEndsAtOnce) {
    Engine engine(mode(), pollers());
    wait_for_timer(engine, true);
}

TEST_P(Relay, ACallbackWaitsForATaskThatEndsAtOnceUndeclared) {
    Engine engine(mode(), pollers(), 60);
    wait_for_timer(engine, false);
}

// The server that is called lives on the same pollers as the handler that waits for it.
void call_and_wait(Engine &engine, bool known) {
    Service inner;
    Target inner_target;
    ASSERT_EQ(inner.bind(&engine.sched), 0);
    ASSERT_EQ(inner_target.start(inner.address()), 0);
    engine.service.process = [&, known](Served *s) {
        Latch done;
        std::string answer;
        engine.send(
            s->request.body,
            [&](Request *r) {
                answer = r->response.body;
                done.down();
            },
            &inner_target);
        EXPECT_TRUE(known ? done.known_wait() : done.wait());
        s->answer(answer);
    };
    expect_echoes(engine, 40);
    inner_target.deinit();
    EXPECT_TRUE(inner.unbind_and_wait());
    inner.deinit();
}

TEST_P(Relay, ACallbackCallsAServerOnItsOwnPollerAndWaits) {
    Engine engine(mode(), pollers());
    call_and_wait(engine, true);
}

TEST_P(Relay, ACallbackCallsAServerOnItsOwnPollerAndWaitsUndeclared) {
    Engine engine(mode(), pollers(), 100);
    call_and_wait(engine, false);
}

TEST_P(Relay, ACallbackWaitsForTheEndOfAnotherServer) {
    for (bool known : {true, false}) {
        Engine engine(mode(), pollers());
        Service other;
        Peer idle, fresh;
        ASSERT_EQ(other.bind(&engine.sched), 0);
        ASSERT_TRUE(idle.connect(other.port()) && fresh.connect(other.port()));
        ASSERT_TRUE(idle.send_frame("x"));
        ASSERT_EQ(idle.frame(), "x");
        engine.service.process = [&](Served *s) {
            other.unbind();
            EXPECT_TRUE(known ? other.unbound.known_wait() : other.unbound.wait());
            s->answer("ended");
        };
        EXPECT_EQ(engine.ask("go"), "ended");
        EXPECT_TRUE(idle.at_end());
        EXPECT_TRUE(fresh.at_end());
        other.deinit();
    }
}

TEST_P(Relay, AcceptsAndTimeoutsGoOnWhileAllHandlersBlock) {
    constexpr int HANDLERS = 4;
    Engine engine(mode(), pollers(), HANDLERS);
    Service other;
    Latch release, inside(HANDLERS), accepted, answered(2 * HANDLERS);
    CommServiceLimits limits = *other.get_limits();
    limits.first_byte_timeout = 30;
    other.set_limits(&limits);
    other.on_connection = [&](int) {
        accepted.down();
        return new CommConnection;
    };
    ASSERT_EQ(other.bind(&engine.sched), 0);
    std::atomic<int> running{0}, most{0};
    engine.service.process = [&](Served *s) {
        int now = ++running;
        for (int seen = most; now > seen && !most.compare_exchange_weak(seen, now);) {}
        inside.down();
        EXPECT_TRUE(release.wait());
        running--;
        s->answer("");
    };
    std::vector<Peer> peers(2 * HANDLERS);
    for (Peer &peer : peers) {
        ASSERT_TRUE(peer.connect(engine.service.port()));
        ASSERT_TRUE(peer.send_frame("x"));
    }
    ASSERT_TRUE(inside.wait());
    Peer silent;
    ASSERT_TRUE(silent.connect(other.port()));
    EXPECT_TRUE(accepted.wait());
    EXPECT_TRUE(silent.at_end()); // the time for its first byte ran out
    EXPECT_EQ(other.get_close_count(CCR_FIRST_BYTE_TIMEOUT), 1u);
    EXPECT_LE(most, HANDLERS); // no more callbacks than permits
    release.down();
    for (Peer &peer : peers)
        EXPECT_EQ(peer.frame(), "");
    EXPECT_LE(most, HANDLERS);
    EXPECT_TRUE(other.unbind_and_wait());
    other.deinit();
}

// DESIGN 4.2: timeouts and append are never counted, so a session can still be cut and new ones be
// received.
TEST_P(Relay, ThirtyCallbacksOf200MsWithTwentyHandlers) {
    constexpr int CALLS = 30, HANDLERS = 20;
    Engine engine(mode(), pollers(), HANDLERS);
    std::atomic<int> running{0}, most{0};
    engine.service.process = [&](Served *s) {
        int now = ++running;
        for (int seen = most; now > seen && !most.compare_exchange_weak(seen, now);) {}
        Latch never;
        EXPECT_FALSE(never.wait(std::chrono::milliseconds(200)));
        running--;
        s->answer(s->request.body);
    };
    std::vector<Peer> peers(CALLS);
    for (Peer &peer : peers)
        ASSERT_TRUE(peer.connect(engine.service.port()));
    auto begin = std::chrono::steady_clock::now();
    for (Peer &peer : peers)
        ASSERT_TRUE(peer.send_frame("x"));
    for (Peer &peer : peers)
        EXPECT_EQ(peer.frame(), "x");
    auto took = std::chrono::steady_clock::now() - begin;
    EXPECT_LE(most, HANDLERS);
    EXPECT_GT(most, HANDLERS / 2);
    // Two rounds of 200 ms are the least; one after the other would be 6 s.
    EXPECT_LT(took, std::chrono::milliseconds(2000));
}

// A batch with events, due timers and deferred completions behind one callback that blocks until
// they have all run.
TEST_P(Relay, NothingOfABatchIsLostWhenItsFirstCallbackBlocks) {
    constexpr int EVENTS = 12, TIMERS = 6, JOBS = 6;
    for (bool known : {true, false}) {
        Engine engine(mode(), pollers());
        Latch others(EVENTS - 1 + TIMERS + JOBS);
        std::atomic<bool> first{false}, counting{false};
        engine.service.process = [&](Served *s) {
            if (first.exchange(false)) {
                bool ok = known ? others.known_wait() : others.wait();
                EXPECT_TRUE(ok) << others.left() << " items were lost";
            } else if (counting) {
                others.down();
            }
            s->answer("");
        };
        std::vector<Peer> peers(EVENTS);
        for (Peer &peer : peers) {
            ASSERT_TRUE(peer.connect(engine.service.port()));
            ASSERT_TRUE(peer.send(std::string(2, '\0'))); // so that all are accepted and receiving
        }
        EXPECT_EQ(engine.ask(""), "") << "the listener has been seen to after them";
        first = counting = true;
        struct Job : weft_job {
            Latch *latch;
        } jobs[JOBS];
        {
            HeldPollers held(engine.pool());
            for (int i = 0; i < TIMERS; i++)
                engine.after(0, [&](Timer *) { others.down(); });
            for (Job &job : jobs) {
                job.latch = &others;
                job.run = [](struct weft_job *j) { static_cast<Job *>(j)->latch->down(); };
                engine.sched.get_communicator()->defer(&job);
            }
            for (Peer &peer : peers)
                ASSERT_TRUE(peer.send(std::string(2, '\0')));
        }
        for (Peer &peer : peers)
            EXPECT_EQ(peer.frame(), "");
    }
}

TEST_P(Relay, AnEventForTheEntryWhoseAppendBlocks) {
    Engine engine(mode(), pollers());
    Latch inside, release;
    engine.service.prepare = [&](Served *s) {
        s->request.on_append = [&](Message &m) {
            if (m.pieces > 1)
                return;
            inside.down();
            EXPECT_TRUE(release.wait());
        };
    };
    Peer peer;
    ASSERT_TRUE(peer.connect(engine.service.port()));
    std::string bytes = Message::frame("abcdef") + Message::frame("ghi");
    ASSERT_TRUE(peer.send(bytes.substr(0, 6)));
    ASSERT_TRUE(inside.wait());
    ASSERT_TRUE(peer.send(bytes.substr(6)));
    peer.finish();
    // Another connection on each poller is served meanwhile; the event above has been looked at by
    // then, or will be.
    engine.service.prepare = nullptr;
    expect_echoes(engine, 20);
    release.down();
    EXPECT_EQ(peer.frame(), "abcdef");
    EXPECT_EQ(peer.frame(), "ghi");
    EXPECT_TRUE(peer.at_end());
}

TEST_P(Relay, ThePeerVanishesWhileAppendBlocks) {
    Engine engine(mode(), pollers());
    Latch inside, release, freed;
    engine.service.prepare = [&](Served *s) {
        s->request.on_append = [&](Message &) {
            inside.down();
            EXPECT_TRUE(release.wait());
        };
    };
    struct Witness : CommConnection {
        explicit Witness(Latch *l) : latch(l) {}
        ~Witness() override { latch->down(); }
        Latch *latch;
    };
    bool first = true;
    engine.service.on_connection = [&](int) -> CommConnection * {
        if (!first)
            return new CommConnection;
        first = false;
        return new Witness(&freed);
    };
    Peer peer;
    ASSERT_TRUE(peer.connect(engine.service.port()));
    ASSERT_TRUE(peer.send(Message::frame("abcdef").substr(0, 6)));
    ASSERT_TRUE(inside.wait());
    peer.reset();
    engine.service.prepare = nullptr;
    expect_echoes(engine, 20);
    EXPECT_FALSE(freed.is_open());
    release.down();
    EXPECT_TRUE(freed.wait());
}

// The timers stand in a table under a mutex, as those that have names do: one may be cancelled
// while it stands there, and its callback takes it out before it is gone.
TEST_P(Relay, ADueTimerCanBeCancelled) {
    Engine engine(mode(), pollers());
    constexpr size_t TIMERS = 8;
    struct Row {
        Timer *timer = nullptr;
        bool cancelled = false;
    } rows[TIMERS];
    std::mutex mutex;
    int wrong = 0, cancelled = 0;
    Latch ended(TIMERS);
    Peer peer;
    ASSERT_TRUE(peer.connect(engine.service.port()));
    ASSERT_TRUE(peer.send_frame(""));
    ASSERT_EQ(peer.frame(), "");
    engine.service.process = [&](Served *s) {
        {
            std::lock_guard<std::mutex> guard(mutex);
            for (Row &row : rows)
                row.cancelled = row.timer && row.timer->cancel_now() == 0;
        }
        s->answer("");
    };
    {
        HeldPollers held(engine.pool());
        for (Row &row : rows) {
            Timer *t = new Timer(&engine.sched, 0, nullptr);
            t->callback = [&](Timer *self) {
                {
                    std::lock_guard<std::mutex> guard(mutex);
                    row.timer = nullptr;
                    cancelled += row.cancelled;
                    wrong +=
                        self->get_state() != (row.cancelled ? SS_STATE_ERROR : SS_STATE_COMPLETE);
                }
                ended.down();
            };
            {
                std::lock_guard<std::mutex> guard(mutex);
                row.timer = t;
            }
            t->dispatch();
        }
        ASSERT_TRUE(peer.send_frame(""));
    }
    EXPECT_EQ(peer.frame(), "");
    ASSERT_TRUE(ended.wait());
    std::lock_guard<std::mutex> guard(mutex);
    EXPECT_EQ(wrong, 0);
    if (mode() == CHM_INLINE && pollers() == 1) { // elsewhere the timers may be quicker
        EXPECT_EQ(cancelled, static_cast<int>(TIMERS));
    }
}

TEST_P(Relay, RepliesFromAComputeThreadFromTheCallerAndFromARobbedWorker) {
    Engine engine(mode(), pollers());
    std::mutex mutex;
    std::vector<Served *> waiting;
    Latch collected(10);
    engine.service.process = [&](Served *s) {
        {
            std::lock_guard<std::mutex> guard(mutex);
            waiting.push_back(s);
        }
        collected.down();
    };
    Latch done(10);
    for (int i = 0; i < 10; i++)
        engine.send("x", [&](Request *r) {
            EXPECT_EQ(r->get_state(), CS_STATE_SUCCESS);
            done.down();
        });
    ASSERT_TRUE(collected.wait());
    for (int i = 0; i < 5; i++)
        EXPECT_TRUE(waiting[static_cast<size_t>(i)]->answer("caller"));
    std::thread compute([&] {
        for (int i = 5; i < 10; i++)
            EXPECT_TRUE(waiting[static_cast<size_t>(i)]->answer("compute"));
    });
    compute.join();
    EXPECT_TRUE(done.wait());
    // Robbed: while it is inside, everything it could have driven is driven by others.
    Latch inside, release;
    engine.service.process = [&](Served *s) {
        if (s->request.body == "rob") {
            inside.down();
            EXPECT_TRUE(release.wait());
        }
        s->answer(s->request.body);
    };
    Peer peer;
    ASSERT_TRUE(peer.connect(engine.service.port()));
    ASSERT_TRUE(peer.send_frame("rob") && peer.send_frame("next"));
    ASSERT_TRUE(inside.wait());
    expect_echoes(engine, 20);
    release.down();
    EXPECT_EQ(peer.frame(), "rob");
    EXPECT_EQ(peer.frame(), "next");
}

TEST_P(Relay, PushDuringAppend) {
    Engine engine(mode(), pollers());
    Listener script;
    Target target;
    ASSERT_EQ(target.start(script.address()), 0);
    Latch inside, release, done;
    Request *request = new Request(&engine.sched, &target, "ask", [&](Request *r) {
        EXPECT_EQ(r->response.body, "answer");
        done.down();
    });
    request->response.on_append = [&](Message &m) {
        if (m.pieces > 1)
            return;
        EXPECT_EQ(m.say("fed"), 3);
        inside.down();
        EXPECT_TRUE(release.wait());
    };
    request->dispatch();
    Peer server = script.accept();
    ASSERT_EQ(server.frame(), "ask");
    ASSERT_TRUE(server.send(Message::frame("answer").substr(0, 5)));
    ASSERT_TRUE(inside.wait());
    EXPECT_EQ(engine.sched.push("pushed", 6, request), 6);
    EXPECT_EQ(server.receive(9), "fedpushed");
    release.down();
    ASSERT_TRUE(server.send(Message::frame("answer").substr(5)));
    EXPECT_TRUE(done.wait());
    target.deinit();
}

TEST_P(Relay, StaleEventsAfterTheServiceIsFreed) {
    for (bool known : {true, false}) {
        Engine engine(mode(), pollers());
        Service *other = new Service;
        ASSERT_EQ(other->bind(&engine.sched), 0);
        std::vector<Peer> peers(10);
        for (Peer &peer : peers) {
            ASSERT_TRUE(peer.connect(other->port()));
            ASSERT_TRUE(peer.send_frame("x"));
            ASSERT_EQ(peer.frame(), "x");
        }
        Peer trigger;
        ASSERT_TRUE(trigger.connect(engine.service.port()));
        ASSERT_TRUE(trigger.send(std::string(1, '\0')));
        EXPECT_EQ(engine.ask("x"), "x");
        engine.service.process = [&](Served *s) {
            other->unbind();
            EXPECT_TRUE(known ? other->unbound.known_wait() : other->unbound.wait());
            other->deinit();
            memset(static_cast<void *>(&other->sessions), 0, sizeof other->sessions);
            delete other;
            s->answer("freed");
        };
        {
            HeldPollers held(engine.pool());
            ASSERT_TRUE(trigger.send(std::string(3, '\0')));
            for (size_t i = 0; i < peers.size(); i++) {
                if (i % 2)
                    peers[i].finish();
                else
                    peers[i].reset();
            }
        }
        EXPECT_EQ(trigger.frame(), "freed");
    }
}

TEST_P(Relay, KnownWaitsRelayWithoutTheWatch) {
    Engine engine(mode(), pollers(), 20, false);
    wait_for_timer(engine, true);
    call_and_wait(engine, true);
    EXPECT_EQ(engine.stats().relays, 0u);
}

// An undeclared block without the watch: what stands behind it is late, but nothing is lost.
TEST_P(Relay, WithoutTheWatchABlockOnlyDelays) {
    Engine engine(mode(), pollers(), 20, false);
    Latch inside, release, done(20);
    engine.service.process = [&](Served *s) {
        if (s->request.body == "block") {
            inside.down();
            EXPECT_TRUE(release.wait());
        }
        s->answer(s->request.body);
    };
    Peer peer;
    ASSERT_TRUE(peer.connect(engine.service.port()));
    ASSERT_TRUE(peer.send_frame("block"));
    ASSERT_TRUE(inside.wait());
    for (int i = 0; i < 20; i++)
        engine.send("x", [&](Request *r) {
            EXPECT_EQ(r->response.body, "x");
            done.down();
        });
    release.down();
    EXPECT_TRUE(done.wait());
    EXPECT_EQ(peer.frame(), "block");
    EXPECT_EQ(engine.stats().relays, 0u);
}

// Too short for the looks of a watch that has seen nothing yet. Each leaves a batch that took long.
TEST(RelayInline, ShortBlocksAreFound) {
    Engine engine(CHM_INLINE, 1);
    engine.service.process = [&](Served *s) {
        Latch never;
        EXPECT_FALSE(never.wait(std::chrono::milliseconds(4)));
        s->answer(s->request.body);
    };
    for (int i = 0; i < 1000 && engine.stats().relays == 0; i++)
        ASSERT_EQ(engine.ask("short"), "short");
    EXPECT_GT(engine.stats().relays, 0u);
}

// Callbacks that block in deinit(): of sessions that ended before, and of those that end by it.
TEST_P(Relay, RelayDuringShutdown) {
    CommScheduler sched;
    ASSERT_EQ(sched.init(pollers(), 20), 0);
    sched.set_handler_mode(mode());
    constexpr int TIMERS = 10;
    Latch inside(TIMERS), release, ended(2 * TIMERS);
    std::atomic<int> disrupted{0};
    for (int i = 0; i < TIMERS; i++) {
        (new Timer(&sched, 0, [&](Timer *) {
            inside.down();
            EXPECT_TRUE(release.wait());
            ended.down();
        }))->dispatch();
        (new Timer(&sched, -1, [&](Timer *t) {
            disrupted += t->get_state() == SS_STATE_DISRUPTED;
            ended.down();
            if (!inside.is_open())
                EXPECT_TRUE(release.wait());
            else if (ended.left() <= TIMERS) // all of these ended while the others block
                release.down();
        }))->dispatch();
    }
    ASSERT_TRUE(inside.wait());
    sched.deinit();
    EXPECT_TRUE(ended.is_open());
    EXPECT_EQ(disrupted, TIMERS);
}

// Callbacks of connections that are inside the program when the engine ends: deinit() waits for
// them.
TEST_P(Relay, ShutdownWaitsForCallbacksThatWait) {
    Engine engine(mode(), pollers());
    Latch inside(3), release;
    std::atomic<int> through{0};
    for (int i = 0; i < 3; i++)
        engine.send("x", [&](Request *) {
            inside.down();
            EXPECT_TRUE(release.known_wait());
            through++;
        });
    ASSERT_TRUE(inside.wait());
    std::thread opener([&] {
        EXPECT_TRUE(engine.service.unbound.wait());
        release.down();
    });
    engine.stop();
    EXPECT_EQ(through, 3);
    opener.join();
}

INSTANTIATE_TEST_SUITE_P(Modes, Relay,
                         testing::Combine(testing::Values(CHM_INLINE, CHM_QUEUED, CHM_AUTO),
                                          testing::Values(1, 2, 8)),
                         [](const testing::TestParamInfo<std::tuple<int, int>> &row) {
                             return mode_name(std::get<0>(row.param)) +
                                    std::to_string(std::get<1>(row.param));
                         });

} // namespace
