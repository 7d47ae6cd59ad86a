// Weft public header, room: protocol - status codes, and cursors over fields and chunks of HTTP messages
// SPDX-License-Identifier: Apache-2.0
#ifndef WEFT_HTTPUTIL_H
#define WEFT_HTTPUTIL_H

#include "HttpMessage.h"
#include "http_parser.h"
#include <stddef.h>
#include <string>
#include <unordered_map>
#include <vector>

#define HttpMethodGet     "GET"
#define HttpMethodHead    "HEAD"
#define HttpMethodPost    "POST"
#define HttpMethodPut     "PUT"
#define HttpMethodPatch   "PATCH"
#define HttpMethodDelete  "DELETE"
#define HttpMethodConnect "CONNECT"
#define HttpMethodOptions "OPTIONS"
#define HttpMethodTrace   "TRACE"

// RFC 9110, section 15, the IANA registry, and some of common practice.
enum {
    HttpStatusContinue = 100,
    HttpStatusSwitchingProtocols = 101,
    HttpStatusProcessing = 102,

    HttpStatusOK = 200,
    HttpStatusCreated = 201,
    HttpStatusAccepted = 202,
    HttpStatusNonAuthoritativeInfo = 203,
    HttpStatusNoContent = 204,
    HttpStatusResetContent = 205,
    HttpStatusPartialContent = 206,
    HttpStatusMultiStatus = 207,
    HttpStatusAlreadyReported = 208,
    HttpStatusIMUsed = 226,

    HttpStatusMultipleChoices = 300,
    HttpStatusMovedPermanently = 301,
    HttpStatusFound = 302,
    HttpStatusSeeOther = 303,
    HttpStatusNotModified = 304,
    HttpStatusUseProxy = 305,
    HttpStatusTemporaryRedirect = 307,
    HttpStatusPermanentRedirect = 308,

    HttpStatusBadRequest = 400,
    HttpStatusUnauthorized = 401,
    HttpStatusPaymentRequired = 402,
    HttpStatusForbidden = 403,
    HttpStatusNotFound = 404,
    HttpStatusMethodNotAllowed = 405,
    HttpStatusNotAcceptable = 406,
    HttpStatusProxyAuthRequired = 407,
    HttpStatusRequestTimeout = 408,
    HttpStatusConflict = 409,
    HttpStatusGone = 410,
    HttpStatusLengthRequired = 411,
    HttpStatusPreconditionFailed = 412,
    HttpStatusRequestEntityTooLarge = 413,
    HttpStatusRequestURITooLong = 414,
    HttpStatusUnsupportedMediaType = 415,
    HttpStatusRequestedRangeNotSatisfiable = 416,
    HttpStatusExpectationFailed = 417,
    HttpStatusTeapot = 418,
    HttpStatusEnhanceYourCaim = 420,
    HttpStatusMisdirectedRequest = 421,
    HttpStatusUnprocessableEntity = 422,
    HttpStatusLocked = 423,
    HttpStatusFailedDependency = 424,
    HttpStatusTooEarly = 425,
    HttpStatusUpgradeRequired = 426,
    HttpStatusPreconditionRequired = 428,
    HttpStatusTooManyRequests = 429,
    HttpStatusRequestHeaderFieldsTooLarge = 431,
    HttpStatusNoResponse = 444,
    HttpStatusBlocked = 450,
    HttpStatusUnavailableForLegalReasons = 451,
    HttpStatusTooLargeForNginx = 494,

    HttpStatusInternalServerError = 500,
    HttpStatusNotImplemented = 501,
    HttpStatusBadGateway = 502,
    HttpStatusServiceUnavailable = 503,
    HttpStatusGatewayTimeout = 504,
    HttpStatusHTTPVersionNotSupported = 505,
    HttpStatusVariantAlsoNegotiates = 506,
    HttpStatusInsufficientStorage = 507,
    HttpStatusLoopDetected = 508,
    HttpStatusNotExtended = 510,
    HttpStatusNetworkAuthenticationRequired = 511,
};

namespace protocol {

class HttpUtil {
public:
    // Code and standard phrase; "Unknown" for a code that has none.
    static void set_response_status(HttpResponse *resp, int status_code);

    // The body without its framing; the body itself when it is not chunked.
    static std::string decode_chunked_body(const HttpMessage *msg);
};

// The fields of a message, copied, to be looked up by name in either case.
class HttpHeaderMap {
public:
    HttpHeaderMap(const HttpMessage *message);

    bool key_exists(std::string key);

    // The first value of that name; an empty string or false if there is none.
    std::string get(std::string key);
    bool get(std::string key, std::string &value);

    // All values, in order.
    std::vector<std::string> get_strict(std::string key);
    bool get_strict(std::string key, std::vector<std::string> &values);

private:
    std::unordered_map<std::string, std::vector<std::string>> map_;
};

// Walks the fields of a message in order. Valid as long as the message is neither moved nor
// destroyed.
class HttpHeaderCursor {
public:
    HttpHeaderCursor(const HttpMessage *message);
    virtual ~HttpHeaderCursor();

    bool next(struct HttpMessageHeader *header);
    bool next(std::string &name, std::string &value);

    // Searches forward from here; the name is given, the value returned.
    bool find(struct HttpMessageHeader *header);
    bool find(const std::string &name, std::string &value);

    // Removes the field that was returned last.
    bool erase();
    bool find_and_erase(struct HttpMessageHeader *header);
    bool find_and_erase(const std::string &name);

    void rewind() { http_header_cursor_rewind(&this->cursor); }

    HttpHeaderCursor(const HttpHeaderCursor &) = delete;
    HttpHeaderCursor &operator=(const HttpHeaderCursor &) = delete;

protected:
    http_header_cursor_t cursor;
};

// Walks the chunks of a received body; one that is not chunked counts as a single chunk.
class HttpChunkCursor {
public:
    HttpChunkCursor(const HttpMessage *message);
    virtual ~HttpChunkCursor() {}

    // Borrowed; false behind the last chunk.
    bool next(const void **chunk, size_t *size);
    void rewind();

private:
    const char *body_;
    size_t body_size_;
    size_t pos_;
    bool chunked_;
    bool end_;
};

} // namespace protocol

#endif
