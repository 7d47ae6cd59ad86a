// Weft - how a JSON value lies in memory; for json_value.cc and json_parser.cc
// SPDX-License-Identifier: Apache-2.0

#ifndef WEFT_SRC_UTIL_JSON_VALUE_H
#define WEFT_SRC_UTIL_JSON_VALUE_H

#include <stddef.h>

#include "workflow/json_parser.h"
#include "workflow/list.h"

// The text of a member's name knows its value, since the interface steps from name to name.
struct JsonName {
    json_value_t *value;
    char text[1];
};

struct JsonChildren {
    struct list_head head;
    size_t size;
};

struct __json_object {
    JsonChildren children;
};

struct __json_array {
    JsonChildren children;
};

// Malloc memory throughout. `in_tree` is true while `link` is in a parent's list; `name` is set
// while that parent is an object.
struct __json_value {
    int type;
    bool in_tree;
    struct list_head link;
    JsonName *name;
    union {
        char *string;
        double number;
        json_object_t object;
        json_array_t array;
    };
};

namespace wf::json {

// NULL without memory. A string value takes over `string`, also when it fails.
json_value_t *new_value(int type);
json_value_t *new_string(char *string);
json_value_t *new_number(double number);

JsonName *new_name(const char *text, size_t len);

// Puts `val` before `place`, which is a link or the head of `children`; takes over `name`.
void adopt(json_value_t *val, JsonName *name, struct list_head *place, JsonChildren *children);

} // namespace wf::json

#endif // WEFT_SRC_UTIL_JSON_VALUE_H
