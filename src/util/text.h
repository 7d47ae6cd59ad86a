// Weft - numbers and strings in the text formats
// SPDX-License-Identifier: Apache-2.0
#ifndef WEFT_SRC_UTIL_TEXT_H
#define WEFT_SRC_UTIL_TEXT_H

#include <stdint.h>
#include <string>
#include <string_view>

namespace wf::detail {

// The shortest form that means the same number; +Inf, -Inf and NaN as Prometheus has them.
void append_number(std::string *text, double value);
void append_number(std::string *text, uint64_t value);

// A string of JSON, with its quotes. What is no UTF-8 is replaced.
void append_json(std::string *text, std::string_view value);
// A text of HTML, as an attribute in quotes too. What is no UTF-8 is replaced, as are control
// characters.
void append_html(std::string *text, std::string_view value);

} // namespace wf::detail

#endif
