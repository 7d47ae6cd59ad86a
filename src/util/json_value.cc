// Weft - trees of JSON values: making, walking, changing, freeing
// SPDX-License-Identifier: Apache-2.0
//
// Members of objects and elements of arrays are the same thing, a value in the list of a parent;
// a member has a name besides. Freeing needs no stack: children join the list of what is to go.

#include "util/json_value.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

namespace wf::json {

json_value_t *new_value(int type) {
    json_value_t *val = static_cast<json_value_t *>(calloc(1, sizeof(json_value_t)));

    if (!val)
        return nullptr;

    val->type = type;
    if (type == JSON_VALUE_OBJECT)
        INIT_LIST_HEAD(&val->object.children.head);
    else if (type == JSON_VALUE_ARRAY)
        INIT_LIST_HEAD(&val->array.children.head);

    return val;
}

json_value_t *new_string(char *string) {
    json_value_t *val = string ? new_value(JSON_VALUE_STRING) : nullptr;

    if (val)
        val->string = string;
    else
        free(string);

    return val;
}

json_value_t *new_number(double number) {
    json_value_t *val = new_value(JSON_VALUE_NUMBER);

    if (val)
        val->number = number;

    return val;
}

JsonName *new_name(const char *text, size_t len) {
    void *memory = malloc(sizeof(JsonName) + len);

    if (!memory)
        return nullptr;

    JsonName *name = static_cast<JsonName *>(memory);
    char *copy = static_cast<char *>(memory) + offsetof(JsonName, text);
    name->value = nullptr;
    memcpy(copy, text, len);
    copy[len] = '\0';
    return name;
}

void adopt(json_value_t *val, JsonName *name, struct list_head *place, JsonChildren *children) {
    val->name = name;
    if (name)
        name->value = val;

    val->in_tree = true;
    list_add_tail(&val->link, place);
    children->size++;
}

namespace {

json_value_t *value_at(struct list_head *link) { return list_entry(link, json_value_t, link); }

// The interface gives out const values of trees that it may change.
json_value_t *writable(const json_value_t *val) { return const_cast<json_value_t *>(val); }

JsonChildren *children_of(json_value_t *val) {
    switch (val->type) {
    case JSON_VALUE_OBJECT:
        return &val->object.children;
    case JSON_VALUE_ARRAY:
        return &val->array.children;
    default:
        return nullptr;
    }
}

json_value_t *create(int type, va_list args) {
    switch (type) {
    case JSON_VALUE_STRING:
        return new_string(strdup(va_arg(args, const char *)));
    case JSON_VALUE_NUMBER:
        return new_number(va_arg(args, double));
    case JSON_VALUE_OBJECT:
    case JSON_VALUE_ARRAY:
    case JSON_VALUE_TRUE:
    case JSON_VALUE_FALSE:
    case JSON_VALUE_NULL:
        return new_value(type);
    default:
        return nullptr;
    }
}

// `name_text` is NULL for an element of an array.
const json_value_t *insert(const char *name_text, struct list_head *place, JsonChildren *children,
                           int type, va_list args) {
    JsonName *name = nullptr;

    if (name_text) {
        name = new_name(name_text, strlen(name_text));
        if (!name)
            return nullptr;
    }

    json_value_t *val = type == 0 ? va_arg(args, json_value_t *) : create(type, args);
    if (!val || val->in_tree) {
        free(name);
        return nullptr;
    }

    adopt(val, name, place, children);
    return val;
}

struct list_head *place_after(const json_value_t *val, JsonChildren *children) {
    return val ? writable(val)->link.next : children->head.next;
}

struct list_head *place_before(const json_value_t *val, JsonChildren *children) {
    return val ? &writable(val)->link : &children->head;
}

const json_value_t *step(const json_value_t *val, const JsonChildren &children, bool forward) {
    const struct list_head *from = val ? &val->link : &children.head;
    struct list_head *to = forward ? from->next : from->prev;

    return to == &children.head ? nullptr : value_at(to);
}

const JsonName *name_at(const char *text) {
    return reinterpret_cast<const JsonName *>(text - offsetof(JsonName, text));
}

const char *step_name(const char *text, const JsonChildren &children, bool forward) {
    const json_value_t *val = step(text ? name_at(text)->value : nullptr, children, forward);

    return val ? val->name->text : nullptr;
}

// Frees what is in a value but the values below it, which go to `going`.
void release_own(json_value_t *val, struct list_head *going) {
    JsonChildren *children = children_of(val);

    if (children)
        list_splice(&children->head, going);
    else if (val->type == JSON_VALUE_STRING)
        free(val->string);

    free(val->name);
}

json_value_t *remove(const json_value_t *val, JsonChildren *children) {
    json_value_t *gone = writable(val);

    list_del(&gone->link);
    children->size--;
    gone->in_tree = false;
    free(gone->name);
    gone->name = nullptr;
    return gone;
}

bool copy_children(const JsonChildren &from, JsonChildren *to) {
    const json_value_t *val = nullptr;

    while ((val = step(val, from, true)) != nullptr) {
        json_value_t *copy = json_value_copy(val);
        JsonName *name = nullptr;

        if (copy && val->name)
            name = new_name(val->name->text, strlen(val->name->text));

        if (!copy || (val->name && !name)) {
            json_value_destroy(copy);
            return false;
        }
        adopt(copy, name, &to->head, to);
    }
    return true;
}

} // namespace

} // namespace wf::json

