// Weft - look-ups by getaddrinfo() of the C library, on the DNS threads
// SPDX-License-Identifier: Apache-2.0
#include "nameservice/lookup_getaddrinfo.h"

#include <errno.h>
#include <netdb.h>

#include "workflow/Executor.h"
#include "workflow/WFTask.h"
#include "workflow/detail/runtime.h"

namespace wf::detail {

namespace {

// One look-up. Owns itself from start() to handle().
class GetaddrinfoSession final : public ExecSession {
public:
    GetaddrinfoSession(const LookupQuestion &question, LookupSink *sink)
        : question_(question), sink_(sink) {}

    void execute() override {
        struct addrinfo hints = {};
        hints.ai_family = question_.family;
        hints.ai_socktype = SOCK_STREAM;
        hints.ai_flags = AI_ADDRCONFIG;
        struct addrinfo *list = nullptr;
        int error = getaddrinfo(question_.host.c_str(), nullptr, &hints, &list);
        if (error == 0) {
            if (!answer_.addresses.add_all(list, question_.port))
                error = EAI_MEMORY;
            freeaddrinfo(list);
        }
        answer_.state = error == 0 ? WFT_STATE_SUCCESS : WFT_STATE_DNS_ERROR;
        answer_.error = error;
    }

    void handle(int state, int error) override {
        if (state == ES_STATE_CANCELED) {
            answer_.state = WFT_STATE_ABORTED;
            answer_.error = 0;
        } else if (state == ES_STATE_ERROR) {
            answer_.state = WFT_STATE_SYS_ERROR;
            answer_.error = error;
        }
        sink_->answer(answer_);
        delete this;
    }

private:
    const LookupQuestion &question_;
    LookupSink *const sink_;
    LookupAnswer answer_;
};

} // namespace

void GetaddrinfoLookup::start(const LookupQuestion &question, LookupSink *sink) {
    GetaddrinfoSession *session = new GetaddrinfoSession(question, sink);
    if (runtime_dns_executor()->request(session, runtime_dns_queue()) < 0)
        session->handle(ES_STATE_ERROR, errno);
}

} // namespace wf::detail
