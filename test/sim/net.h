// Weft - the simulated network: descriptors, streams, listeners, and edge-triggered events
// SPDX-License-Identifier: Apache-2.0
//
// Behaves as Linux does where the kernel could notice: an item of an event set is queued by what
// happens on its descriptor and reports all that is true when it is fetched; edge-triggered items
// report once each time they are queued; adding and modifying look at once; an end that is told of
// a full window hears when there is room. Bytes travel in order, after a delay; a connection is
// refused, lost, or breaks as drawn.
#ifndef WEFT_TEST_SIM_NET_H
#define WEFT_TEST_SIM_NET_H

#include <deque>
#include <map>
#include <memory>
#include <stdint.h>
#include <string>
#include <sys/epoll.h>
#include <vector>

#include "world.h"

namespace sim {

class Epoll;
class File;
struct Listener;

struct Item {
    File *file;
    Epoll *epoll;
    int fd;
    uint32_t events;
    uint64_t data;
    bool queued;
};

class File {
public:
    virtual ~File();
    // What epoll would say of it now.
    virtual uint32_t mask() { return 0; }
    // The last descriptor was closed.
    virtual void closed() {}
    // Something happened: wakes those who asked for any of `key` (0: everybody), and a fiber that
    // waits on it.
    void changed(uint32_t key);

    std::vector<Item *> items;
};

// A stream socket: one end of a connection, or not yet one.
class Stream : public File, public std::enable_shared_from_this<Stream> {
public:
    enum State { FRESH, CONNECTING, OPEN, DEAD };

    uint32_t mask() override;
    void closed() override;

    // As the system calls: -1 and errno.
    ssize_t receive(char *buf, size_t size);
    ssize_t peek(char *buf, size_t size);
    ssize_t send(const char *bytes, size_t size);
    int shut_sending();

    size_t room() const; // for sending
    bool is_writable() const { return room() * 3 >= capacity() && room() > 0; }
    size_t capacity() const;
    size_t unread() const { return in.size() - in_begin; }

    // Arrivals from the network.
    void arrive(const std::string &bytes);
    void arrive_fin();
    void arrive_reset(int why);

    State state = FRESH;
    uint16_t port = 0;  // where it is bound, or the peer listens
    uint16_t local = 0; // of a client: its own
    std::weak_ptr<Stream> peer;
    std::string in; // arrived; in_begin of it were read
    size_t in_begin = 0;
    size_t window = 4096; // bytes that may be unread or under way to this end
    size_t flight = 0;    // of those, under way
    bool fin_in = false, fin_out = false;
    bool is_closed = false;
    bool abortive = false;
    bool reuse_port = false;
    bool no_space = false;
    int notices = 0;     // of room, under way to this end
    bool is_raw = false; // belongs to a scripted peer: no descriptor
    int error = 0;
    Time last_arrival = 0; // of what this end has sent
    std::string name;

private:
    void transmit(std::function<void(Stream *)> what);
    void send_reset();
    void notice_later();
    void compact();
};

struct Listener : File {
    uint32_t mask() override { return queue.empty() ? 0u : static_cast<uint32_t>(EPOLLIN); }
    void closed() override;
    uint16_t port = 0;
    size_t backlog = 0;
    bool reuse_port = false;
    bool is_closed = false;
    std::deque<std::shared_ptr<Stream>> queue;
};

class EventCounter : public File {
public:
    uint32_t mask() override {
        return count ? static_cast<uint32_t>(EPOLLIN | EPOLLOUT) : EPOLLOUT;
    }
    uint64_t count = 0;
};

class Epoll : public File {
public:
    ~Epoll() override;
    int control(int op, int fd, const std::shared_ptr<File> &file, uint32_t events, uint64_t data);
    int fetch(struct epoll_event *events, int max);
    void forget(Item *item);
    unsigned idle_looks = 0; // in a row that found nothing and did not wait

private:
    std::vector<std::unique_ptr<Item>> items_;
};

// Ports with a fate of their own.
constexpr uint16_t PORT_SILENT = 9;  // connects are never answered
constexpr uint16_t PORT_REFUSED = 7; // always refused
constexpr uint16_t PORT_SELF = 11;   // whoever connects is connected with itself

class Net {
public:
    int add(std::shared_ptr<File> file); // EMFILE
    std::shared_ptr<File> get(int fd);   // a bad descriptor fails the run
    bool is_open(int fd) const;
    int close(int fd);
    size_t open_count() const;
    template <class T>
    std::shared_ptr<T> as(int fd) {
        return std::dynamic_pointer_cast<T>(this->get(fd));
    }
    void replace(int fd, std::shared_ptr<File> file);

    uint16_t free_port() { return ++last_port_; }
    int listen(const std::shared_ptr<Listener> &listener); // EADDRINUSE
    void unlisten(Listener *listener);
    void connect(const std::shared_ptr<Stream> &client, uint16_t port);
    size_t draw_window();

private:
    void syn(const std::shared_ptr<Stream> &client, uint16_t port, int tries);

    std::vector<std::shared_ptr<File>> fds_;
    std::vector<std::shared_ptr<Listener>> on_port(uint16_t port);
    std::map<uint16_t, std::vector<std::weak_ptr<Listener>>> listening_;
    uint16_t last_port_ = 20000;
};

extern Net *net;

} // namespace sim

#endif
