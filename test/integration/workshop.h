// Weft - the HTTP server that the integration tests send real clients to
// SPDX-License-Identifier: Apache-2.0
//
// Paths: /hello; /echo (the body back); /big/N (N bytes); /chunked; /status/CODE; /slow/MS (answers
// after that time); /method (method and keep-alive header of the request); /tls (what the handshake
// came to, in words). Owned by a test; the handlers run on workers and touch only their own task
// and the atomics here.

#ifndef WEFT_TEST_INTEGRATION_WORKSHOP_H
#define WEFT_TEST_INTEGRATION_WORKSHOP_H

#include <arpa/inet.h>
#include <netinet/in.h>

#include <atomic>
#include <string>

#include "workflow/HttpMessage.h"
#include "workflow/HttpUtil.h"
#include "workflow/WFHttpServer.h"
#include "workflow/WFTaskFactory.h"
#include "workflow/Workflow.h"
#include "workflow/wf/tls.h"

class Workshop {
public:
    explicit Workshop(const WFServerParams &params = HTTP_SERVER_PARAMS_DEFAULT)
        : server_(&params, [this](WFHttpTask *task) { serve(task); }) {}
    ~Workshop() { stop(); }

    bool start() { return start("", ""); }
    // With TLS, unless the names of the files are empty.
    bool start(const std::string &cert_file, const std::string &key_file) {
        tls_ = !cert_file.empty();
        if (tls_ ? server_.start("127.0.0.1", 0, cert_file.c_str(), key_file.c_str()) < 0
                 : server_.start("127.0.0.1", 0) < 0)
            return false;
        sockaddr_in addr = {};
        socklen_t len = sizeof addr;
        server_.get_listen_addr(reinterpret_cast<sockaddr *>(&addr), &len);
        port_ = ntohs(addr.sin_port);
        return true;
    }

    void stop() {
        if (port_ != 0)
            server_.stop();
        port_ = 0;
    }

    unsigned short port() const { return port_; }
    std::string url(const std::string &path, const std::string &host = "127.0.0.1") const {
        return (tls_ ? "https://" : "http://") + host + ":" + std::to_string(port_) + path;
    }
    WFHttpServer &server() { return server_; }

    std::atomic<int> requests{0};
    std::atomic<int> connections{0};
    std::atomic<int> replied{0}; // Callbacks with SUCCESS,
    std::atomic<int> failed{0};  // and with anything else.

private:
    void serve(WFHttpTask *task) {
        requests++;
        if (task->get_task_seq() == 0)
            connections++;
        task->set_callback(
            [this](WFHttpTask *t) { (t->get_state() == WFT_STATE_SUCCESS ? replied : failed)++; });
        answer(task, task->get_req()->get_request_uri());
    }

    static void answer(WFHttpTask *task, const std::string &uri) {
        protocol::HttpRequest *req = task->get_req();
        protocol::HttpResponse *resp = task->get_resp();
        size_t slash = uri.find('/', 1);
        std::string what = uri.substr(0, slash);
        long number = slash == std::string::npos ? 0 : strtol(uri.c_str() + slash + 1, nullptr, 10);
        if (what == "/hello") {
            resp->append_output_body("hello");
        } else if (what == "/echo") {
            resp->append_output_body(protocol::HttpUtil::decode_chunked_body(req));
        } else if (what == "/big") {
            resp->append_output_body(pattern(static_cast<size_t>(number)));
        } else if (what == "/chunked") {
            resp->add_header_pair("Transfer-Encoding", "chunked");
            resp->append_output_body("5\r\nfirst\r\n7\r\n second\r\n0\r\n\r\n");
        } else if (what == "/status") {
            protocol::HttpUtil::set_response_status(resp, static_cast<int>(number));
        } else if (what == "/slow") {
            resp->append_output_body("slow");
            *series_of(task) << WFTaskFactory::create_timer_task(number / 1000,
                                                                 number % 1000 * 1000000, nullptr);
        } else if (what == "/method") {
            resp->append_output_body(req->get_method());
            resp->append_output_body(req->is_keep_alive() ? " keep" : " close");
        } else if (what == "/tls") {
            resp->append_output_body(describe_tls(task));
        } else {
            protocol::HttpUtil::set_response_status(resp, HttpStatusNotFound);
        }
    }

public:
    // What process sees of the handshake.
    static std::string describe_tls(WFHttpTask *task) {
        wf::TlsInfo info;
        if (!task->get_tls_info(&info))
            return "plain";
        return info.version + " " + (info.resumed ? "resumed" : "new") + " alpn=" + info.alpn +
               " name=" + info.server_name + (info.peer_cert.empty() ? " stranger" : " known");
    }

    // Bytes that show where a piece is missing or doubled.
    static std::string pattern(size_t size) {
        std::string text;
        text.reserve(size + 16);
        for (size_t line = 0; text.size() < size; line++)
            text += std::to_string(line) + "\n";
        text.resize(size);
        return text;
    }

private:
    WFHttpServer server_;
    unsigned short port_ = 0;
    bool tls_ = false;
};

#endif
