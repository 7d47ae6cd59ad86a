// Weft - URI text to its parts, and the memory of these parts
// SPDX-License-Identifier: Apache-2.0
//
// Pure functions, any thread. One table says for each byte in which parts it may stand; a part is
// then "the longest run of allowed bytes", and what stops the run decides what comes next. Each
// byte is looked at a small fixed number of times, however long the text is.
// Always true: a ParsedURI in a state other than SUCCESS owns nothing.

#include "workflow/URIParser.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>
#include <utility>

#include "workflow/StringUtil.h"

namespace {

using std::string_view;

// The classes of RFC 3986, one bit each.
enum : uint8_t {
    kAlpha = 1 << 0,
    kDigit = 1 << 1,
    kHex = 1 << 2,
    kMark = 1 << 3, // the other unreserved ones: - . _ ~
    kSubDelim = 1 << 4,
    kSchemeMark = 1 << 5,   // + - .
    kAuthorityEnd = 1 << 6, // / ? #
    kVisible = 1 << 7,      // neither control character nor space; all non-ASCII bytes
};

constexpr uint8_t kUnreserved = kAlpha | kDigit | kMark;
constexpr uint8_t kRegName = kUnreserved | kSubDelim;

constexpr std::array<uint8_t, 256> make_classes() {
    std::array<uint8_t, 256> table{};
    auto mark = [&table](string_view bytes, uint8_t bit) {
        for (char c : bytes)
            table[static_cast<unsigned char>(c)] |= bit;
    };

    for (size_t c = 0; c < table.size(); c++)
        table[c] = c > 0x20 && c != 0x7f ? kVisible : 0;

    mark("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", kAlpha);
    mark("0123456789", kDigit);
    mark("0123456789abcdefABCDEF", kHex);
    mark("-._~", kMark);
    mark("!$&'()*+,;=", kSubDelim);
    mark("+-.", kSchemeMark);
    mark("/?#", kAuthorityEnd);
    return table;
}

constexpr std::array<uint8_t, 256> kClasses = make_classes();

bool is(char c, uint8_t classes) {
    return (kClasses[static_cast<unsigned char>(c)] & classes) != 0;
}

bool all(string_view text, uint8_t classes) {
    for (char c : text) {
        if (!is(c, classes))
            return false;
    }
    return true;
}

// Allowed bytes, one extra byte, and whole percent triplets.
bool all_or_escaped(string_view text, uint8_t classes, char extra) {
    for (size_t i = 0; i < text.size(); i++) {
        if (is(text[i], classes) || (extra && text[i] == extra))
            continue;

        if (text[i] != '%' || text.size() - i < 3 || !all(text.substr(i + 1, 2), kHex))
            return false;

        i += 2;
    }
    return true;
}

// What stands before the first byte of `stops` is cut off `rest` and returned.
string_view cut_before(string_view *rest, string_view stops) {
    size_t n = std::min(rest->find_first_of(stops), rest->size());
    string_view head = rest->substr(0, n);

    rest->remove_prefix(n);
    return head;
}

bool cut_byte(string_view *rest, char c) {
    if (rest->empty() || rest->front() != c)
        return false;

    rest->remove_prefix(1);
    return true;
}

struct Parts {
    string_view scheme;
    string_view userinfo;
    string_view host;
    string_view port;
    string_view path;
    string_view query;
    string_view fragment;
};

// RFC 3986, 3.2.2 and RFC 6874: what stands between the brackets. Only the characters are checked;
// a literal that is no address fails when it is looked up.
bool valid_literal(string_view text) {
    if (!text.empty() && (text[0] == 'v' || text[0] == 'V')) {
        size_t dot = text.find('.');

        if (dot == string_view::npos || dot < 2 || dot + 1 == text.size())
            return false;

        string_view address = text.substr(dot + 1);
        for (char c : address) {
            if (!is(c, kRegName) && c != ':')
                return false;
        }
        return all(text.substr(1, dot - 1), kHex);
    }

    size_t percent = std::min(text.find('%'), text.size());
    string_view address = text.substr(0, percent);

    // The zone comes with '%' or, as RFC 6874 has it, with "%25".
    if (percent < text.size()) {
        string_view zone = text.substr(percent + 1);

        if (zone.empty() || zone == "25" || !all_or_escaped(zone, kUnreserved, '\0'))
            return false;
    }

    for (char c : address) {
        if (!is(c, kHex) && c != ':' && c != '.')
            return false;
    }
    return address.find(':') != string_view::npos;
}

bool split_authority(string_view rest, Parts *parts) {
    size_t at = rest.find('@');

    if (at != string_view::npos) {
        parts->userinfo = rest.substr(0, at);
        rest.remove_prefix(at + 1);
        if (!all_or_escaped(parts->userinfo, kRegName, ':'))
            return false;
    }

    if (cut_byte(&rest, '[')) {
        parts->host = cut_before(&rest, "]");
        if (!cut_byte(&rest, ']') || !valid_literal(parts->host))
            return false;
    } else {
        parts->host = cut_before(&rest, ":");
        if (!all_or_escaped(parts->host, kRegName, '\0'))
            return false;
    }

    if (rest.empty())
        return true;

    if (!cut_byte(&rest, ':'))
        return false;

    parts->port = rest;
    return all(rest, kDigit);
}

bool split(string_view rest, Parts *parts) {
    parts->scheme = cut_before(&rest, ":");
    if (parts->scheme.empty() || !is(parts->scheme[0], kAlpha) ||
        !all(parts->scheme, kAlpha | kDigit | kSchemeMark) || !cut_byte(&rest, ':')) {
        return false;
    }

    // Control characters and spaces are allowed nowhere, so the parts below need not look again.
    if (!all(rest, kVisible))
        return false;

    if (rest.starts_with("//")) {
        rest.remove_prefix(2);
        if (!split_authority(cut_before(&rest, "/?#"), parts))
            return false;
    }

    parts->path = cut_before(&rest, "?#");
    if (cut_byte(&rest, '?'))
        parts->query = cut_before(&rest, "#");

    if (cut_byte(&rest, '#'))
        parts->fragment = rest;

    return true;
}

// False when there is no memory; an empty part is NULL.
bool store(string_view part, char **field) {
    if (part.empty())
        return true;

    *field = static_cast<char *>(malloc(part.size() + 1));
    if (!*field)
        return false;

    memcpy(*field, part.data(), part.size());
    (*field)[part.size()] = '\0';
    return true;
}

bool store_all(const Parts &parts, ParsedURI *uri) {
    return store(parts.scheme, &uri->scheme) && store(parts.userinfo, &uri->userinfo) &&
           store(parts.host, &uri->host) && store(parts.port, &uri->port) &&
           store(parts.path, &uri->path) && store(parts.query, &uri->query) &&
           store(parts.fragment, &uri->fragment);
}

int parse_view(string_view text, ParsedURI *uri) {
    Parts parts;

    if (!split(text, &parts)) {
        *uri = ParsedURI();
        uri->state = URI_STATE_INVALID;
        return -1;
    }

    // The text may lie inside one of the old parts, so these go only when the new ones exist.
    ParsedURI fresh;
    if (store_all(parts, &fresh)) {
        fresh.state = URI_STATE_SUCCESS;
        *uri = std::move(fresh);
        return 0;
    }

    *uri = ParsedURI();
    uri->state = URI_STATE_ERROR;
    uri->error = ENOMEM;
    return -1;
}

string_view view_of(const char *part) { return part ? string_view(part) : string_view(); }

// Calls add(key, value) for every item with a key.
template <class Add>
void each_query_item(const std::string &query, Add add) {
    for (const std::string &item : StringUtil::split_filter_empty(query, '&')) {
        size_t key_end = std::min(item.find('='), item.size());

        if (key_end == 0)
            continue;

        size_t start = std::min(key_end + 1, item.size());
        size_t end = std::min(item.find('=', start), item.size());
        add(item.substr(0, key_end), item.substr(start, end - start));
    }
}

} // namespace

