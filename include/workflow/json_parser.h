// Weft public header, room: util - JSON text to a tree of values, and building such trees
// SPDX-License-Identifier: Apache-2.0
//
// RFC 8259, strictly, with these limits: numbers are doubles (too large ones are infinite), nesting
// ends at 1024, and \u0000 is refused because strings here end at NUL. Bytes from 0x80 on are
// taken as they are. Objects keep the order of insertion and may hold a name more than once.
//
// A value owns everything below it. Pointers to values, names and strings inside a tree hold until
// that value is removed or destroyed. Several threads may read one tree at a time, or one change
// it. What returns a pointer returns NULL when there is nothing to return, or without memory.

#ifndef WEFT_JSON_PARSER_H
#define WEFT_JSON_PARSER_H

#include <stddef.h>

#define JSON_VALUE_STRING 1
#define JSON_VALUE_NUMBER 2
#define JSON_VALUE_OBJECT 3
#define JSON_VALUE_ARRAY  4
#define JSON_VALUE_TRUE   5
#define JSON_VALUE_FALSE  6
#define JSON_VALUE_NULL   7

typedef struct __json_value json_value_t;
typedef struct __json_object json_object_t;
typedef struct __json_array json_array_t;

#ifdef __cplusplus
extern "C" {
#endif

// NULL when the text is not one JSON value with white space around it.
json_value_t *json_value_parse(const char *text);

// After the type JSON_VALUE_STRING follows a const char *, copied; after JSON_VALUE_NUMBER a
// double; after the other types nothing. Objects and arrays start empty.
json_value_t *json_value_create(int type, ...);
json_value_t *json_value_copy(const json_value_t *val);

// Only for a value that is in no object or array.
void json_value_destroy(json_value_t *val);

// NULL, or 0, when the value is of another type.
int json_value_type(const json_value_t *val);
const char *json_value_string(const json_value_t *val);
double json_value_number(const json_value_t *val);
json_object_t *json_value_object(const json_value_t *val);
json_array_t *json_value_array(const json_value_t *val);

// The first member of that name.
const json_value_t *json_object_find(const char *name, const json_object_t *obj);
size_t json_object_size(const json_object_t *obj);

// Steps from one member to the next; from NULL to the first, or the last when going back. `name`
// must be a pointer that these functions returned, not a text that looks alike.
const char *json_object_next_name(const char *name, const json_object_t *obj);
const json_value_t *json_object_next_value(const json_value_t *val, const json_object_t *obj);
const char *json_object_prev_name(const char *name, const json_object_t *obj);
const json_value_t *json_object_prev_value(const json_value_t *val, const json_object_t *obj);
const char *json_object_value_name(const json_value_t *val, const json_object_t *obj);

// Adds a member made as json_value_create makes values. Type 0 takes over the json_value_t * that
// follows, which must be in no object or array; when NULL is returned, it is still the caller's.
// A `val` of NULL means the front for insert_after and the end for insert_before.
const json_value_t *json_object_append(json_object_t *obj, const char *name, int type, ...);
const json_value_t *json_object_insert_after(const json_value_t *val, json_object_t *obj,
                                             const char *name, int type, ...);
const json_value_t *json_object_insert_before(const json_value_t *val, json_object_t *obj,
                                              const char *name, int type, ...);

// Takes a member out; it is the caller's now.
json_value_t *json_object_remove(const json_value_t *val, json_object_t *obj);

// The same for arrays.
size_t json_array_size(const json_array_t *arr);
const json_value_t *json_array_next_value(const json_value_t *val, const json_array_t *arr);
const json_value_t *json_array_prev_value(const json_value_t *val, const json_array_t *arr);
const json_value_t *json_array_append(json_array_t *arr, int type, ...);
const json_value_t *json_array_insert_after(const json_value_t *val, json_array_t *arr, int type,
                                            ...);
const json_value_t *json_array_insert_before(const json_value_t *val, json_array_t *arr, int type,
                                             ...);
json_value_t *json_array_remove(const json_value_t *val, json_array_t *arr);

#ifdef __cplusplus
}
#endif

// The body must not remove the value it is at.
#define json_object_for_each(name, val, obj)                                         \
    for ((name) = NULL, (val) = NULL; (name) = json_object_next_name((name), (obj)), \
        (val) = json_object_next_value((val), (obj)), (val);)

#define json_object_for_each_prev(name, val, obj)                                    \
    for ((name) = NULL, (val) = NULL; (name) = json_object_prev_name((name), (obj)), \
        (val) = json_object_prev_value((val), (obj)), (val);)

#define json_array_for_each(val, arr) \
    for ((val) = NULL; (val) = json_array_next_value((val), (arr)), (val);)

#define json_array_for_each_prev(val, arr) \
    for ((val) = NULL; (val) = json_array_prev_value((val), (arr)), (val);)

#endif // WEFT_JSON_PARSER_H
