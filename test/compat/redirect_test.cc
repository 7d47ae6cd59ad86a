// Weft - compat: redirects of HTTP client tasks
// SPDX-License-Identifier: Apache-2.0
//
// Rows 71 and 72 of the behaviour table.

#include <gtest/gtest.h>

#include <mutex>
#include <vector>

#include "workflow/WFHttpServer.h"

#include "http_call.h"
#include "support.h"

using compat::Call;
using compat::port_of;
using compat::url_of;

namespace {

// Paths: /CODE/N redirects N more times with that code; /CODE/0 answers. One path may be sent
// anywhere.
class Redirects : public ::testing::Test {
protected:
    Redirects() : server_([this](WFHttpTask *task) { serve(task); }) {}
    void SetUp() override { ASSERT_EQ(0, server_.start("127.0.0.1", 0)); }
    void TearDown() override { server_.stop(); }

    void serve(WFHttpTask *task) {
        std::string uri = task->get_req()->get_request_uri();
        std::string method = task->get_req()->get_method();
        std::string body = protocol::HttpUtil::decode_chunked_body(task->get_req());
        protocol::HttpHeaderMap headers(task->get_req());
        {
            std::lock_guard<std::mutex> lock(mutex_);
            requests_.push_back(method + " " + uri + (body.empty() ? "" : " " + body));
            authorizations_.push_back(headers.get("Authorization"));
            lengths_.push_back(headers.get("Content-Length"));
        }
        protocol::HttpResponse *resp = task->get_resp();
        int code = 0;
        int left = 0;
        if (!location_.empty() && uri == from_) {
            protocol::HttpUtil::set_response_status(resp, 302);
            resp->add_header_pair("Location", location_);
        } else if (uri == "/nowhere") {
            protocol::HttpUtil::set_response_status(resp, 302);
        } else if (sscanf(uri.c_str(), "/%d/%d", &code, &left) == 2 && left > 0) {
            std::string next = "/" + std::to_string(code) + "/" + std::to_string(left - 1);
            protocol::HttpUtil::set_response_status(resp, code);
            resp->add_header_pair("Location", prefix_ + next);
        } else {
            resp->append_output_body("arrived");
        }
    }

    std::vector<std::string> requests() {
        std::lock_guard<std::mutex> lock(mutex_);
        return requests_;
    }

    // The Content-Length header of each request.
    std::vector<std::string> lengths() {
        std::lock_guard<std::mutex> lock(mutex_);
        return lengths_;
    }

    void forget() {
        std::lock_guard<std::mutex> lock(mutex_);
        requests_.clear();
        lengths_.clear();
    }

    std::string url(const std::string &path) { return url_of(port_of(server_), path); }

