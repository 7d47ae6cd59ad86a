// Weft - answers a server gives without asking its user; the phrases of status codes
// SPDX-License-Identifier: Apache-2.0
//
// Phrases are those of the IANA registry (RFC 9110, section 15), and of common practice where it
// has none.

#include "protocol/http_answer.h"

#include <iterator>
#include <string_view>

namespace protocol {

namespace {

struct Phrase {
    int code;
    const char *text;
};

// Sorted by code.
constexpr Phrase kPhrases[] = {
    {100, "Continue"},
    {101, "Switching Protocols"},
    {102, "Processing"},
    {103, "Early Hints"},
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {203, "Non-Authoritative Information"},
    {204, "No Content"},
    {205, "Reset Content"},
    {206, "Partial Content"},
    {207, "Multi-Status"},
    {208, "Already Reported"},
    {226, "IM Used"},
    {300, "Multiple Choices"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {305, "Use Proxy"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {402, "Payment Required"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {407, "Proxy Authentication Required"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Request Entity Too Large"},
    {414, "Request-URI Too Long"},
    {415, "Unsupported Media Type"},
    {416, "Requested Range Not Satisfiable"},
    {417, "Expectation Failed"},
    {418, "I'm a teapot"},
    {420, "Enhance Your Calm"},
    {421, "Misdirected Request"},
    {422, "Unprocessable Entity"},
    {423, "Locked"},
    {424, "Failed Dependency"},
    {425, "Too Early"},
    {426, "Upgrade Required"},
    {428, "Precondition Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {444, "No Response"},
    {450, "Blocked"},
    {451, "Unavailable For Legal Reasons"},
    {494, "Request Header Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
    {506, "Variant Also Negotiates"},
    {507, "Insufficient Storage"},
    {508, "Loop Detected"},
    {510, "Not Extended"},
    {511, "Network Authentication Required"},
};

struct Answer {
    int status;
    std::string_view text;
};

#define ERROR_ANSWER(status, phrase) \
    { status, "HTTP/1.1 " #status " " phrase "\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" }

// The first is the answer to everything that has none of its own.
constexpr Answer kAnswers[] = {
    ERROR_ANSWER(400, "Bad Request"),
    ERROR_ANSWER(403, "Forbidden"),
    ERROR_ANSWER(408, "Request Timeout"),
    ERROR_ANSWER(413, "Content Too Large"),
    ERROR_ANSWER(414, "URI Too Long"),
    ERROR_ANSWER(417, "Expectation Failed"),
    ERROR_ANSWER(431, "Request Header Fields Too Large"),
    ERROR_ANSWER(501, "Not Implemented"),
    ERROR_ANSWER(503, "Service Unavailable"),
    ERROR_ANSWER(505, "HTTP Version Not Supported"),
};

#undef ERROR_ANSWER

} // namespace

const char *http_status_phrase(int code) {
    if (code == 200) {
        return "OK";
    }
    size_t from = 0;
    size_t to = std::size(kPhrases);
    while (from < to) {
        const size_t middle = (from + to) / 2;
        if (kPhrases[middle].code == code) {
            return kPhrases[middle].text;
        }
        if (kPhrases[middle].code < code) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    return nullptr;
}

const char *http_error_answer(int status, size_t *size) {
    const Answer *found = &kAnswers[0];
    for (const Answer &answer : kAnswers) {
        if (answer.status == status) {
            found = &answer;
        }
    }
    *size = found->text.size();
    return found->text.data();
}

} // namespace protocol
