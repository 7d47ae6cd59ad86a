// Weft public header, room: util - small helpers on strings
// SPDX-License-Identifier: Apache-2.0
//
// Pure functions: any thread, no locale, no globals.

#ifndef WEFT_STRINGUTIL_H
#define WEFT_STRINGUTIL_H

#include <string>
#include <vector>

class StringUtil {
public:
    // In place: '+' becomes a space, %XX its byte. A '%' without two hex digits stays as it is.
    static void url_decode(std::string &str);

    // For a whole URL: letters, digits and -_.!~*'():/@?#& stay, a space becomes '+', every other
    // byte %XX.
    static std::string url_encode(const std::string &value);

    // For one part of a URL: only letters, digits and -_.!~*'() stay.
    static std::string url_encode_component(const std::string &value);

    // Empty parts are kept, so there is always at least one part.
    static std::vector<std::string> split(const std::string &str, char sep);
    static std::vector<std::string> split_filter_empty(const std::string &str, char sep);

    // Without ASCII white space (space, \t \n \v \f \r) at both ends.
    static std::string strip(const std::string &str);

    static bool start_with(const std::string &str, const std::string &prefix);
};

#endif // WEFT_STRINGUTIL_H
