// Weft - the simulated network: streams and listeners
// SPDX-License-Identifier: Apache-2.0
#include "net.h"

#include <algorithm>
#include <errno.h>
#include <string.h>

namespace sim {

Net *net;

namespace {

Time delay() {
    Time time = world->rng.spread(1 * US, world->tuning.delay_most), tact = world->tuning.tact;
    return tact ? time + tact - (world->now + time) % tact : time;
}

} // namespace

File::~File() {
    while (!items.empty())
        items.back()->epoll->forget(items.back());
}

void File::changed(uint32_t key) {
    for (Item *item : items) {
        uint32_t wanted = item->events | EPOLLERR | EPOLLHUP;
        if (key != 0 && !(key & wanted))
            continue;
        bool is_edge = (item->events & EPOLLET) != 0;
        if (is_edge && world->planted(DROP_EDGE) && world->rng.ppm(3000))
            continue;
        item->queued = true;
        world->wake(item->epoll, 1);
    }
    world->wake(this, 100);
}

// What is under way to the peer arrives in the order in which it was sent.
void Stream::transmit(std::function<void(Stream *)> what) {
    std::shared_ptr<Stream> to = peer.lock();
    if (!to)
        return;
    Time when = std::max(last_arrival, world->now + delay());
    last_arrival = when;
    world->at(when, [to, what = std::move(what)]() { what(to.get()); });
}

uint32_t Stream::mask() {
    uint32_t m = 0;
    switch (state) {
    case FRESH:
        return EPOLLOUT | EPOLLHUP;
    case CONNECTING:
        return 0;
    case DEAD:
        m = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLHUP;
        return error ? m | EPOLLERR : m;
    case OPEN:
        break;
    }
    if (unread() > 0 || fin_in)
        m |= EPOLLIN;
    if (fin_in)
        m |= EPOLLRDHUP;
    if (fin_in && fin_out)
        m |= EPOLLHUP;
    if (fin_out || is_writable())
        m |= EPOLLOUT;
    else
        no_space = true; // asking is as good as trying
    return m;
}

size_t Stream::capacity() const {
    std::shared_ptr<Stream> to = peer.lock();
    return to ? to->window : 4096;
}

size_t Stream::room() const {
    std::shared_ptr<Stream> to = peer.lock();
    if (!to)
        return 4096;
    size_t used = to->unread() + to->flight;
    return used < to->window ? to->window - used : 0;
}

void Stream::notice_later() {
    std::shared_ptr<Stream> self = shared_from_this();
    notices++;
    world->at(world->now + delay(), [self]() {
        self->notices--;
        self->changed(EPOLLOUT);
    });
}

void Stream::compact() {
    if (in_begin == in.size()) {
        in.clear();
        in_begin = 0;
    }
}

ssize_t Stream::peek(char *buf, size_t size) {
    if (unread() == 0)
        return this->receive(buf, size); // an end or an error
    size_t n = std::min(size, unread());
    memcpy(buf, in.data() + in_begin, n);
    return static_cast<ssize_t>(n);
}

ssize_t Stream::receive(char *buf, size_t size) {
    if (unread() > 0) {
        size_t n = std::min(size, unread());
        memcpy(buf, in.data() + in_begin, n);
        in_begin += n;
        compact();
        std::shared_ptr<Stream> from = peer.lock();
        if (from && from->no_space && from->is_writable()) {
            from->no_space = false;
            from->notice_later();
        }
        return static_cast<ssize_t>(n);
    }
    if (error) {
        errno = error;
        error = 0;
        return -1;
    }
    if (state == DEAD || fin_in)
        return 0;
    errno = state == FRESH ? ENOTCONN : EAGAIN;
    return -1;
}

ssize_t Stream::send(const char *bytes, size_t size) {
    if (error) {
        errno = error;
        error = 0;
        return -1;
    }
    if (state == DEAD || fin_out) {
        errno = EPIPE;
        return -1;
    }
    if (state != OPEN) {
        errno = state == FRESH ? ENOTCONN : EAGAIN;
        return -1;
    }
    if (size == 0)
        return 0;
    size_t n = std::min(size, room());
    if (n == 0) {
        no_space = true;
        errno = EAGAIN;
        return -1;
    }
    if (!is_raw && world->rng.ppm(world->tuning.full_write)) {
        // The system is short of buffers for a moment.
        this->notice_later();
        errno = EAGAIN;
        return -1;
    }
    if (n < size)
        no_space = true;
    else if (world->rng.ppm(world->tuning.short_write))
        n = world->rng.between(1, n);
    std::shared_ptr<Stream> to = peer.lock();
    for (size_t sent = 0; to && sent < n;) {
        size_t piece = n - sent;
        if (piece > 1 && world->rng.percent(30))
            piece = world->rng.between(1, piece);
        to->flight += piece;
        std::string copy(bytes + sent, piece);
        this->transmit([copy = std::move(copy)](Stream *at) { at->arrive(copy); });
        sent += piece;
    }
    return static_cast<ssize_t>(n);
}

int Stream::shut_sending() {
    if (state != OPEN) {
        errno = ENOTCONN;
        return -1;
    }
    if (!fin_out) {
        fin_out = true;
        this->transmit([](Stream *at) { at->arrive_fin(); });
        this->changed(0);
    }
    return 0;
}

void Stream::send_reset() {
    // What the system has not sent yet, it throws away.
    if (world->rng.percent(50))
        last_arrival = world->now;
    this->transmit([](Stream *at) { at->arrive_reset(ECONNRESET); });
}

void Stream::closed() {
    is_closed = true;
    if (state == OPEN) {
        if (abortive || unread() > 0)
            this->send_reset();
        else if (!fin_out)
            this->transmit([](Stream *at) { at->arrive_fin(); });
    }
    state = DEAD;
    in.clear();
    in_begin = 0;
}

void Stream::arrive(const std::string &bytes) {
    flight -= bytes.size();
    if (is_closed) {
        std::shared_ptr<Stream> from = peer.lock();
        if (from && from->state == OPEN)
            this->transmit([](Stream *at) { at->arrive_reset(ECONNRESET); });
        return;
    }
    if (state != OPEN || fin_in)
        return;
    in += bytes;
    this->changed(EPOLLIN);
}

void Stream::arrive_fin() {
    if (is_closed || state != OPEN || fin_in)
        return;
    fin_in = true;
    this->changed(0);
}

void Stream::arrive_reset(int why) {
    if (is_closed || state == DEAD)
        return;
    error = fin_in && why == ECONNRESET ? EPIPE : why;
    state = DEAD;
    fin_in = true;
    this->changed(0);
}

// Also what shutdown(2) does to a listening descriptor; closing it afterwards changes nothing more.
void Listener::closed() {
    if (is_closed)
        return;
    is_closed = true;
    net->unlisten(this);
    for (auto &stream : queue) {
        stream->abortive = true;
        stream->closed();
    }
    queue.clear();
    this->changed(0);
}

std::vector<std::shared_ptr<Listener>> Net::on_port(uint16_t port) {
    std::vector<std::shared_ptr<Listener>> alive;
    for (auto &weak : listening_[port]) {
        std::shared_ptr<Listener> listener = weak.lock();
        if (listener && !listener->is_closed)
            alive.push_back(listener);
    }
    return alive;
}

int Net::listen(const std::shared_ptr<Listener> &listener) {
    for (auto &other : this->on_port(listener->port)) {
        if (other->reuse_port && listener->reuse_port)
            continue;
        errno = EADDRINUSE;
        return -1;
    }
    listening_[listener->port].push_back(listener);
    return 0;
}

void Net::unlisten(Listener *listener) { listener->is_closed = true; }

size_t Net::draw_window() {
    return world->rng.between(world->tuning.window_least, world->tuning.window_most);
}

void Net::connect(const std::shared_ptr<Stream> &client, uint16_t port) {
    client->state = Stream::CONNECTING;
    client->port = port;
    client->local = port == PORT_SELF ? port : this->free_port();
    world->at(world->now + delay(), [this, client, port]() { this->syn(client, port, 0); });
}

// The first packet of a connection reaches the other side.
void Net::syn(const std::shared_ptr<Stream> &client, uint16_t port, int tries) {
    if (client->is_closed || port == PORT_SILENT)
        return;
    if (port == PORT_SELF) {
        client->peer = client;
        client->state = Stream::OPEN;
        client->changed(0);
        return;
    }
    std::vector<std::shared_ptr<Listener>> alive = this->on_port(port);
    std::shared_ptr<Listener> listener;
    if (!alive.empty())
        listener = alive[world->rng.below(alive.size())];
    if (!listener) {
        client->error = ECONNREFUSED;
        client->state = Stream::DEAD;
        client->changed(0);
        return;
    }
    bool lost = world->rng.ppm(world->tuning.lost_link / 4);
    if (listener->queue.size() >= listener->backlog || (lost && tries == 0)) {
        if (tries < 6)
            world->at(world->now + (SEC << tries),
                      [this, client, port, tries]() { this->syn(client, port, tries + 1); });
        return;
    }
    std::shared_ptr<Stream> server = std::make_shared<Stream>();
    server->state = Stream::OPEN;
    server->window = this->draw_window();
    client->window = this->draw_window();
    server->peer = client;
    client->peer = server;
    client->state = Stream::OPEN;
    client->changed(0);
    Time heard = world->now + delay();
    server->last_arrival = client->last_arrival = heard;
    world->at(heard, [server, listener]() {
        if (listener->is_closed) {
            server->abortive = true;
            server->closed();
            return;
        }
        listener->queue.push_back(server);
        listener->changed(EPOLLIN);
    });
    if (!world->rng.ppm(world->tuning.lost_link))
        return;
    int why = world->rng.percent(50) ? ECONNRESET : EHOSTUNREACH;
    std::weak_ptr<Stream> one = client, two = server;
    world->at(world->now + world->rng.spread(10 * US, 3 * SEC), [one, two, why]() {
        if (auto s = one.lock())
            s->arrive_reset(why);
        if (auto s = two.lock())
            s->arrive_reset(why);
    });
}

int Net::add(std::shared_ptr<File> file) {
    for (size_t fd = 3; fd < world->tuning.fd_limit; fd++) {
        if (fd >= fds_.size())
            fds_.resize(fd + 1);
        if (!fds_[fd]) {
            fds_[fd] = std::move(file);
            return static_cast<int>(fd);
        }
    }
    errno = EMFILE;
    return -1;
}

bool Net::is_open(int fd) const {
    return fd >= 0 && static_cast<size_t>(fd) < fds_.size() && fds_[static_cast<size_t>(fd)];
}

std::shared_ptr<File> Net::get(int fd) {
    if (!this->is_open(fd))
        world->fail("a call with descriptor %d, which is not open", fd);
    return fds_[static_cast<size_t>(fd)];
}

void Net::replace(int fd, std::shared_ptr<File> file) {
    fds_[static_cast<size_t>(fd)] = std::move(file);
}

int Net::close(int fd) {
    std::shared_ptr<File> file = this->get(fd);
    fds_[static_cast<size_t>(fd)] = nullptr;
    while (!file->items.empty())
        file->items.back()->epoll->forget(file->items.back());
    file->closed();
    return 0;
}

size_t Net::open_count() const {
    size_t n = 0;
    for (auto &file : fds_)
        n += file ? 1 : 0;
    return n;
}

Epoll::~Epoll() {
    while (!items_.empty())
        this->forget(items_.back().get());
}

void Epoll::forget(Item *item) {
    std::vector<Item *> &those = item->file->items;
    those.erase(std::find(those.begin(), those.end(), item));
    for (auto i = items_.begin(); i != items_.end(); ++i) {
        if (i->get() == item) {
            items_.erase(i);
            return;
        }
    }
}

int Epoll::control(int op, int fd, const std::shared_ptr<File> &file, uint32_t events,
                   uint64_t data) {
    Item *item = nullptr;
    for (auto &i : items_) {
        if (i->file == file.get())
            item = i.get();
    }
    if ((op == EPOLL_CTL_ADD) == (item != nullptr)) {
        errno = item ? EEXIST : ENOENT;
        return -1;
    }
    if (op == EPOLL_CTL_DEL) {
        this->forget(item);
        return 0;
    }
    if (op == EPOLL_CTL_ADD) {
        if (world->rng.ppm(world->tuning.control_error)) {
            errno = world->rng.percent(50) ? ENOMEM : ENOSPC;
            return -1;
        }
        items_.push_back(std::make_unique<Item>(Item{file.get(), this, fd, 0, 0, false}));
        item = items_.back().get();
        file->items.push_back(item);
    }
    item->events = events;
    item->data = data;
    if (file->mask() & (events | EPOLLERR | EPOLLHUP)) {
        item->queued = true;
        world->wake(this, 1);
    }
    return 0;
}

int Epoll::fetch(struct epoll_event *events, int max) {
    std::vector<Item *> ready;
    for (auto &item : items_) {
        if (item->queued)
            ready.push_back(item.get());
    }
    for (size_t i = ready.size(); i > 1; i--) // in any order
        std::swap(ready[i - 1], ready[world->rng.below(i)]);
    if (max > 1 && world->rng.percent(20))
        max = world->rng.number(1, max);
    int n = 0;
    for (Item *item : ready) {
        if (n == max)
            break;
        uint32_t now = item->file->mask() & (item->events | EPOLLERR | EPOLLHUP);
        if (now == 0 || (item->events & EPOLLET))
            item->queued = false;
        if (now == 0)
            continue;
        events[n].events = now;
        events[n].data.u64 = item->data;
        n++;
    }
    return n;
}

} // namespace sim
