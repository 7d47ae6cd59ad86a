// Weft - JSON: what is accepted, what is refused, and trees built by hand
// SPDX-License-Identifier: Apache-2.0

#include <gtest/gtest.h>

#include <math.h>

#include <memory>
#include <random>
#include <string>
#include <vector>

#include "workflow/json_parser.h"

namespace {

struct Destroy {
    void operator()(json_value_t *val) const { json_value_destroy(val); }
};
using Value = std::unique_ptr<json_value_t, Destroy>;

Value parse(const std::string &text) { return Value(json_value_parse(text.c_str())); }

// A canonical text of a tree: names and strings in single quotes, nothing escaped.
std::string show(const json_value_t *val) {
    const json_value_t *child;
    const char *name;
    std::string res;
    char number[40];

    switch (json_value_type(val)) {
    case JSON_VALUE_STRING:
        return std::string("'") + json_value_string(val) + "'";
    case JSON_VALUE_NUMBER:
        snprintf(number, sizeof number, "%.17g", json_value_number(val));
        return number;
    case JSON_VALUE_OBJECT:
        json_object_for_each(name, child, json_value_object(val)) {
            EXPECT_EQ(name, json_object_value_name(child, json_value_object(val)));
            res += (res.empty() ? "" : ",") + std::string(name) + ":" + show(child);
        }
        return "{" + res + "}";
    case JSON_VALUE_ARRAY:
        json_array_for_each(child, json_value_array(val))
            res += (res.empty() ? "" : ",") + show(child);
        return "[" + res + "]";
    case JSON_VALUE_TRUE:
        return "true";
    case JSON_VALUE_FALSE:
        return "false";
    case JSON_VALUE_NULL:
        return "null";
    default:
        return "?";
    }
}

std::string shown(const std::string &text) {
    Value val = parse(text);

    return val ? show(val.get()) : "refused";
}

TEST(json_parser, values) {
    EXPECT_EQ(shown("true"), "true");
    EXPECT_EQ(shown(" \t\r\n false \n"), "false");
    EXPECT_EQ(shown("null"), "null");
    EXPECT_EQ(shown("\"\""), "''");
    EXPECT_EQ(shown("[]"), "[]");
    EXPECT_EQ(shown("{ }"), "{}");
    EXPECT_EQ(shown("[1 , [ ] ,\"x\",{\"a\" : null}]"), "[1,[],'x',{a:null}]");
    EXPECT_EQ(shown("{\"b\":1,\"a\":{\"\":[true]},\"b\":2}"), "{b:1,a:{:[true]},b:2}");
}

TEST(json_parser, numbers) {
    EXPECT_EQ(shown("0"), "0");
    EXPECT_EQ(shown("-0"), "-0");
    EXPECT_EQ(shown("-12.5e+2"), "-1250");
    EXPECT_EQ(shown("1E-2"), "0.01");
    EXPECT_EQ(shown("0.1"), "0.10000000000000001");
    EXPECT_EQ(shown("9007199254740993"), "9007199254740992");
    EXPECT_EQ(shown("1.7976931348623157e308"), "1.7976931348623157e+308");
    EXPECT_EQ(shown("5e-324"), "4.9406564584124654e-324");
    EXPECT_EQ(shown("1e400"), "inf");
    EXPECT_EQ(shown("-1e400"), "-inf");
    EXPECT_EQ(shown("1e-400"), "0");
    EXPECT_EQ(shown("0e99999999999999999999"), "0");
    EXPECT_EQ(shown("1e99999999999999999999"), "inf");
    EXPECT_EQ(shown("-1e-99999999999999999999"), "-0");
    EXPECT_EQ(shown("0." + std::string(500, '0') + "1"), "0");
    EXPECT_EQ(shown("0." + std::string(500, '0') + "1e501"), "1");
    EXPECT_EQ(shown("1" + std::string(500, '0')), "inf");
    EXPECT_EQ(shown("1" + std::string(500, '0') + "e-500"), "1");
}

TEST(json_parser, strings) {
    EXPECT_EQ(shown(R"("a\"\\\/\b\f\n\r\tz")"), "'a\"\\/\b\f\n\r\tz'");
    EXPECT_EQ(shown(R"("\u0041\u00e9\u20AC\ud83d\ude00")"),
              "'A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80'");
    EXPECT_EQ(shown(R"("\ud800\udc00\udbff\udfff\uffff\ud7ff\ue000")"),
              "'\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\xef\xbf\xbf\xed\x9f\xbf\xee\x80\x80'");
    EXPECT_EQ(shown("\"\xc3\xa9\xff\x7f\""), "'\xc3\xa9\xff\x7f'");
    EXPECT_EQ(shown(R"({"\u006ea\n":1})"), "{na\n:1}");
}

const char *const kRefused[] = {
    "",
    " ",
    "tru",
    "truex",
    "True",
    "nul",
    "x",
    "'a'",
    "1 2",
    "[1]]",
    "{}{}",
    "//",
    "1 //",
    "+1",
    "01",
    "-",
    "-a",
    ".5",
    "1.",
    "1.e1",
    "1e",
    "1e+",
    "0x10",
    "00",
    "-01",
    "NaN",
    "inf",
    "Infinity",
    "1a",
    "--1",
    "1..2",
    "\"",
    "\"a",
    "\"\\\"",
    "\"\\x41\"",
    "\"\\u12\"",
    "\"\\u123g\"",
    "\"\\u\"",
    "\"\\u0000\"",
    "\"\\ud800\"",
    "\"\\ud800x\"",
    "\"\\ud800\\n\"",
    "\"\\ud800\\u0041\"",
    "\"\\udc00\"",
    "\"\\ud800\\ud800\"",
    "\"\n\"",
    "\"\t\"",
    "\"\x01\"",
    "\"\\",
    "\"\\u",
    "\"\\u004",
    "[",
    "[1",
    "[1,",
    "[1,]",
    "[,]",
    "[,1]",
    "[1 2]",
    "[1}",
    "[\"a\":1]",
    "]",
    "{",
    "{\"a\"",
    "{\"a\":",
    "{\"a\":1",
    "{\"a\":1,",
    "{\"a\":1,}",
    "{,}",
    "{a:1}",
    "{1:2}",
    "{\"a\" 1}",
    "{\"a\":}",
    "{\"a\":1 \"b\":2}",
    "{\"a\":1]",
    "{\"a\"}",
    "{\"a\\\":1}",
    "\xef\xbb\xbf"
    "1",
    "\v1",
    "\f1",
    "\xc2\xa0"
    "1",
};

TEST(json_parser, refused) {
    for (const char *text : kRefused)
        EXPECT_EQ(shown(text), "refused") << text;
}

TEST(json_parser, depth_is_bounded) {
    auto nested = [](size_t n) { return std::string(n, '[') + std::string(n, ']'); };

    EXPECT_NE(parse(nested(1024)), nullptr);
    EXPECT_EQ(parse(nested(1025)), nullptr);
    EXPECT_EQ(parse(std::string(10000000, '[')), nullptr);

    std::string objects;
    for (int i = 0; i < 100000; i++)
        objects += "{\"a\":";
    EXPECT_EQ(parse(objects), nullptr);
}

TEST(json_parser, large) {
    std::string text = "[0";

    for (int i = 1; i < 200000; i++)
        text += "," + std::to_string(i);
    Value val = parse(text + "]");
    ASSERT_NE(val, nullptr);
    EXPECT_EQ(json_array_size(json_value_array(val.get())), 200000u);
    EXPECT_EQ(shown("\"" + std::string(4000000, 'x') + "\"").size(), 4000002u);
}

TEST(json_value, another_type_gives_null_or_zero) {
    Value number = parse("1");
    Value text = parse("\"1\"");

    EXPECT_EQ(json_value_string(number.get()), nullptr);
    EXPECT_EQ(json_value_object(number.get()), nullptr);
    EXPECT_EQ(json_value_array(number.get()), nullptr);
    EXPECT_EQ(json_value_number(text.get()), 0.0);
    EXPECT_EQ(json_value_create(99), nullptr);
    json_value_destroy(nullptr);
}

TEST(json_value, object_built_by_hand) {
    Value val(json_value_create(JSON_VALUE_OBJECT));
    json_object_t *obj = json_value_object(val.get());

    json_object_append(obj, "s", JSON_VALUE_STRING, "text");
    const json_value_t *n = json_object_append(obj, "n", JSON_VALUE_NUMBER, 1.5);
    json_object_insert_before(n, obj, "before", JSON_VALUE_TRUE);
    json_object_insert_after(n, obj, "after", JSON_VALUE_FALSE);
    json_object_insert_after(nullptr, obj, "first", JSON_VALUE_NULL);
    json_object_insert_before(nullptr, obj, "last", 0, json_value_create(JSON_VALUE_ARRAY));
    EXPECT_EQ(show(val.get()), "{first:null,s:'text',before:true,n:1.5,after:false,last:[]}");
    EXPECT_EQ(json_object_size(obj), 6u);
    EXPECT_EQ(json_object_find("n", obj), n);
    EXPECT_EQ(json_object_find("none", obj), nullptr);

    Value removed(json_object_remove(n, obj));
    EXPECT_EQ(show(removed.get()), "1.5");
    EXPECT_EQ(json_object_find("n", obj), nullptr);
    EXPECT_EQ(json_object_size(obj), 5u);
    EXPECT_EQ(json_object_append(obj, "again", 0, removed.get()), removed.get());
    // Already in a tree: refused, and still in its place only.
    EXPECT_EQ(json_object_append(obj, "twice", 0, removed.get()), nullptr);
    EXPECT_EQ(json_object_size(obj), 6u);
    static_cast<void>(removed.release());
}

TEST(json_value, find_gives_the_first_of_a_name) {
    Value val = parse("{\"a\":1,\"b\":2,\"a\":3}");

    EXPECT_EQ(json_value_number(json_object_find("a", json_value_object(val.get()))), 1.0);
}

TEST(json_value, backwards) {
    Value val = parse("{\"a\":[1,2,3],\"b\":4}");
    const json_object_t *obj = json_value_object(val.get());
    const json_value_t *child;
    const char *name;
    std::string res;

    json_object_for_each_prev(name, child, obj)
        res += name;
    json_array_for_each_prev(child, json_value_array(json_object_find("a", obj)))
        res += show(child);
    EXPECT_EQ(res, "ba321");
}

TEST(json_value, array_built_by_hand) {
    Value val(json_value_create(JSON_VALUE_ARRAY));
    json_array_t *arr = json_value_array(val.get());
    const json_value_t *two = json_array_append(arr, JSON_VALUE_NUMBER, 2.0);

    json_array_insert_before(two, arr, JSON_VALUE_NUMBER, 1.0);
    json_array_insert_after(two, arr, JSON_VALUE_STRING, "3");
    json_array_insert_after(nullptr, arr, JSON_VALUE_OBJECT);
    json_array_insert_before(nullptr, arr, JSON_VALUE_NULL);
    EXPECT_EQ(show(val.get()), "[{},1,2,'3',null]");
    json_value_destroy(json_array_remove(two, arr));
    EXPECT_EQ(show(val.get()), "[{},1,'3',null]");
    EXPECT_EQ(json_array_size(arr), 4u);
}

TEST(json_value, copies_are_deep) {
    Value val = parse("{\"a\":[1,\"x\",{\"b\":null}],\"a\":true,\"c\":false}");
    Value copy(json_value_copy(val.get()));
    std::string text = show(val.get());

    val.reset();
    EXPECT_EQ(show(copy.get()), text);
}

// Freeing goes without recursion, so a tree may be as deep as its builder likes.
TEST(json_value, destroying_a_very_deep_tree) {
    json_value_t *val = json_value_create(JSON_VALUE_ARRAY);

    for (int i = 0; i < 300000; i++) {
        json_value_t *outer = json_value_create(JSON_VALUE_ARRAY);
        json_array_append(json_value_array(outer), 0, val);
        val = outer;
    }
    json_value_destroy(val);
}

// Every cut and many single-byte changes of a text; the sanitizers watch.
TEST(json_parser, damaged_texts) {
    const std::string text = R"({"a":[1,-2.5e3,"x\u00e9\ud83d\ude00\n"],"b":{"c":null},"d":[]})";
    std::mt19937 draw(11);

    ASSERT_NE(parse(text), nullptr);
    for (size_t len = 0; len < text.size(); len++)
        EXPECT_EQ(parse(text.substr(0, len)), nullptr) << len;
    for (int i = 0; i < 20000; i++) {
        std::string other = text;
        other[draw() % other.size()] = static_cast<char>(draw() % 256);
        Value val = parse(other);
        if (val) {
            EXPECT_FALSE(show(val.get()).empty());
        }
    }
}

} // namespace
