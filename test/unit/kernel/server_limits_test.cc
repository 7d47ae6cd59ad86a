// Weft - the server machine: the first whole message, the age of requests, and the authenticator
// SPDX-License-Identifier: Apache-2.0
#include "kernel_support.h"

#include <netinet/in.h>

#include "workflow/wf/authenticator.h"

namespace {

using namespace kt;

class ServerLimits : public testing::TestWithParam<int> {
protected:
    ServerLimits() : engine(static_cast<enum CommHandlerMode>(GetParam()), 2) {
        service.prepare = [this](Served *s) {
            s->request.on_abandon = [this, s](int error) {
                abandoned = error;
                s->request.say("no");
            };
        };
    }
    void bind(std::function<void(CommServiceLimits *)> change = nullptr) {
        CommServiceLimits limits = *service.get_limits();
        if (change)
            change(&limits);
        service.set_limits(&limits);
        ASSERT_EQ(service.bind(&engine.sched), 0);
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
    bool counts(CommCloseReason reason, uint64_t wanted) {
        for (int i = 0; i < 10000000 && service.get_close_count(reason) < wanted; i++)
            std::this_thread::yield();
        return service.get_close_count(reason) == wanted;
    }
    void pass(long long ms) {
        Latch later;
        engine.after(ms * 1000000, [&](Timer *) { later.down(); });
        EXPECT_TRUE(later.wait());
    }
    Engine engine;
    Service service;
    std::atomic<int> abandoned{0};
    bool bound = false;
};

TEST_P(ServerLimits, TheFirstMessageMustBeWholeInTime) {
    bind([](CommServiceLimits *l) {
        l->first_message_timeout = 50;
        l->min_receive_rate = 0;
    });
    Peer peer = connect();
    ASSERT_TRUE(peer.send(Message::frame(std::string(100, 'x')).substr(0, 50)));
    EXPECT_EQ(peer.until_end(), "no");
    EXPECT_EQ(abandoned, ETIMEDOUT);
    peer.close();
    EXPECT_TRUE(counts(CCR_FIRST_MESSAGE_TIMEOUT, 1));
}

// Where the head is known to be whole, the minimum rate is what protects.
TEST_P(ServerLimits, AnUploadMayTakeAsLongAsItMoves) {
    bind([](CommServiceLimits *l) { l->first_message_timeout = 50; });
    Peer peer = connect();
    std::string bytes = Message::frame(std::string(100, 'x'));
    ASSERT_TRUE(peer.send(bytes.substr(0, 50)));
    pass(150);
    ASSERT_TRUE(peer.send(bytes.substr(50)));
    EXPECT_EQ(peer.frame(), std::string(100, 'x'));
    peer.close();
    EXPECT_TRUE(counts(CCR_PEER_CLOSED, 1));
}

TEST_P(ServerLimits, BytesNowAndThenDoNotHelp) {
    bind([](CommServiceLimits *l) {
        l->first_message_timeout = 50;
        l->min_receive_rate = 0;
    });
    Peer peer = connect();
    bool ok = peer.send(std::string("\0\7\0\0", 4));
    while (ok && service.get_close_count(CCR_FIRST_MESSAGE_TIMEOUT) == 0 && abandoned == 0) {
        pass(2);
        ok = peer.send("x");
    }
    peer.close();
    EXPECT_TRUE(counts(CCR_FIRST_MESSAGE_TIMEOUT, 1));
}

TEST_P(ServerLimits, ASilentPeerIsOneToo) {
    bind([](CommServiceLimits *l) {
        l->first_byte_timeout = -1;
        l->first_message_timeout = 30;
    });
    Peer peer = connect();
    EXPECT_TRUE(peer.at_end());
    EXPECT_TRUE(counts(CCR_FIRST_MESSAGE_TIMEOUT, 1));
}

TEST_P(ServerLimits, OnlyTheFirstMessageIsMeant) {
    bind([](CommServiceLimits *l) { l->first_message_timeout = 2000; });
    Peer peer = connect();
    ASSERT_TRUE(peer.send_frame("one"));
    EXPECT_EQ(peer.frame(), "one");
    std::string bytes = Message::frame("two");
    ASSERT_TRUE(peer.send(bytes.substr(0, 5)));
    pass(2100);
    ASSERT_TRUE(peer.send(bytes.substr(5)));
    EXPECT_EQ(peer.frame(), "two");
    EXPECT_EQ(service.get_close_count(CCR_FIRST_MESSAGE_TIMEOUT), 0u);
}

// One permit, which the first request holds, so that the others stand in the queue.
class QueueAge : public ServerLimits {
protected:
    QueueAge() : narrow(static_cast<enum CommHandlerMode>(GetParam()), 1, 1) {
        service.process = [this](Served *s) {
            if (s->request.body == "block") {
                blocked.down();
                EXPECT_TRUE(release.wait());
            } else {
                handled++;
            }
            s->answer(s->request.body);
        };
    }
    void bind_narrow(int age) {
        service.set_max_queue_age(age);
        ASSERT_EQ(service.bind(&narrow.sched), 0);
        bound = true;
    }
    void TearDown() override {
        ServerLimits::TearDown();
        narrow.stop();
    }
    Engine narrow;
    Latch blocked, release;
    std::atomic<int> handled{0};
};

TEST_P(QueueAge, WhatWaitedForTooLongIsDropped) {
    bind_narrow(20);
    Peer first = connect(), second = connect(), gone = connect();
    ASSERT_TRUE(first.send_frame("block"));
    ASSERT_TRUE(blocked.wait());
    ASSERT_TRUE(second.send_frame("wait"));
    ASSERT_TRUE(gone.send_frame("wait"));
    while (service.sessions < 3)
        std::this_thread::yield();
    gone.reset();
    pass(100);
    release.down();
    EXPECT_EQ(second.until_end(), "no");
    EXPECT_EQ(abandoned, EBUSY);
    EXPECT_EQ(first.frame(), "block");
    second.close();
    EXPECT_TRUE(counts(CCR_TOO_OLD, 1));
    EXPECT_TRUE(counts(CCR_PEER_RESET, 1));
    EXPECT_EQ(handled, 0);
    service.set_max_queue_age(60000);
    Peer third = connect();
    ASSERT_TRUE(third.send_frame("young"));
    EXPECT_EQ(third.frame(), "young");
}

TEST_P(QueueAge, WithoutALimitItIsHandledHoweverLate) {
    bind_narrow(-1);
    Peer first = connect(), second = connect();
    ASSERT_TRUE(first.send_frame("block"));
    ASSERT_TRUE(blocked.wait());
    ASSERT_TRUE(second.send_frame("wait"));
    pass(100);
    release.down();
    EXPECT_EQ(second.frame(), "wait");
    EXPECT_EQ(service.get_close_count(CCR_TOO_OLD), 0u);
}

class Authenticated : public ServerLimits {
protected:
    Authenticated() {
        service.set_authenticator([this](wf::AuthRequest request) {
            asked++;
            std::lock_guard<std::mutex> guard(mutex);
            held = std::move(request);
            shown.down();
        });
    }
    void TearDown() override {
        held = wf::AuthRequest();
        ServerLimits::TearDown();
    }
    Latch shown;
    std::mutex mutex;
    wf::AuthRequest held;
    std::atomic<int> asked{0};
};

TEST_P(Authenticated, AdmittedAtOnceItIsHandledAndNotAskedAgain) {
    service.set_authenticator([this](wf::AuthRequest request) {
        asked++;
        auto *message = static_cast<const Message *>(request.get_message());
        EXPECT_EQ(message->body, "ask");
        struct sockaddr_in from = {};
        socklen_t len = sizeof from;
        EXPECT_EQ(request.get_peer_addr(reinterpret_cast<struct sockaddr *>(&from), &len), 0);
        EXPECT_EQ(len, sizeof from);
        EXPECT_EQ(from.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
        wf::AuthRequest copy = request;
        EXPECT_EQ(copy.admit(), 0);
        EXPECT_EQ(request.get_message(), nullptr);
        errno = 0;
        EXPECT_EQ(request.refuse(), -1);
        EXPECT_EQ(errno, ENOENT);
        EXPECT_EQ(request.get_peer_addr(reinterpret_cast<struct sockaddr *>(&from), &len), -1);
    });
    bind();
    Peer peer = connect();
    ASSERT_TRUE(peer.send_frame("ask"));
    EXPECT_EQ(peer.frame(), "ask");
    for (int i = 0; i < 3; i++) {
        ASSERT_TRUE(peer.send_frame("again"));
        EXPECT_EQ(peer.frame(), "again");
    }
    EXPECT_EQ(asked, 1);
}

TEST_P(Authenticated, WhatComesMeanwhileWaits) {
    std::atomic<int> handled{0};
    service.process = [&](Served *s) {
        handled++;
        s->answer(s->request.body);
    };
    bind();
    Peer peer = connect();
    ASSERT_TRUE(peer.send(Message::frame("one") + Message::frame("two")));
    ASSERT_TRUE(shown.wait());
    ASSERT_TRUE(peer.send_frame("three"));
    peer.finish(); // half-closed, and served all the same
    pass(50);
    EXPECT_EQ(handled, 0);
    std::thread([this] { EXPECT_EQ(held.admit(), 0); }).join();
    EXPECT_EQ(peer.frame(), "one");
    EXPECT_EQ(peer.frame(), "two");
    EXPECT_EQ(peer.frame(), "three");
    EXPECT_TRUE(peer.at_end());
    EXPECT_EQ(asked, 1);
}

TEST_P(Authenticated, RefusedItIsToldSoAndClosed) {
    service.process = [](Served *s) {
        ADD_FAILURE() << "handled";
        s->drop();
    };
    bind();
    Peer peer = connect();
    ASSERT_TRUE(peer.send(Message::frame("one") + Message::frame("two")));
    ASSERT_TRUE(shown.wait());
    EXPECT_EQ(held.refuse(), 0);
    EXPECT_EQ(held.admit(), -1);
    EXPECT_EQ(peer.until_end(), "no");
    EXPECT_EQ(abandoned, EACCES);
    peer.close();
    EXPECT_TRUE(counts(CCR_REFUSED_AUTH, 1));
}

TEST_P(Authenticated, ForgottenItIsRefused) {
    service.set_authenticator([](wf::AuthRequest request) { EXPECT_TRUE(request.get_message()); });
    bind();
    Peer peer = connect();
    ASSERT_TRUE(peer.send_frame("ask"));
    EXPECT_EQ(peer.until_end(), "no");
    peer.close();
    EXPECT_TRUE(counts(CCR_REFUSED_AUTH, 1));
}

TEST_P(Authenticated, AnAnswerHasALimitOfTime) {
    bind([](CommServiceLimits *l) { l->authentication_timeout = 30; });
    Peer peer = connect();
    ASSERT_TRUE(peer.send_frame("ask"));
    EXPECT_EQ(peer.until_end(), ""); // the program may have the message in its hand
    EXPECT_EQ(abandoned, 0);
    EXPECT_TRUE(counts(CCR_AUTH_TIMEOUT, 1));
    ASSERT_TRUE(shown.wait());
    EXPECT_EQ(static_cast<const Message *>(held.get_message())->body, "ask"); // still there
    errno = 0;
    EXPECT_EQ(held.admit(), -1);
    EXPECT_EQ(errno, ENOENT);
    EXPECT_EQ(service.sessions, 0);
}

TEST_P(Authenticated, APeerThatIsGoneIsNotAdmitted) {
    bind();
    Peer peer = connect();
    ASSERT_TRUE(peer.send_frame("ask"));
    ASSERT_TRUE(shown.wait());
    peer.reset();
    EXPECT_TRUE(counts(CCR_PEER_RESET, 1));
    EXPECT_EQ(held.admit(), -1);
}

TEST_P(Authenticated, TheEndOfTheServiceWaitsForTheAnswer) {
    bind();
    Peer peer = connect(), fresh = connect();
    ASSERT_TRUE(peer.send_frame("ask"));
    ASSERT_TRUE(shown.wait());
    service.unbind();
    EXPECT_TRUE(fresh.at_end());
    EXPECT_FALSE(service.unbound.is_open());
    EXPECT_EQ(held.admit(), 0);
    EXPECT_EQ(peer.frame(), "ask");
    EXPECT_TRUE(peer.at_end());
}

TEST_P(Authenticated, TheEndOfTheEngineEndsIt) {
    bind();
    Peer peer = connect();
    ASSERT_TRUE(peer.send_frame("ask"));
    ASSERT_TRUE(shown.wait());
    engine.sched.get_communicator()->close();
    EXPECT_TRUE(counts(CCR_ABORTED, 1));
    EXPECT_EQ(held.admit(), -1);
}

TEST_P(Authenticated, AdmittedBeyondTheLimitItIsOneTooMany) {
    Latch serving, release;
    service.process = [&](Served *s) {
        serving.down();
        EXPECT_TRUE(release.known_wait());
        s->answer(s->request.body);
    };
    service.set_authenticator([](wf::AuthRequest request) { EXPECT_EQ(request.admit(), 0); });
    service.set_max_requests(1);
    bind();
    Peer first = connect(), second = connect();
    ASSERT_TRUE(first.send_frame("one"));
    ASSERT_TRUE(serving.wait());
    ASSERT_TRUE(second.send_frame("two"));
    EXPECT_EQ(second.until_end(), "no");
    EXPECT_EQ(abandoned, EBUSY);
    release.down();
    EXPECT_EQ(first.frame(), "one");
    second.close();
    EXPECT_TRUE(counts(CCR_OVERLOADED, 1));
}

// Many, whose answers come from all sides at once.
TEST_P(Authenticated, Crowds) {
    std::mutex lock;
    std::vector<wf::AuthRequest> waiting;
    service.set_authenticator([&](wf::AuthRequest request) {
        std::lock_guard<std::mutex> guard(lock);
        waiting.push_back(std::move(request));
    });
    bind();
    std::atomic<bool> stop{false};
    std::vector<std::thread> judges;
    judges.reserve(2);
    for (int t = 0; t < 2; t++)
        judges.emplace_back([&] {
            while (!stop) {
                wf::AuthRequest one;
                {
                    std::lock_guard<std::mutex> guard(lock);
                    if (waiting.empty())
                        continue;
                    one = std::move(waiting.back());
                    waiting.pop_back();
                }
                auto *message = static_cast<const Message *>(one.get_message());
                if (message->body == "good")
                    one.admit();
                else if (message->body == "bad")
                    one.refuse();
            }
        });
    for (int i = 0; i < 300; i++) {
        Peer peer = connect();
        const char *words[] = {"good", "bad", "ugly", "gone"};
        ASSERT_TRUE(peer.send_frame(words[i % 4]));
        if (i % 4 == 0) {
            EXPECT_EQ(peer.frame(), "good");
        } else if (i % 4 == 3) {
            peer.reset();
        } else {
            EXPECT_EQ(peer.until_end(), "no");
        }
    }
    // The last one may come only now; the judges answer it, too.
    EXPECT_TRUE(service.unbind_and_wait());
    bound = false;
    stop = true;
    for (std::thread &judge : judges)
        judge.join();
    EXPECT_TRUE(waiting.empty());
}

class DatagramService : public Service {
    int create_listen_fd() override { return socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0); }
};

TEST(AuthenticatedDatagrams, AreRefusedAtBind) {
    Engine engine(CHM_AUTO, 1);
    DatagramService service;
    service.set_authenticator([](wf::AuthRequest request) { request.admit(); });
    errno = 0;
    EXPECT_EQ(service.bind(&engine.sched), -1);
    EXPECT_EQ(errno, EOPNOTSUPP);
    service.deinit();
}

auto modes() { return testing::Values(CHM_INLINE, CHM_QUEUED, CHM_AUTO); }
std::string name(const testing::TestParamInfo<int> &info) { return mode_name(info.param); }
INSTANTIATE_TEST_SUITE_P(Modes, ServerLimits, modes(), name);
INSTANTIATE_TEST_SUITE_P(Modes, QueueAge, modes(), name);
INSTANTIATE_TEST_SUITE_P(Modes, Authenticated, modes(), name);

} // namespace
