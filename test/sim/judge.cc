// Weft - the simulated program's authenticator: says yes, no or nothing, at once or later, from anywhere
// SPDX-License-Identifier: Apache-2.0
#include "session.h"

namespace sim {

namespace {

enum Answer { YES, NO, NOTHING };

void say(Answer answer, wf::AuthRequest *request) {
    auto *message = static_cast<const FrameIn *>(request->get_message());
    if (!message || !message->complete)
        world->fail("a request that is not answered yet has no message");
    // It stays until there is an answer, whatever has become of its peer.
    Connection *connection = message->connection;
    if (answer == YES) {
        connection->admitted = true; // the handler may come before admit() returns
        request->admit();
    } else if (answer == NO) {
        request->refuse();
    }
    if (answer != NOTHING && request->get_message())
        world->fail("a request is answered, and still has a message");
}

} // namespace

void Program::judge(wf::AuthRequest request) {
    this->user_code("the authenticator");
    Random &rng = world->rng;
    auto *message = static_cast<const FrameIn *>(request.get_message());
    if (!message || !message->complete || !message->connection->unknown)
        world->fail("the authenticator is shown what it should not be");
    if (message->connection->shown)
        world->fail("the authenticator is shown a connection twice");
    message->connection->shown = true;
    Answer answer = polite || rng.percent(70) ? YES : rng.percent(50) ? NO : NOTHING;
    if (rng.percent(40)) {
        say(answer, &request);
        return;
    }
    if (rng.percent(50)) {
        this->outside([request, answer]() mutable { say(answer, &request); });
        return;
    }
    Timer *timer = new Timer(this, [request, answer](int) mutable { say(answer, &request); });
    if (!timer->begin())
        say(answer, &request);
}

} // namespace sim