    std::mutex mutex_;
    std::vector<std::string> requests_;
    std::vector<std::string> authorizations_;
    std::vector<std::string> lengths_;
    std::string prefix_;
    std::string from_;     // This request is sent
    std::string location_; // there.
    WFHttpServer server_;
};

TEST_F(Redirects, Row71Followed) {
    for (int code : {301, 302, 303, 307, 308}) {
        Call call;
        ASSERT_TRUE(call.run(url("/" + std::to_string(code) + "/2"), 5));
        EXPECT_EQ(WFT_STATE_SUCCESS, call.state) << code;
        EXPECT_EQ("200", call.status) << code;
        EXPECT_EQ("arrived", call.body) << code;
        EXPECT_EQ(1, call.calls) << code;
    }
}

// The limit: SUCCESS with the 30x answer; redirect_max 2 makes 3 requests.
TEST_F(Redirects, Row71Limit) {
    Call call;
    ASSERT_TRUE(call.run(url("/302/10"), 2));
    EXPECT_EQ(WFT_STATE_SUCCESS, call.state);
    EXPECT_EQ("302", call.status);
    EXPECT_EQ(3u, requests().size());
}

TEST_F(Redirects, Row71MethodAndBody) {
    auto post = [](WFHttpTask *task) {
        task->get_req()->set_method(HttpMethodPost);
        task->get_req()->append_output_body("data");
    };
    for (int code : {301, 302, 303}) {
        Call call;
        ASSERT_TRUE(call.run(url("/" + std::to_string(code) + "/1"), 1, 0, post));
        EXPECT_EQ(0u, requests().back().find("GET /")) << requests().back();
    }
    for (int code : {307, 308}) {
        Call call;
        ASSERT_TRUE(call.run(url("/" + std::to_string(code) + "/1"), 1, 0, post));
        EXPECT_EQ("POST /" + std::to_string(code) + "/0 data", requests().back());
    }
    Call head;
    ASSERT_TRUE(head.run(url("/302/1"), 1, 0,
                         [](WFHttpTask *task) { task->get_req()->set_method(HttpMethodHead); }));
    EXPECT_EQ("HEAD /302/0", requests().back());
}

// No Location: TASK_ERROR/2001, but a plain SUCCESS when redirects are not wanted.
TEST_F(Redirects, Row71NoLocation) {
    Call call;
    ASSERT_TRUE(call.run(url("/nowhere"), 1));
    EXPECT_EQ(WFT_STATE_TASK_ERROR, call.state);
    EXPECT_EQ(WFT_ERR_HTTP_BAD_REDIRECT_HEADER, call.error);
    Call plain;
    ASSERT_TRUE(plain.run(url("/nowhere"), 0));
    EXPECT_EQ(WFT_STATE_SUCCESS, plain.state);
    EXPECT_EQ("302", plain.status);
}

// Absolute and protocol-relative locations.
TEST_F(Redirects, Row71LocationForms) {
    std::string host = "127.0.0.1:" + std::to_string(port_of(server_));
    for (const std::string &prefix : {"http://" + host, "//" + host}) {
        prefix_ = prefix;
        Call call;
        ASSERT_TRUE(call.run(url("/302/1"), 1));
        EXPECT_EQ("arrived", call.body) << prefix;
    }
}

// Relative locations (RFC 3986, section 5.2): what the next request is, for each form.
TEST_F(Redirects, Row71RelativeLocations) {
    std::string host = "127.0.0.1:" + std::to_string(port_of(server_));
    struct Case {
        std::string from;
        std::string location;
        std::string next;
    };
    const Case cases[] = {
        {"/dir/go?old=1", "x", "/dir/x"},
        {"/dir/go", "x?new=2", "/dir/x?new=2"},
        {"/dir/go", "deep/x", "/dir/deep/x"},
        {"/dir/", "x", "/dir/x"},
        {"/", "x", "/x"},
        {"/dir/go?old=/a/b", "x", "/dir/x"},
        {"/dir/go?old=1", "?q", "/dir/go?q"},
        {"/dir/go", "?q=/a/b", "/dir/go?q=/a/b"},
        {"/dir/go?old=1", "/top?q", "/top?q"},
        {"/dir/go", "/top?back=http://other/", "/top?back=http://other/"},
        {"/dir/go?old=1", "//" + host + "/p/q?r", "/p/q?r"},
        {"/dir/go", "//" + host, "/"},
        {"/dir/go", "http://" + host + "/full", "/full"},
    };
    for (const Case &item : cases) {
        from_ = item.from;
        location_ = item.location;
        Call call;
        ASSERT_TRUE(call.run(url(item.from), 1)) << item.location;
        EXPECT_EQ(WFT_STATE_SUCCESS, call.state) << item.from << " -> " << item.location;
        EXPECT_EQ("arrived", call.body) << item.from << " -> " << item.location;
        EXPECT_EQ("GET " + item.next, requests().back()) << item.from << " -> " << item.location;
    }
}

// An URL without a path is at the root.
TEST_F(Redirects, Row71RelativeToAnUrlWithoutAPath) {
    from_ = "/";
    for (const char *location : {"x", "?q"}) {
        location_ = location;
        Call call;
        ASSERT_TRUE(call.run(url(""), 1));
        EXPECT_EQ("arrived", call.body) << location;
        EXPECT_EQ(location_ == "x" ? "GET /x" : "GET /?q", requests().back());
    }
}

// 307 and 308 carry the body, with its length, through every hop.
TEST_F(Redirects, Row71BodyIsKept) {
    for (const std::string url_path : {"/307", "/308"}) {
        for (const std::string method : {"POST", "PUT"}) {
            forget();
            Call call;
            ASSERT_TRUE(call.run(url(url_path + "/2"), 2, 0, [&](WFHttpTask *task) {
                task->get_req()->set_method(method);
                task->get_req()->append_output_body("da");
                task->get_req()->append_output_body("ta");
            }));
            std::vector<std::string> expected;
            for (const char *left : {"/2", "/1", "/0"})
                expected.push_back(method + " " + url_path + left + " data");
            EXPECT_EQ(expected, requests());
            EXPECT_EQ(std::vector<std::string>(3, "4"), lengths());
        }
    }
}

// 301, 302 and 303 of a POST drop the body and its length with the method.
TEST_F(Redirects, Row71BodyIsDropped) {
    for (const std::string url_path : {"/301", "/302", "/303"}) {
        forget();
        Call call;
        ASSERT_TRUE(call.run(url(url_path + "/1"), 1, 0, [](WFHttpTask *task) {
            task->get_req()->set_method(HttpMethodPost);
            task->get_req()->append_output_body("data");
        }));
        EXPECT_EQ("arrived", call.body);
        std::vector<std::string> expected = {"POST " + url_path + "/1 data",
                                             "GET " + url_path + "/0"};
        EXPECT_EQ(expected, requests());
        EXPECT_EQ(std::vector<std::string>({"4", ""}), lengths());
    }
}

// Credentials of the URL stay with their host.
TEST_F(Redirects, Row71AuthorizationStaysHome) {
    prefix_ = "http://localhost:" + std::to_string(port_of(server_));
    Call call;
    std::string url = "http://me:secret@127.0.0.1:" + std::to_string(port_of(server_)) + "/302/1";
    ASSERT_TRUE(call.run(url, 1, 1));
    EXPECT_EQ("arrived", call.body);
    ASSERT_EQ(2u, authorizations_.size());
    EXPECT_NE("", authorizations_[0]);
    EXPECT_EQ("", authorizations_[1]);
}

// Row 72: the response is made anew for each hop; its limit stays.
TEST_F(Redirects, Row72FreshResponse) {
    Call call;
    size_t limit = 0;
    ASSERT_TRUE(call.run(url("/302/1"), 1, 0, [&](WFHttpTask *task) {
        task->get_resp()->set_size_limit(4321);
        task->set_callback([&](WFHttpTask *t) {
            call.note(t);
            limit = t->get_resp()->get_size_limit();
            protocol::HttpHeaderMap headers(t->get_resp());
            EXPECT_FALSE(headers.key_exists("Location"));
        });
    }));
    EXPECT_EQ("arrived", call.body);
    EXPECT_EQ(4321u, limit);
}

// A redirect to a bad place ends with the error of that place.
TEST_F(Redirects, Row71BadTarget) {
    prefix_ = "ftp://127.0.0.1";
    Call call;
    ASSERT_TRUE(call.run(url("/302/1"), 1));
    EXPECT_EQ(WFT_STATE_TASK_ERROR, call.state);
    EXPECT_EQ(WFT_ERR_URI_SCHEME_INVALID, call.error);
}

} // namespace
