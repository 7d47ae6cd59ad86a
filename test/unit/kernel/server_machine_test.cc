// Weft - the server machine: limits and reasons, lingering, half-closed and slow peers, the ways to end a session
// SPDX-License-Identifier: Apache-2.0
#include "kernel_support.h"

#include <sys/resource.h>
#include <unistd.h>

namespace {

using namespace kt;

const std::string LARGE(16u << 20, 'L');

class ServerMachine : public testing::TestWithParam<int> {
protected:
    ServerMachine() : engine(static_cast<enum CommHandlerMode>(GetParam()), 2) {}
    void bind(std::function<void(CommServiceLimits *)> change = nullptr, int response_ms = -1) {
        CommServiceLimits limits = *service.get_limits();
        if (change)
            change(&limits);
        service.set_limits(&limits);
        ASSERT_EQ(service.bind(&engine.sched, response_ms), 0);
        bound = true;
    }
    Peer connect() {
        Peer peer;
        EXPECT_TRUE(peer.connect(service.port()));
        return peer;
    }
    void TearDown() override {
        if (bound) {
            EXPECT_TRUE(service.unbind_and_wait());
        }
        EXPECT_EQ(service.sessions, 0);
        service.deinit();
    }
    uint64_t count(CommCloseReason reason) { return service.get_close_count(reason); }
    Engine engine;
    Service service;
    bool bound = false;
};

TEST_P(ServerMachine, AHalfClosedPeerIsAnswered) {
    Latch serving, release;
    service.process = [&](Served *s) {
        serving.down();
        EXPECT_TRUE(release.known_wait());
        s->answer(s->request.body);
    };
    bind();
    Peer peer = connect();
    ASSERT_TRUE(peer.send_frame("ask"));
    peer.finish();
    ASSERT_TRUE(serving.wait());
    release.down();
    EXPECT_EQ(peer.frame(), "ask");
    EXPECT_TRUE(peer.at_end());
}

// closed() turns true at the FIN; the reply is tried all the same.
TEST_P(ServerMachine, AHalfClosedPeerShowsAsClosed) {
    Latch serving;
    Served *session = nullptr;
    service.process = [&](Served *s) {
        session = s;
        serving.down();
    };
    bind();
    Peer peer = connect();
    ASSERT_TRUE(peer.send_frame("ask"));
    ASSERT_TRUE(serving.wait());
    EXPECT_FALSE(session->is_closed());
    peer.finish();
    while (!session->is_closed())
        std::this_thread::yield();
    EXPECT_TRUE(session->answer("still"));
    EXPECT_EQ(peer.frame(), "still");
    EXPECT_TRUE(peer.at_end());
}

TEST_P(ServerMachine, AResetWhileServingIsSeenAndTheReplyRefused) {
    Latch serving;
    Served *session = nullptr;
    service.process = [&](Served *s) {
        session = s;
        serving.down();
    };
    bind();
    Peer peer = connect();
    ASSERT_TRUE(peer.send_frame("ask"));
    ASSERT_TRUE(serving.wait());
    peer.reset();
    while (!session->is_closed())
        std::this_thread::yield();
    session->owned = false;
    errno = 0;
    EXPECT_FALSE(session->answer("late"));
    EXPECT_EQ(errno, ENOENT);
    delete session;
    EXPECT_EQ(count(CCR_PEER_RESET), 1u);
}

TEST_P(ServerMachine, ASecondReplyFindsNothing) {
    Latch ended;
    service.process = [&](Served *s) {
        s->owned = false;
        s->on_end = [&](int state, int error) {
            EXPECT_EQ(state, CS_STATE_SUCCESS);
            EXPECT_EQ(error, 0);
        };
        EXPECT_TRUE(s->answer("first"));
        for (int i = 0; i < 2; i++) {
            errno = 0;
            EXPECT_FALSE(s->answer("second"));
            EXPECT_EQ(errno, ENOENT);
        }
        errno = 0;
        EXPECT_EQ(s->push("x"), -1);
        EXPECT_EQ(errno, ENOENT);
        errno = 0;
        EXPECT_EQ(engine.sched.shutdown(s), -1);
        EXPECT_EQ(errno, ENOENT);
        delete s;
        ended.down();
    };
    bind();
    Peer peer = connect();
    ASSERT_TRUE(peer.send_frame("ask"));
    EXPECT_EQ(peer.frame(), "first");
    EXPECT_TRUE(ended.wait());
}

TEST_P(ServerMachine, PushBeforeTheReply) {
    service.process = [&](Served *s) {
        EXPECT_EQ(s->push("pushed"), 6);
        s->answer("answer");
    };
    bind();
    Peer peer = connect();
    ASSERT_TRUE(peer.send_frame("ask"));
    EXPECT_EQ(peer.receive(6), "pushed");
    EXPECT_EQ(peer.frame(), "answer");
}

TEST_P(ServerMachine, APushThatDoesNotFitIsShort) {
    Latch done;
    service.process = [&](Served *s) {
        int n = s->push(LARGE);
        EXPECT_GT(n, 0);
        EXPECT_LT(n, static_cast<int>(LARGE.size()));
        errno = 0;
        while ((n = s->push(LARGE)) > 0) {}
        EXPECT_EQ(n, -1);
        EXPECT_EQ(errno, EAGAIN);
        s->drop();
        done.down();
    };
    bind();
    Peer peer = connect();
    ASSERT_TRUE(peer.send_frame("ask"));
    EXPECT_TRUE(done.wait());
}

TEST_P(ServerMachine, ShutdownClosesUnanswered) {
    service.process = [](Served *s) { s->drop(); };
    bind();
    Peer peer = connect();
    ASSERT_TRUE(peer.send_frame("ask"));
    EXPECT_TRUE(peer.at_end());
    EXPECT_EQ(count(CCR_NOREPLY), 1u);
}

TEST_P(ServerMachine, ASessionDeletedUnansweredClosesItsConnection) {
    service.process = [](Served *s) { delete s; };
    bind();
    Peer peer = connect();
    ASSERT_TRUE(peer.send_frame("ask"));
    EXPECT_TRUE(peer.at_end());
    EXPECT_EQ(count(CCR_NOREPLY), 1u);
}

TEST_P(ServerMachine, ALargeAnswerToASlowReaderArrivesWhole) {
    Latch ended;
    service.process = [&](Served *s) {
        s->on_end = [&](int state, int) {
            EXPECT_EQ(state, CS_STATE_SUCCESS);
            ended.down();
        };
        s->answer(LARGE);
    };
    bind();
    Peer peer;
    ASSERT_TRUE(peer.connect(service.port(), 4096));
    ASSERT_TRUE(peer.send_frame("ask"));
    EXPECT_TRUE(peer.frame() == LARGE);
    EXPECT_TRUE(ended.wait());
}

TEST_P(ServerMachine, SendTimeouts) {
    for (bool whole : {true, false}) {
        Service own;
        Latch ended;
        own.process = [&](Served *s) {
            if (whole)
                s->send_ms = 40;
            s->on_end = [&](int state, int error) {
                EXPECT_EQ(state, CS_STATE_ERROR);
                EXPECT_EQ(error, ETIMEDOUT);
                ended.down();
            };
            s->answer(LARGE);
        };
        ASSERT_EQ(own.bind(&engine.sched, whole ? -1 : 40), 0);
        Peer peer;
        ASSERT_TRUE(peer.connect(own.port()));
        ASSERT_TRUE(peer.send_frame("ask"));
        EXPECT_TRUE(ended.wait());
        EXPECT_EQ(own.get_close_count(CCR_SEND_TIMEOUT), 1u);
        EXPECT_TRUE(own.unbind_and_wait());
        own.deinit();
    }
}

// A last answer and then the end reach a peer that goes on sending, and are not lost to a reset.
TEST_P(ServerMachine, LingeringCloseAfterABadMessage) {
    service.prepare = [](Served *s) {
        s->request.limit = 100;
        s->request.on_append = [](Message &m) { EXPECT_EQ(m.say("bad!"), 4); };
    };
    bind();
    Peer peer = connect();
    ASSERT_TRUE(peer.send(Message::frame(std::string(1000, 'x')) + std::string(300000, 'y')));
    ASSERT_TRUE(peer.send(std::string(300000, 'z')));
    EXPECT_EQ(peer.until_end(), "bad!");
    EXPECT_EQ(peer.error, 0);
    peer.close();
    while (count(CCR_BAD_MESSAGE) == 0)
        std::this_thread::yield();
}

TEST_P(ServerMachine, FirstByteTimeout) {
    bind([](CommServiceLimits *l) { l->first_byte_timeout = 30; });
    Peer peer = connect();
    EXPECT_TRUE(peer.at_end());
    EXPECT_EQ(count(CCR_FIRST_BYTE_TIMEOUT), 1u);
}

TEST_P(ServerMachine, KeepAliveTimeout) {
    service.prepare = [](Served *s) { s->keep_ms = 30; };
    bind();
    Peer peer = connect();
    ASSERT_TRUE(peer.send_frame("ask"));
    EXPECT_EQ(peer.frame(), "ask");
    EXPECT_TRUE(peer.at_end());
    EXPECT_EQ(count(CCR_IDLE_TIMEOUT), 1u);
}

TEST_P(ServerMachine, WithoutKeepAliveItClosesAfterTheAnswer) {
    service.prepare = [](Served *s) { s->keep_ms = 0; };
    bind();
    Peer peer = connect();
    ASSERT_TRUE(peer.send_frame("ask"));
    EXPECT_EQ(peer.frame(), "ask");
    EXPECT_TRUE(peer.at_end());
    EXPECT_EQ(count(CCR_FINISHED), 1u);
}

struct Cut {
    const char *name;
    CommCloseReason reason;
    int response_ms, receive_ms, head_ms;
    size_t sent; // bytes of a frame of 100
};

class ServerCut : public ServerMachine {
protected:
    void run(const Cut &cut) {
        std::atomic<int> abandoned{0};
        service.prepare = [&](Served *s) {
            s->receive_ms = cut.receive_ms;
            s->request.on_abandon = [&, s](int error) {
                abandoned = error;
                EXPECT_EQ(s->request.say("408"), 3);
            };
        };
        bind([&](CommServiceLimits *l) { l->head_timeout = cut.head_ms; }, cut.response_ms);
        Peer peer = connect();
        ASSERT_TRUE(peer.send(Message::frame(std::string(100, 'x')).substr(0, cut.sent)));
        EXPECT_EQ(peer.until_end(), "408") << cut.name;
        EXPECT_EQ(abandoned, ETIMEDOUT) << cut.name;
        peer.close();
        for (int i = 0; i < 1000000 && count(cut.reason) == 0; i++)
            std::this_thread::yield();
        EXPECT_EQ(count(cut.reason), 1u) << cut.name;
        EXPECT_EQ(service.sessions, 0);
    }
};

TEST_P(ServerCut, BetweenBlocks) { run({"block", CCR_BLOCK_TIMEOUT, 30, -1, -1, 50}); }
TEST_P(ServerCut, WholeMessage) { run({"message", CCR_MESSAGE_TIMEOUT, -1, 30, -1, 50}); }

// There is always something to read, so the machine never comes to rest by itself.
TEST_P(ServerCut, WholeMessageOfAPeerThatNeverPauses) {
    Latch abandoned;
    service.prepare = [&](Served *s) {
        s->receive_ms = 50;
        s->request.limit = SIZE_MAX;
        s->request.on_append = [](Message &) {
            uint64_t until = sys_now() + 2000000;
            while (sys_now() < until) {}
        };
        s->request.on_abandon = [&](int error) {
            EXPECT_EQ(error, ETIMEDOUT);
            abandoned.down();
        };
    };
    bind([](CommServiceLimits *) {}, -1);
    Peer peer = connect();
    std::atomic<bool> stop{false};
    std::thread sender([&] {
        std::string much(1 << 20, 'x');
        bool ok = peer.send(std::string("\xe0\0\0\0", 4));
        while (ok && !stop)
            ok = peer.send(much);
    });
    EXPECT_TRUE(abandoned.wait());
    stop = true;
    sender.join();
    peer.reset();
}
TEST_P(ServerCut, Head) { run({"head", CCR_HEAD_TIMEOUT, -1, -1, 30, 2}); }

TEST_P(ServerCut, AHeadInTimeIsNotCut) {
    bind([](CommServiceLimits *l) { l->head_timeout = 50; });
    Peer peer = connect();
    std::string bytes = Message::frame("body");
    ASSERT_TRUE(peer.send(bytes.substr(0, 4)));
    Latch later;
    engine.after(120000000, [&](Timer *) { later.down(); });
    ASSERT_TRUE(later.wait());
    ASSERT_TRUE(peer.send(bytes.substr(4)));
    EXPECT_EQ(peer.frame(), "body");
}

TEST_P(ServerMachine, RenewBeginsTheTimesAnew) {
    service.prepare = [](Served *s) {
        s->receive_ms = 150;
        s->request.renews = true;
    };
    bind();
    Peer peer = connect();
    std::string bytes = Message::frame("abcd");
    for (size_t i = 0; i < bytes.size(); i++) {
        ASSERT_TRUE(peer.send(bytes.substr(i, 1)));
        Latch later;
        engine.after(60000000, [&](Timer *) { later.down(); });
        ASSERT_TRUE(later.wait());
    }
    EXPECT_EQ(peer.frame(), "abcd");
}

// Takes five seconds, the grace, and makes no difference by mode.
TEST_P(ServerCut, MinimumRate) {
    bind([](CommServiceLimits *l) { l->min_receive_rate = 1000000; });
    Peer peer = connect();
    ASSERT_TRUE(peer.send(Message::frame(std::string(100, 'x')).substr(0, 50)));
    EXPECT_TRUE(peer.at_end());
    peer.close();
    while (count(CCR_SLOW_RECEIVE) == 0)
        std::this_thread::yield();
}

TEST_P(ServerMachine, DrainClosesIdleConnectionsOnly) {
    Latch serving(1), release;
    service.process = [&](Served *s) {
        if (s->request.body == "busy") {
            serving.down();
            EXPECT_TRUE(release.known_wait());
        }
        s->answer(s->request.body);
    };
    bind();
    std::vector<Peer> idle(6);
    for (Peer &peer : idle) {
        peer = connect();
        ASSERT_TRUE(peer.send_frame("x"));
        ASSERT_EQ(peer.frame(), "x");
    }
    Peer busy = connect();
    ASSERT_TRUE(busy.send_frame("busy"));
    ASSERT_TRUE(serving.wait());
    EXPECT_EQ(service.drain(2), 2);
    EXPECT_EQ(service.drain(-1), 4);
    EXPECT_EQ(service.drain(-1), 0);
    for (Peer &peer : idle)
        EXPECT_TRUE(peer.at_end());
    EXPECT_EQ(count(CCR_DRAINED), 6u);
    release.down();
    EXPECT_EQ(busy.frame(), "busy");
}

TEST_P(ServerMachine, UnbindWhileServingAnswersAndThenCloses) {
    Latch serving;
    Served *session = nullptr;
    service.process = [&](Served *s) {
        session = s;
        serving.down();
    };
    bind();
    Peer peer = connect();
    ASSERT_TRUE(peer.send_frame("ask"));
    ASSERT_TRUE(serving.wait());
    service.unbind();
    bound = false;
    EXPECT_TRUE(service.stopped.wait());
    EXPECT_FALSE(service.unbound.is_open());
    Peer late;
    EXPECT_FALSE(late.connect(service.port()));
    session->answer("last");
    EXPECT_EQ(peer.frame(), "last");
    EXPECT_TRUE(peer.at_end());
    EXPECT_TRUE(service.unbound.wait());
    EXPECT_EQ(service.unbounds, 1);
}

TEST_P(ServerMachine, ARequestWithoutAFreeDescriptorIsRefusedAndServiceRecovers) {
    bind();
    Peer before = connect();
    ASSERT_TRUE(before.send_frame("x"));
    ASSERT_EQ(before.frame(), "x");
    std::vector<Peer> made(4);
    struct rlimit old;
    ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &old), 0);
    for (Peer &peer : made)
        peer = Peer(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    struct rlimit low = old;
    low.rlim_cur =
        static_cast<rlim_t>(made.back().fd() + 1); // every lower one may be taken by nobody
    std::vector<int> holes;
    for (int fd; (fd = dup(0)) >= 0 && fd < made.back().fd();)
        holes.push_back(fd);
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &low), 0);
    struct sockaddr_in addr = *service.address();
    for (Peer &peer : made)
        EXPECT_EQ(::connect(peer.fd(), reinterpret_cast<struct sockaddr *>(&addr), sizeof addr), 0);
    for (Peer &peer : made)
        EXPECT_TRUE(peer.at_end()) << "closed cleanly by help of the reserve";
    EXPECT_GE(count(CCR_REFUSED_NO_FD), 4u);
    EXPECT_LT(count(CCR_REFUSED_NO_FD), 100u) << "it spins";
    ASSERT_TRUE(before.send_frame("y"));
    EXPECT_EQ(before.frame(), "y");
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &old), 0);
    for (int fd : holes)
        ::close(fd);
    Peer after = connect();
    ASSERT_TRUE(after.send_frame("z"));
    EXPECT_EQ(after.frame(), "z");
}

