// Weft - compat: the small tools that programs take from the library
// SPDX-License-Identifier: Apache-2.0
//
// URIParser.h, StringUtil.h, LRUCache.h, EncodeStream.h, msgqueue.h, list.h, rbtree.h,
// json_parser.h as they are used outside.

#include <stdlib.h>
#include <string.h>

#include <gtest/gtest.h>

#include <thread>

#include "workflow/EncodeStream.h"
#include "workflow/LRUCache.h"
#include "workflow/StringUtil.h"
#include "workflow/URIParser.h"
#include "workflow/json_parser.h"
#include "workflow/list.h"
#include "workflow/msgqueue.h"
#include "workflow/rbtree.h"

namespace {

std::string text(const char *field) { return field ? field : "(null)"; }

// "scheme userinfo host port path query fragment"
std::string parts(const std::string &url) {
    ParsedURI uri;
    if (URIParser::parse(url, uri) < 0)
        return uri.state == URI_STATE_INVALID ? "invalid" : "error";
    EXPECT_EQ(URI_STATE_SUCCESS, uri.state);
    return text(uri.scheme) + " " + text(uri.userinfo) + " " + text(uri.host) + " " +
           text(uri.port) + " " + text(uri.path) + " " + text(uri.query) + " " + text(uri.fragment);
}

TEST(Uri, Parts) {
    EXPECT_EQ("http (null) h (null) (null) (null) (null)", parts("http://h"));
    EXPECT_EQ("http u:p h 80 /a/b c=d&e e/f?g", parts("http://u:p@h:80/a/b?c=d&e#e/f?g"));
    EXPECT_EQ("mailto (null) (null) (null) a@b (null) (null)", parts("mailto:a@b"));
    EXPECT_EQ("http (null) ::1 8080 / (null) (null)", parts("http://[::1]:8080/"));
    EXPECT_EQ("http (null) h (null) (null) q (null)", parts("http://h?q"));
    EXPECT_EQ("http (null) h (null) (null) (null) f", parts("http://h#f"));
    EXPECT_EQ("http (null) h (null) /p a/b?c (null)", parts("http://h/p?a/b?c"));
    EXPECT_EQ("http (null) h (null) /%41\xc3\xa4 (null) (null)", parts("http://h/%41\xc3\xa4"));
    EXPECT_EQ("invalid", parts("http://h:dns/"));
    EXPECT_EQ("invalid", parts("no scheme"));
}

// The fields belong to malloc; users replace them.
TEST(Uri, FieldsAreReplaceable) {
    ParsedURI uri;
    ASSERT_EQ(0, URIParser::parse("http://old:1/path", uri));
    free(uri.host);
    uri.host = strdup("new");
    ParsedURI copy = uri;
    EXPECT_STREQ("new", copy.host);
    EXPECT_STREQ("1", copy.port);
    ParsedURI moved = std::move(copy);
    EXPECT_STREQ("/path", moved.path);
    copy = moved;
    EXPECT_STREQ("/path", copy.path);
    // The same object may be used again, whatever it held.
    ASSERT_EQ(0, URIParser::parse(std::string("ftp://x"), uri));
    EXPECT_STREQ("x", uri.host);
    EXPECT_EQ(nullptr, uri.path);
    EXPECT_EQ(-1, URIParser::parse("::", uri));
    ParsedURI bad = uri;
    EXPECT_EQ(URI_STATE_INVALID, bad.state);
}

TEST(Uri, Queries) {
    auto query = URIParser::split_query("a=1&b&c=&a=2&d=x=y");
    EXPECT_EQ("1", query["a"]);
    EXPECT_EQ("", query["b"]);
    EXPECT_EQ(1u, query.count("c"));
    auto strict = URIParser::split_query_strict("a=1&b=2&a=3");
    ASSERT_EQ(2u, strict["a"].size());
    EXPECT_EQ("3", strict["a"][1]);
    EXPECT_EQ((std::vector<std::string>{"a", "b"}), URIParser::split_path("/a//b/"));
}

TEST(StringUtil, Everything) {
    std::string s = "a%20b+c%2B";
    StringUtil::url_decode(s);
    EXPECT_EQ("a b c+", s);
    EXPECT_EQ("a+b%25/?", StringUtil::url_encode("a b%/?"));
    EXPECT_EQ("a%2Fb%3F", StringUtil::url_encode_component("a/b?"));
    EXPECT_EQ((std::vector<std::string>{"", "a", "", "b"}), StringUtil::split(",a,,b", ','));
    EXPECT_EQ(1u, StringUtil::split("", ',').size());
    EXPECT_EQ((std::vector<std::string>{"a", "b"}), StringUtil::split_filter_empty(",a,,b", ','));
    EXPECT_EQ("a b", StringUtil::strip("  a b\t\n"));
    EXPECT_TRUE(StringUtil::start_with("prefix", "pre"));
    EXPECT_FALSE(StringUtil::start_with("pre", "prefix"));
}

struct Deleter {
    void operator()(int *value) const { delete value; }
};

TEST(LruCache, PutGetRelease) {
    LRUCache<std::string, int *, Deleter> cache;
    cache.set_max_size(2);
    cache.release(cache.put("a", new int(1)));
    cache.release(cache.put("b", new int(2)));
    cache.release(cache.put("c", new int(3)));
    EXPECT_EQ(nullptr, cache.get("a"));
    const LRUHandle<std::string, int *> *handle = cache.get("b");
    ASSERT_NE(nullptr, handle);
    EXPECT_EQ(2, *handle->value);
    cache.del("b");
    EXPECT_EQ(2, *handle->value); // Held: alive, though no longer found.
    EXPECT_EQ(nullptr, cache.get("b"));
    cache.release(handle);
}

TEST(EncodeStream, Pieces) {
    struct iovec vectors[8];
    EncodeStream stream(vectors, 8);
    std::string name = "name";
    stream << name << ": " << static_cast<int64_t>(-42);
    stream.append_copy("!", 1);
    std::string all;
    for (int i = 0; i < stream.size(); i++)
        all.append(static_cast<const char *>(vectors[i].iov_base), vectors[i].iov_len);
    EXPECT_EQ("name: -42!", all);
    EXPECT_EQ(all.size(), stream.bytes());
}

struct QueuedMessage {
    int value;
    void *link;
};

// A blocking queue between threads, the link at an offset inside the message.
TEST(MsgQueue, BetweenThreads) {
    const int kMany = 10000;
    msgqueue_t *queue = msgqueue_create(100, static_cast<int>(offsetof(QueuedMessage, link)));
    ASSERT_NE(nullptr, queue);
    std::thread producer([&]() {
        for (int i = 0; i < kMany; i++)
            msgqueue_put(new QueuedMessage{i, NULL}, queue);
        msgqueue_set_nonblock(queue);
    });
    int got = 0;
    bool ordered = true;
    // NULL comes in non-blocking mode only, when everything has been put and taken.
    while (QueuedMessage *message = static_cast<QueuedMessage *>(msgqueue_get(queue))) {
        ordered = ordered && message->value == got;
        got++;
        delete message;
    }
    producer.join();
    EXPECT_EQ(kMany, got);
    EXPECT_TRUE(ordered);
    msgqueue_destroy(queue);
}

struct Element {
    int value;
    struct list_head list;
    struct rb_node node;
};

TEST(List, AddMoveDelete) {
    LIST_HEAD(head);
    struct list_head other;
    struct list_head *pos, *next;
    Element elements[4] = {};
    INIT_LIST_HEAD(&other);
    for (int i = 0; i < 4; i++) {
        elements[i].value = i;
        list_add_tail(&elements[i].list, &head);
    }
    list_move(&elements[3].list, &head);
    list_move_tail(&elements[0].list, &other);
    list_del(&elements[2].list);
    std::string all;
    list_for_each(pos, &head)
        all += std::to_string(list_entry(pos, Element, list)->value);
    EXPECT_EQ("31", all);
    list_splice_init(&other, &head);
    EXPECT_TRUE(list_empty(&other));
    all.clear();
    list_for_each_prev(pos, &head)
        all += std::to_string(list_entry(pos, Element, list)->value);
    EXPECT_EQ("130", all);
    list_for_each_safe(pos, next, &head)
        list_del(pos);
    EXPECT_TRUE(list_empty(&head));
}

void insert(Element *element, struct rb_root *root) {
    struct rb_node **link = &root->rb_node;
    struct rb_node *parent = NULL;
    while (*link) {
        parent = *link;
        if (element->value < rb_entry(parent, Element, node)->value)
            link = &parent->rb_left;
        else
            link = &parent->rb_right;
    }
    rb_link_node(&element->node, parent, link);
    rb_insert_color(&element->node, root);
}

TEST(RbTree, InsertWalkErase) {
    const int kMany = 1000;
    struct rb_root root = RB_ROOT;
    std::vector<Element> elements(kMany);
    for (int i = 0; i < kMany; i++) {
        elements[static_cast<size_t>(i)].value = i * 7919 % kMany;
        insert(&elements[static_cast<size_t>(i)], &root);
    }
    EXPECT_EQ(RB_BLACK, root.rb_node->rb_color);
    int expected = 0;
    for (struct rb_node *at = rb_first(&root); at; at = rb_next(at))
        EXPECT_EQ(expected++, rb_entry(at, Element, node)->value);
    EXPECT_EQ(kMany, expected);
    EXPECT_EQ(kMany - 1, rb_entry(rb_last(&root), Element, node)->value);
    for (size_t i = 0; i < elements.size(); i += 2)
        rb_erase(&elements[i].node, &root);
    int left = 0;
    int previous = -1;
    for (struct rb_node *at = rb_first(&root); at; at = rb_next(at)) {
        EXPECT_LT(previous, rb_entry(at, Element, node)->value);
        previous = rb_entry(at, Element, node)->value;
        left++;
    }
    EXPECT_EQ(kMany / 2, left);
}

TEST(Json, ParseAndWalk) {
    json_value_t *value =
        json_value_parse("{\"a\": 1.5, \"b\": [true, null, \"x\\u00e4\"], \"a\": {}}");
    ASSERT_NE(nullptr, value);
    ASSERT_EQ(JSON_VALUE_OBJECT, json_value_type(value));
    const json_object_t *object = json_value_object(value);
    EXPECT_EQ(3u, json_object_size(object));
    EXPECT_EQ(1.5, json_value_number(json_object_find("a", object)));
    const json_array_t *array = json_value_array(json_object_find("b", object));
    const json_value_t *item;
    std::string types;
    json_array_for_each(item, array)
        types += std::to_string(json_value_type(item));
    EXPECT_EQ("571", types);
    const char *name;
    std::string names;
    json_object_for_each(name, item, object)
        names += name;
    EXPECT_EQ("aba", names);
    json_value_destroy(value);
    EXPECT_EQ(nullptr, json_value_parse("{\"a\": }"));
}

} // namespace
