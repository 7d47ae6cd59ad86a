// Weft - what parsing a request and encoding an answer cost
// SPDX-License-Identifier: Apache-2.0
//
// One thread, no socket: the share of a request's CPU time that belongs to HTTP itself. "Message"
// rows include the message object, from constructor to destructor, as a server pays for it.

#include <benchmark/benchmark.h>

#include <string>

#include "workflow/HttpMessage.h"
#include "workflow/HttpUtil.h"

namespace {

const std::string kSmall = "GET / HTTP/1.1\r\nHost: localhost:80\r\n\r\n";

const std::string kBrowser =
    "GET /articles/2024/weaving/index.html?page=3&sort=newest&filter=long HTTP/1.1\r\n"
    "Host: www.example.com\r\n"
    "Connection: keep-alive\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/120.0.0.0 Safari/537.36\r\n"
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,"
    "image/apng,*/*;q=0.8\r\n"
    "Accept-Encoding: gzip, deflate, br\r\n"
    "Accept-Language: en-GB,en;q=0.9,fr-FR;q=0.8,fr;q=0.7\r\n"
    "Referer: http://www.example.com/articles/2024/weaving/contents.html\r\n"
    "Cookie: session=5f4dcc3b5aa765d61d8327deb882cf99; theme=dark; visited=2024-01-15; "
    "consent=all; region=eu-west; cart=9f86d081884c7d659a2f\r\n"
    "Upgrade-Insecure-Requests: 1\r\n\r\n";

class Request : public protocol::HttpRequest {
public:
    int feed(const std::string &text) {
        size_t size = text.size();
        return this->append(text.data(), &size);
    }
};

class Response : public protocol::HttpResponse {
public:
    size_t vectors() {
        struct iovec vec[8];
        const int count = this->encode(vec, 8);
        benchmark::DoNotOptimize(vec[0].iov_base);
        return count == 1 ? vec[0].iov_len : 0;
    }
};

void parser(benchmark::State &state, const std::string &text) {
    http_parser_t parser;
    for (auto _ : state) {
        http_parser_init(0, &parser);
        size_t size = text.size();
        if (http_parser_append_message(text.data(), &size, &parser) != 1) {
            state.SkipWithError("not parsed");
        }
        http_parser_deinit(&parser);
    }
    state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * text.size()));
}

void message(benchmark::State &state, const std::string &text) {
    for (auto _ : state) {
        Request request;
        if (request.feed(text) != 1) {
            state.SkipWithError("not parsed");
        }
        benchmark::DoNotOptimize(request.get_request_uri());
    }
}

void answer(benchmark::State &state) {
    for (auto _ : state) {
        Response response;
        response.set_http_version("HTTP/1.1");
        protocol::HttpUtil::set_response_status(&response, 200);
        response.add_header_pair("Content-Type", "text/plain");
        response.add_header_pair("Content-Length", "13");
        response.add_header_pair("Connection", "Keep-Alive");
        response.append_output_body("Hello, world!", 13);
        if (response.vectors() == 0) {
            state.SkipWithError("not encoded");
        }
    }
}

BENCHMARK_CAPTURE(parser, small, kSmall);
BENCHMARK_CAPTURE(parser, browser, kBrowser);
BENCHMARK_CAPTURE(message, small, kSmall);
BENCHMARK_CAPTURE(message, browser, kBrowser);
BENCHMARK(answer);

} // namespace

BENCHMARK_MAIN();
