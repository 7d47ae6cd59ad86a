// Weft - fuzzes the URI parser and the helpers around it
// SPDX-License-Identifier: Apache-2.0
//
// Besides "does not crash" it holds that: both forms of the text agree; a refused text leaves
// nothing behind; no accepted part holds a byte that would change a message it is sent in; the
// parts put together again parse to the same parts; decoding undoes encoding.

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <string>

#include "workflow/StringUtil.h"
#include "workflow/URIParser.h"

namespace {

// assert() would vanish with NDEBUG.
void must(bool holds, const char *what) {
    if (!holds) {
        fprintf(stderr, "does not hold: %s\n", what);
        abort();
    }
}

bool same(const char *a, const char *b) { return a && b ? strcmp(a, b) == 0 : a == b; }

bool same(const ParsedURI &a, const ParsedURI &b) {
    return a.state == b.state && a.error == b.error && same(a.scheme, b.scheme) &&
           same(a.userinfo, b.userinfo) && same(a.host, b.host) && same(a.port, b.port) &&
           same(a.path, b.path) && same(a.query, b.query) && same(a.fragment, b.fragment);
}

std::string put_together(const ParsedURI &uri) {
    std::string res = std::string(uri.scheme) + ":";

    // A path that itself starts with "//" would read as an authority.
    if (uri.userinfo || uri.host || uri.port || (uri.path && strncmp(uri.path, "//", 2) == 0))
        res += "//";
    if (uri.userinfo)
        res += std::string(uri.userinfo) + "@";
    if (uri.host && strchr(uri.host, ':'))
        res += std::string("[") + uri.host + "]";
    else if (uri.host)
        res += uri.host;
    if (uri.port)
        res += std::string(":") + uri.port;
    if (uri.path)
        res += uri.path;
    if (uri.query)
        res += std::string("?") + uri.query;
    if (uri.fragment)
        res += std::string("#") + uri.fragment;
    return res;
}

void check_accepted(const ParsedURI &uri) {
    must(uri.scheme != nullptr, "an accepted URI has a scheme");
    must(!uri.host || !uri.path || uri.path[0] == '/', "a path after a host starts with '/'");
    must(!uri.port || strspn(uri.port, "0123456789") == strlen(uri.port), "a port has digits");
    must(!uri.host || !strpbrk(uri.host, "/?#@[]\\"), "a host has no delimiter in it");
    must(!uri.query || !strchr(uri.query, '#'), "a query ends at '#'");
    must(!uri.path || !strpbrk(uri.path, "?#"), "a path ends at '?' and '#'");

    for (const char *part :
         {uri.scheme, uri.userinfo, uri.host, uri.port, uri.path, uri.query, uri.fragment}) {
        if (!part)
            continue;
        must(*part != '\0', "an empty part is absent");
        for (const char *p = part; *p; p++)
            must(static_cast<unsigned char>(*p) > ' ' && *p != 0x7f, "no control byte inside");
    }
}

void check_refused(const ParsedURI &uri) {
    must(uri.state == URI_STATE_INVALID && uri.error == 0, "a bad text is INVALID");
    must(!uri.scheme && !uri.userinfo && !uri.host && !uri.port && !uri.path && !uri.query &&
             !uri.fragment,
         "a refused URI has no parts");
}

void check_helpers(const std::string &text) {
    for (std::string coded :
         {StringUtil::url_encode(text), StringUtil::url_encode_component(text)}) {
        StringUtil::url_decode(coded);
        must(coded == text, "decode undoes encode");
    }

    std::string joined;
    for (const std::string &part : StringUtil::split(text, '/'))
        joined += part + "/";
    must(joined == text + "/", "the split parts make the text");

    size_t items = 0;
    auto simple = URIParser::split_query(text);
    auto strict = URIParser::split_query_strict(text);
    must(simple.size() == strict.size(), "both query maps have the same keys");
    for (const auto &entry : strict) {
        must(simple[entry.first] == entry.second.front(), "the first value wins");
        items += entry.second.size();
    }
    must(items <= StringUtil::split_filter_empty(text, '&').size(), "one value for one item");
    for (const std::string &part : URIParser::split_path(text))
        must(!part.empty() && part.find('/') == std::string::npos, "path parts are plain");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    std::string text(reinterpret_cast<const char *>(data), size);
    ParsedURI uri;

    if (URIParser::parse(text, uri) == 0) {
        must(uri.state == URI_STATE_SUCCESS && uri.error == 0, "0 means SUCCESS");
        check_accepted(uri);

        ParsedURI again;
        must(URIParser::parse(put_together(uri), again) == 0, "put together, it parses again");
        must(same(uri, again), "put together, it has the same parts");
        must(same(uri, ParsedURI(uri)), "a copy is the same");
    } else {
        check_refused(uri);
    }

    ParsedURI by_pointer;
    URIParser::parse(text.c_str(), by_pointer);
    if (text.find('\0') == std::string::npos)
        must(same(uri, by_pointer), "both forms of the text agree");

    check_helpers(text);
    return 0;
}