TEST_P(ServerMachine, TheConnectionObjectIsDeletedOnceAfterItsLastSession) {
    struct Witness : CommConnection {
        explicit Witness(std::atomic<int> *n) : count(n) {}
        ~Witness() override { ++*count; }
        std::atomic<int> *count;
    };
    std::atomic<int> deleted{0};
    Latch dropped, go, ended;
    service.on_connection = [&](int) { return new Witness(&deleted); };
    service.process = [&](Served *s) {
        EXPECT_EQ(engine.sched.shutdown(s), 0);
        dropped.down();
        EXPECT_TRUE(go.known_wait());
        EXPECT_EQ(deleted, 0);
        delete s;
        ended.down();
    };
    bind();
    Peer peer = connect();
    ASSERT_TRUE(peer.send_frame("ask"));
    ASSERT_TRUE(dropped.wait());
    EXPECT_TRUE(peer.at_end());
    go.down();
    EXPECT_TRUE(ended.wait());
    bound = false;
    EXPECT_TRUE(service.unbind_and_wait());
    EXPECT_EQ(deleted, 1);
}

std::string row_name(const testing::TestParamInfo<int> &row) { return mode_name(row.param); }

INSTANTIATE_TEST_SUITE_P(Modes, ServerMachine, testing::Values(CHM_INLINE, CHM_QUEUED), row_name);
INSTANTIATE_TEST_SUITE_P(Modes, ServerCut, testing::Values(CHM_INLINE), row_name);

} // namespace
