// Weft - the listener: newcomers beside connections that always have something to say
// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kernel_support.h"

namespace {

using namespace kt;

// Descriptors that are readable for ever: each look of their poller finds as many of them as it
// takes.
class Clamour {
public:
    static constexpr size_t COUNT = 64;

    explicit Clamour(weft_poller *poller) : poller_(poller) {
        for (Voice &voice : voices_) {
            voice.ops = &OPS;
            voice.poller = poller;
            voice.refs = 1;
            voice.slot = POLLER_NO_SLOT;
            voice.fd = eventfd(1, EFD_CLOEXEC);
            voice.owner = this;
        }
        this->order(begin);
    }
    ~Clamour() {
        this->order(end);
        for (Voice &voice : voices_)
            ::close(voice.fd);
    }
    int heard() const { return heard_; }

private:
    struct Voice : pollable {
        Clamour *owner;
    };
    struct Order : weft_msg {
        Clamour *owner;
        Latch done;
    };

    void order(void (*run)(weft_msg *, weft_poller *)) {
        Order order;
        order.run = run;
        order.owner = this;
        poller_do(poller_, &order);
        EXPECT_TRUE(order.done.wait());
    }
    static void begin(weft_msg *msg, weft_poller *poller) {
        Order *order = static_cast<Order *>(msg);
        for (Voice &voice : order->owner->voices_)
            EXPECT_EQ(poller_register(poller, &voice, EPOLLIN), 0);
        order->done.down();
    }
    static void end(weft_msg *msg, weft_poller *poller) {
        Order *order = static_cast<Order *>(msg);
        for (Voice &voice : order->owner->voices_) {
            poller_unregister(poller, &voice, true);
            pollable_unref(&voice);
        }
        order->done.down();
    }
    static void event(pollable *node, uint32_t) { static_cast<Voice *>(node)->owner->heard_++; }
    static void nothing(pollable *) {}
    static constexpr pollable_ops OPS = {
        .event = event,
        .release = nothing,
        .abort = nothing,
        .stream = nullptr,
    };

    weft_poller *poller_;
    std::array<Voice, COUNT> voices_{};
    std::atomic<int> heard_{0};
};

// Accepts newcomers beside a clamour. Returns how often that was heard until the last was there.
constexpr int NEWCOMERS = 32;

int heard_while_accepting(int accept_at_once) {
    Engine engine(CHM_INLINE, 1, 20, false); // a relay would begin the listener's round anew
    Service service;
    Latch accepted(NEWCOMERS);
    std::array<Peer, NEWCOMERS> peers;
    CommListenOptions options;
    options.accept_at_once = accept_at_once;
    service.set_listen_options(&options);
    int heard = 0;
    {
        Clamour clamour(&engine.pool()->pollers[0]);
        service.on_connection = [&](int) {
            heard = clamour.heard();
            accepted.down();
            return new CommConnection;
        };
        EXPECT_EQ(service.bind(&engine.sched), 0);
        HeldPollers held(engine.pool());
        for (Peer &peer : peers)
            EXPECT_TRUE(peer.connect(service.port()));
        int before = clamour.heard();
        held.release();
        EXPECT_TRUE(accepted.wait());
        heard -= before;
    }
    EXPECT_TRUE(service.unbind_and_wait());
    service.deinit();
    return heard;
}

class DatagramService : public Service {
    int create_listen_fd() override { return socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0); }
};

// The same of datagrams, each of which is a message that is answered.
int heard_while_receiving(int accept_at_once) {
    Engine engine(CHM_INLINE, 1, 20, false);
    DatagramService service;
    Latch received(NEWCOMERS);
    CommListenOptions options;
    options.accept_at_once = accept_at_once;
    service.set_listen_options(&options);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int heard = 0;
    {
        Clamour clamour(&engine.pool()->pollers[0]);
        service.process = [&](Served *served) {
            heard = clamour.heard();
            received.down();
            served->answer("");
        };
        EXPECT_EQ(service.bind(&engine.sched), 0);
        const std::string frame = Message::frame("datagram");
        const auto *to = reinterpret_cast<const struct sockaddr *>(service.address());
        HeldPollers held(engine.pool());
        for (int i = 0; i < NEWCOMERS; i++)
            EXPECT_EQ(sendto(fd, frame.data(), frame.size(), 0, to, sizeof(struct sockaddr_in)),
                      static_cast<ssize_t>(frame.size()));
        int before = clamour.heard();
        held.release();
        EXPECT_TRUE(received.wait());
        heard -= before;
    }
    EXPECT_TRUE(service.unbind_and_wait());
    service.deinit();
    ::close(fd);
    return heard;
}

} // namespace

// The poller reports 16 events at a time, so it hears of its listener once in about four looks: as
// many, and one more, may come each time.
TEST(Listener, NewcomersGetAFairShareBesideBusyConnections) {
    const int half = static_cast<int>(Clamour::COUNT) * NEWCOMERS / 2;
    EXPECT_LT(heard_while_accepting(CommListenOptions().accept_at_once), half);
    EXPECT_GT(heard_while_accepting(1), half); // one in each round, as was asked for
    EXPECT_LT(heard_while_accepting(0), half);
}

TEST(Listener, SoDoDatagrams) {
    const int half = static_cast<int>(Clamour::COUNT) * NEWCOMERS / 2;
    EXPECT_LT(heard_while_receiving(CommListenOptions().accept_at_once), half);
    EXPECT_GT(heard_while_receiving(1), half);
    EXPECT_LT(heard_while_receiving(0), half);
}