using namespace wf::json;

json_value_t *json_value_create(int type, ...) {
    va_list args;

    va_start(args, type);
    json_value_t *val = create(type, args);
    va_end(args);
    return val;
}

json_value_t *json_value_copy(const json_value_t *val) {
    if (val->type == JSON_VALUE_STRING)
        return new_string(strdup(val->string));

    if (val->type == JSON_VALUE_NUMBER)
        return new_number(val->number);

    json_value_t *copy = new_value(val->type);
    JsonChildren *children = copy ? children_of(copy) : nullptr;

    if (children && !copy_children(*children_of(writable(val)), children)) {
        json_value_destroy(copy);
        return nullptr;
    }
    return copy;
}

void json_value_destroy(json_value_t *val) {
    if (!val)
        return;

    // The ring of what is still to go; `val` itself stands for its head.
    struct list_head *going = &val->link;

    INIT_LIST_HEAD(going);
    release_own(val, going);
    while (!list_empty(going)) {
        json_value_t *one = value_at(going->next);

        list_del(&one->link);
        release_own(one, going);
        free(one);
    }
    free(val);
}

int json_value_type(const json_value_t *val) { return val->type; }

const char *json_value_string(const json_value_t *val) {
    return val->type == JSON_VALUE_STRING ? val->string : nullptr;
}

double json_value_number(const json_value_t *val) {
    return val->type == JSON_VALUE_NUMBER ? val->number : 0.0;
}

json_object_t *json_value_object(const json_value_t *val) {
    return val->type == JSON_VALUE_OBJECT ? &writable(val)->object : nullptr;
}

json_array_t *json_value_array(const json_value_t *val) {
    return val->type == JSON_VALUE_ARRAY ? &writable(val)->array : nullptr;
}

const json_value_t *json_object_find(const char *name, const json_object_t *obj) {
    const json_value_t *val = nullptr;

    while ((val = step(val, obj->children, true)) != nullptr) {
        if (strcmp(val->name->text, name) == 0)
            break;
    }
    return val;
}

size_t json_object_size(const json_object_t *obj) { return obj->children.size; }

const char *json_object_next_name(const char *name, const json_object_t *obj) {
    return step_name(name, obj->children, true);
}

const json_value_t *json_object_next_value(const json_value_t *val, const json_object_t *obj) {
    return step(val, obj->children, true);
}

const char *json_object_prev_name(const char *name, const json_object_t *obj) {
    return step_name(name, obj->children, false);
}

const json_value_t *json_object_prev_value(const json_value_t *val, const json_object_t *obj) {
    return step(val, obj->children, false);
}

const char *json_object_value_name(const json_value_t *val, const json_object_t *) {
    return val->name ? val->name->text : nullptr;
}

const json_value_t *json_object_append(json_object_t *obj, const char *name, int type, ...) {
    va_list args;

    va_start(args, type);
    const json_value_t *val = insert(name, &obj->children.head, &obj->children, type, args);
    va_end(args);
    return val;
}

const json_value_t *json_object_insert_after(const json_value_t *val, json_object_t *obj,
                                             const char *name, int type, ...) {
    va_list args;

    va_start(args, type);
    val = insert(name, place_after(val, &obj->children), &obj->children, type, args);
    va_end(args);
    return val;
}

const json_value_t *json_object_insert_before(const json_value_t *val, json_object_t *obj,
                                              const char *name, int type, ...) {
    va_list args;

    va_start(args, type);
    val = insert(name, place_before(val, &obj->children), &obj->children, type, args);
    va_end(args);
    return val;
}

json_value_t *json_object_remove(const json_value_t *val, json_object_t *obj) {
    return remove(val, &obj->children);
}

size_t json_array_size(const json_array_t *arr) { return arr->children.size; }

const json_value_t *json_array_next_value(const json_value_t *val, const json_array_t *arr) {
    return step(val, arr->children, true);
}

const json_value_t *json_array_prev_value(const json_value_t *val, const json_array_t *arr) {
    return step(val, arr->children, false);
}

const json_value_t *json_array_append(json_array_t *arr, int type, ...) {
    va_list args;

    va_start(args, type);
    const json_value_t *val = insert(nullptr, &arr->children.head, &arr->children, type, args);
    va_end(args);
    return val;
}

const json_value_t *json_array_insert_after(const json_value_t *val, json_array_t *arr, int type,
                                            ...) {
    va_list args;

    va_start(args, type);
    val = insert(nullptr, place_after(val, &arr->children), &arr->children, type, args);
    va_end(args);
    return val;
}

const json_value_t *json_array_insert_before(const json_value_t *val, json_array_t *arr, int type,
                                             ...) {
    va_list args;

    va_start(args, type);
    val = insert(nullptr, place_before(val, &arr->children), &arr->children, type, args);
    va_end(args);
    return val;
}

json_value_t *json_array_remove(const json_value_t *val, json_array_t *arr) {
    return remove(val, &arr->children);
}
