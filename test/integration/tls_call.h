// Weft - one https call of our client, and the names that the TLS tests ask for
// SPDX-License-Identifier: Apache-2.0
//
// Like Call, with what the transport has to say. The names under .weft.test are this machine: a
// hosts file says so that the engine is given before the first task of the process.

#ifndef WEFT_TEST_INTEGRATION_TLS_CALL_H
#define WEFT_TEST_INTEGRATION_TLS_CALL_H

#include <memory>
#include <string>

#include "integration/call.h"
#include "integration/certificates.h"
#include "workflow/WFGlobal.h"

struct TlsCall : Call {
    std::string text; // get_tls_error()
    bool agreed = false;
    wf::TlsInfo info;

    // No context: the process's default one.
    bool get(const std::string &url, SSL_CTX *ctx = nullptr,
             const std::function<void(WFHttpTask *)> &setup = nullptr, int redirect_max = 0) {
        return run(
            url,
            [this, ctx, &setup](WFHttpTask *task) {
                if (ctx)
                    task->set_ssl_ctx(ctx);
                if (setup)
                    setup(task);
                task->set_callback([this](WFHttpTask *t) {
                    note(t);
                    text = t->get_tls_error();
                    agreed = t->get_tls_info(&info);
                });
            },
            redirect_max);
    }

    // For messages of the tests.
    std::string describe() const {
        return "state " + std::to_string(state) + ", error " + std::to_string(error) + ": " + text;
    }
};

// Of a task: the connection is not kept.
inline void close_behind(WFHttpTask *task) { task->set_keep_alive(0); }

#endif