void ParsedURI::init() {
    scheme = nullptr;
    userinfo = nullptr;
    host = nullptr;
    port = nullptr;
    path = nullptr;
    query = nullptr;
    fragment = nullptr;
    state = URI_STATE_INIT;
    error = 0;
}

void ParsedURI::deinit() {
    free(scheme);
    free(userinfo);
    free(host);
    free(port);
    free(path);
    free(query);
    free(fragment);
}

void ParsedURI::copy(const ParsedURI &uri) {
    init();
    state = uri.state;
    error = uri.error;
    if (state != URI_STATE_SUCCESS)
        return;

    Parts parts{view_of(uri.scheme), view_of(uri.userinfo), view_of(uri.host),    view_of(uri.port),
                view_of(uri.path),   view_of(uri.query),    view_of(uri.fragment)};

    if (!store_all(parts, this)) {
        deinit();
        init();
        state = URI_STATE_ERROR;
        error = ENOMEM;
    }
}

void ParsedURI::take(ParsedURI &uri) {
    scheme = uri.scheme;
    userinfo = uri.userinfo;
    host = uri.host;
    port = uri.port;
    path = uri.path;
    query = uri.query;
    fragment = uri.fragment;
    state = uri.state;
    error = uri.error;
    uri.init();
}

int URIParser::parse(const char *str, ParsedURI &uri) {
    if (str)
        return parse_view(str, &uri);

    uri = ParsedURI();
    uri.state = URI_STATE_ERROR;
    uri.error = EINVAL;
    return -1;
}

int URIParser::parse(const std::string &str, ParsedURI &uri) { return parse_view(str, &uri); }

std::map<std::string, std::vector<std::string>> URIParser::split_query_strict(
    const std::string &query) {
    std::map<std::string, std::vector<std::string>> res;

    each_query_item(query, [&res](std::string &&key, std::string &&value) {
        res[std::move(key)].push_back(std::move(value));
    });
    return res;
}

std::map<std::string, std::string> URIParser::split_query(const std::string &query) {
    std::map<std::string, std::string> res;

    each_query_item(query, [&res](std::string &&key, std::string &&value) {
        res.emplace(std::move(key), std::move(value));
    });
    return res;
}

std::vector<std::string> URIParser::split_path(const std::string &path) {
    return StringUtil::split_filter_empty(path, '/');
}
