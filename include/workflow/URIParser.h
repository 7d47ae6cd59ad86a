// Weft public header, room: util - a URI, parsed into its parts
// SPDX-License-Identifier: Apache-2.0
//
// Pure functions on the caller's objects: any thread, no locks, no globals.

#ifndef WEFT_URIPARSER_H
#define WEFT_URIPARSER_H

#include <map>
#include <stddef.h>
#include <string>
#include <vector>

#define URI_STATE_INIT    0
#define URI_STATE_SUCCESS 1
#define URI_STATE_INVALID 2
#define URI_STATE_ERROR   3

// The parts of a URI (RFC 3986, section 3), as they were written: nothing is percent-decoded.
//
// Each part is malloc memory of this object, or NULL when the part is absent or empty. A user may
// replace one: free() the old pointer and store a strdup() of the new text.
class ParsedURI {
public:
    char *scheme;
    char *userinfo; // "user:password", without '@'
    char *host;     // an IPv6 literal stands here without its brackets
    char *port;     // digits; neither their number nor the range is checked here
    char *path;     // with its leading '/' when there is a host
    char *query;    // without '?'
    char *fragment; // without '#'
    int state;      // URI_STATE_*; the parts mean something under SUCCESS only
    int error;      // an errno value under URI_STATE_ERROR, else 0

    ParsedURI() { init(); }

    virtual ~ParsedURI() { deinit(); }

    // The parts are copied under SUCCESS only. Without memory the copy has URI_STATE_ERROR.
    ParsedURI(const ParsedURI &uri) { copy(uri); }

    ParsedURI &operator=(const ParsedURI &uri) {
        if (this != &uri) {
            deinit();
            copy(uri);
        }
        return *this;
    }

    // The source is left empty, with URI_STATE_INIT.
    ParsedURI(ParsedURI &&uri) noexcept { take(uri); }

    ParsedURI &operator=(ParsedURI &&uri) noexcept {
        if (this != &uri) {
            deinit();
            take(uri);
        }
        return *this;
    }

private:
    void init();
    void deinit();
    void copy(const ParsedURI &uri);
    void take(ParsedURI &uri);
};

class URIParser {
public:
    // Parses all of the text into `uri`, whatever it held before. Returns 0, or -1 with
    // uri.state URI_STATE_INVALID (not a URI) or URI_STATE_ERROR (errno in uri.error).
    //
    // scheme ":" ["//" [userinfo "@"] host [":" port]] path ["?" query] ["#" fragment]
    //
    // Scheme, userinfo, host and port hold the characters of RFC 3986 only. In path, query and
    // fragment every byte is taken but control characters and the space, since old programs write
    // them unescaped; a raw space or line break would change the message the URI is sent in.
    // The host may be absent even after "//" ("file:///x"): who needs one has to look.
    static int parse(const char *str, ParsedURI &uri);
    static int parse(const std::string &str, ParsedURI &uri);

    // "k1=v1&k2=v2" to a map, nothing decoded. "k" and "k=" have the value "". Text after a second
    // '=' in one item is dropped, and so are items without a key (as programs have come to expect).
    static std::map<std::string, std::vector<std::string>> split_query_strict(
        const std::string &query);

    // The same, keeping the first value of each key.
    static std::map<std::string, std::string> split_query(const std::string &query);

    // The non-empty parts between '/'.
    static std::vector<std::string> split_path(const std::string &path);
};

#endif // WEFT_URIPARSER_H
