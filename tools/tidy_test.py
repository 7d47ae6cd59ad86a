#!/usr/bin/env python3
# Weft - tests of the checker: each rule finds what it is for, and lets pass what it should.
# SPDX-License-Identifier: Apache-2.0
import importlib.machinery
import importlib.util
import pathlib
import tempfile
import unittest

TOOLS = pathlib.Path(__file__).resolve().parent


def load_tidy():
    loader = importlib.machinery.SourceFileLoader("tidy", str(TOOLS / "tidy"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("tidy", loader))
    loader.exec_module(module)
    return module


tidy = load_tidy()
tidy_scan = tidy.tidy_scan
HEAD = "// Weft - a sample\n// SPDX-License-Identifier: Apache-2.0\n"
PUBLIC = "// Weft public header, room: {} - a sample\n// SPDX-License-Identifier: Apache-2.0\n"


def public(room, name, body=""):
    guard = f"WEFT_{name.upper()}_H"
    return PUBLIC.format(room) + f"#ifndef {guard}\n#define {guard}\n{body}\n#endif\n"


def private(room, name, body=""):
    guard = f"WEFT_SRC_{room.upper()}_{name.upper()}_H"
    return HEAD + f"#ifndef {guard}\n#define {guard}\n{body}\n#endif\n"


def allow(rule, reason=""):
    """An exception as it is written, put together here so that this file asks for none."""
    return "// tidy: " + f"allow {rule}" + (f" - {reason}" if reason else "")


def measure(code):
    return tidy_scan.functions(tidy_scan.blank(code))


class Tree(unittest.TestCase):
    """Writes a small tree and asks which rules it breaks."""

    def problems(self, files):
        with tempfile.TemporaryDirectory() as name:
            root = pathlib.Path(name)
            for path, text in files.items():
                target = root / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(text, encoding="utf-8")
                if path.startswith("src/"):
                    (target.parent / "README.md").write_text("A room.\n", encoding="utf-8")
            _, problems, exceptions = tidy.check(root)
            self.exceptions = exceptions
            return [(path, line, rule) for path, line, rule, _ in problems]

    def rules(self, files):
        return [rule for _, _, rule in self.problems(files)]

    def one(self, path, body, head=HEAD):
        return self.rules({path: head + body})


class Shape(Tree):
    def test_a_clean_file_passes(self):
        self.assertEqual(self.one("src/util/a.cc", "int f() {\n    return 1;\n}\n"), [])

    def test_file_size(self):
        self.assertEqual(self.one("src/util/a.cc", "int x;\n" * 598), [])
        self.assertEqual(self.one("src/util/a.cc", "int x;\n" * 599), ["file-size"])

    def test_function_size(self):
        self.assertEqual(self.one("src/util/a.cc", "void f() {\n" + "    g();\n" * 68 + "}\n"), [])
        self.assertEqual(self.one("src/util/a.cc", "void f() {\n" + "    g();\n" * 69 + "}\n"), ["function-size"])

    def test_nesting(self):
        four = "void f() {\nif (a) {\nfor (;;) {\nwhile (b) {\ndo {\n%s\n} while (c);\n}\n}\n}\n}\n"
        self.assertEqual(self.one("src/util/a.cc", four % "g();"), [])
        self.assertEqual(self.one("src/util/a.cc", four % "if (d) {\ng();\n}"), ["nesting"])

    def test_white_space_and_columns(self):
        self.assertEqual(self.one("src/util/a.cc", "\tint x;\n"), ["tab"])
        self.assertEqual(self.one("src/util/a.cc", "int x; \n"), ["trailing-space"])
        self.assertEqual(self.one("src/util/a.cc", "int " + "x" * 97 + ";\n"), ["columns"])
        self.assertEqual(self.one("src/util/a.cc", "// " + "x" * 110 + "\n"), [])
        self.assertEqual(self.one("src/util/a.cc", "// " + "x" * 120 + "\n"), ["columns"])
        self.assertEqual(self.one("src/util/a.cc", "int x;"), ["newline"])


class FirstLines(Tree):
    def test_missing_or_wrong(self):
        self.assertEqual(self.one("src/util/a.cc", "int x;\n", head=""), ["first-line"] * 2)
        self.assertEqual(self.one("test/a.sh", "true\n", head="#!/bin/sh\n" + HEAD.replace("//", "#")), [])

    def test_public_header_names_its_room(self):
        self.assertEqual(self.rules({"include/workflow/A.h": public("util", "A")}), [])
        self.assertEqual(self.rules({"include/workflow/A.h": public("cellar", "A")}), ["first-line"])
        self.assertEqual(self.rules({"include/workflow/A.h": private("util", "a")}), ["first-line", "guard"])

    def test_guard(self):
        self.assertEqual(self.rules({"src/util/a.h": private("util", "a")}), [])
        self.assertEqual(self.rules({"src/util/a.h": private("util", "b")}), ["guard"])
        self.assertEqual(self.rules({"src/util/a.h": HEAD + "#pragma once\n"}), ["guard", "pragma-once"])


class Arrows(Tree):
    def test_down_is_allowed_up_is_not(self):
        files = {"src/kernel/k.h": private("kernel", "k"), "src/util/u.h": private("util", "u"),
                 "src/kernel/a.cc": HEAD + '#include "util/u.h"\n'}
        self.assertEqual(self.rules(files), [])
        files["src/util/a.cc"] = HEAD + '#include "kernel/k.h"\n'
        self.assertEqual(self.problems(files), [("src/util/a.cc", 3, "arrow")])

    def test_equals_do_not_know_each_other(self):
        files = {"src/task/t.h": private("task", "t"), "src/protocol/a.cc": HEAD + '#include "task/t.h"\n'}
        self.assertEqual(self.rules(files), ["arrow"])

    def test_the_owner_of_a_public_header_counts(self):
        files = {"include/workflow/Up.h": public("engine", "Up"),
                 "src/kernel/a.cc": HEAD + '#include "workflow/Up.h"\n'}
        self.assertEqual(self.rules(files), ["arrow"])
        files = {"include/workflow/Up.h": public("engine", "Up"),
                 "include/workflow/Low.h": public("task", "Low", '#include "Up.h"')}
        self.assertEqual(self.rules(files), ["arrow"])

    def test_the_runtime_seam_is_open_above_the_kernel(self):
        seam = PUBLIC.format("engine") + "#ifndef WEFT_RUNTIME_H\n#define WEFT_RUNTIME_H\n#endif\n"
        files = {"include/workflow/detail/runtime.h": seam,
                 "src/task/a.cc": HEAD + '#include "workflow/detail/runtime.h"\n'}
        self.assertEqual(self.rules(files), [])
        files["src/kernel/a.cc"] = files.pop("src/task/a.cc")
        self.assertEqual(self.rules(files), ["arrow"])

    def test_include_forms(self):
        files = {"src/util/u.h": private("util", "u"), "src/util/a.cc": HEAD + '#include "u.h"\n'}
        self.assertEqual(self.rules(files), ["include-form"])
        files = {"src/util/u.h": private("util", "u"),
                 "include/workflow/A.h": public("util", "A", '#include "util/u.h"')}
        self.assertEqual(self.rules(files), ["include-form"])
        self.assertEqual(self.one("tutorial/a.cc", '#include "kernel/poller.h"\n'), ["include-form"])

    def test_each_room_has_a_short_readme(self):
        long = {"src/util/README.md": "x\n" * 41, "src/util/a.cc": HEAD}
        with tempfile.TemporaryDirectory() as name:
            root = pathlib.Path(name)
            (root / "src/util").mkdir(parents=True)
            (root / "src/util/a.cc").write_text(HEAD, encoding="utf-8")
            self.assertEqual([found[2] for found in tidy.check(root)[1]], ["room-readme"])
            for path, text in long.items():
                (root / path).write_text(text, encoding="utf-8")
            self.assertEqual([found[2] for found in tidy.check(root)[1]], ["room-readme"])


class Banned(Tree):
    def test_each_idiom(self):
        cases = [
            ("src/util/a.cc", "volatile int x;", "volatile"),
            ("src/util/a.cc", "void f() { sprintf(a, b); }", "unsafe-string"),
            ("src/util/a.cc", "int f() { return atoi(a); }", "unsafe-number"),
            ("src/util/a.cc", "void f() { g(localtime(e)); }", "unsafe-libc"),
            ("src/util/a.cc", "void f() { throw 1; }", "throw"),
            ("src/util/a.cc", "void f() { std::atomic_thread_fence(x); }", "fence"),
            ("src/kernel/a.cc", "static thread_local int x;", "thread-local"),
            ("src/kernel/a.c", "void f(void) { close(1); }", "system-call"),
            ("src/kernel/a.cc", "void f() { epoll_wait(1); }", "system-call"),
            ("src/kernel/a.cc", "void f() { ::send(1); }", "system-call"),
            ("src/kernel/a.c", "#include <sys/epoll.h>", "system-header"),
            ("src/protocol/a.cc", "#include <thread>", "protocol-pure"),
            ("test/a.cc", "void f() { usleep(1); }", "test-sleep"),
            ("test/a.cc", "void f() { std::this_thread::sleep_for(x); }", "test-sleep"),
            ("test/a.cc", "void f() { EXPECT_TRUE(true); }", "test-empty"),
            ("test/a.cc", "void f() { GTEST_SKIP(); }", "test-skip"),
            ("test/a.cc", "void f() { server.start(8080); }", "fixed-port"),
            ("src/util/a.cc", "// TO" "DO: more", "unfinished"),
            ("src/util/a.cc", "// see /wo" "rk/x", "machine-path"),
        ]
        for path, line, rule in cases:
            with self.subTest(line):
                self.assertEqual(self.one(path, line + "\n"), [rule])

    def test_what_only_looks_like_one(self):
        cases = [
            ("src/util/a.cc", "// volatile in a comment"),
            ("src/util/a.cc", 'const char *s = "throw strcpy(";'),
            ("src/util/a.cc", 'void f() { asm volatile("pause"); }'),
            ("src/util/a.cc", "int snprintf_like(int);"),
            ("src/kernel/sys_linux.c", "static __thread int x; void f(void) { close(x); }"),
            ("src/kernel/poller_epoll.c", "#include <sys/epoll.h>"),
            ("src/kernel/a.cc", "void f() { session->send(1); target.connect(2); }"),
            ("src/task/a.cc", "static thread_local int x;"),
            ("test/a.cc", "void f() { WFFacilities::usleep(1); }"),
            ("test/a.cc", "void f() { server.start(0); }"),
            ("src/util/a.cc", "// a framework/ of words"),
        ]
        for path, line in cases:
            with self.subTest(line):
                self.assertEqual(self.one(path, line + "\n"), [])

    def test_using_namespace_in_headers_only(self):
        self.assertEqual(self.one("src/util/a.cc", "using namespace std;\n"), [])
        self.assertEqual(self.rules({"src/util/a.h": private("util", "a", "using namespace std;")}),
                         ["using-namespace"])


class Exceptions(Tree):
    def test_a_reason_excuses_and_is_listed(self):
        self.assertEqual(self.one("src/util/a.cc", f"volatile int x;  {allow('volatile', 'a register')}\n"), [])
        self.assertEqual(self.exceptions, [("src/util/a.cc", 3, "volatile", "a register")])
        above = allow("volatile", "a register") + "\n// of a device.\nvolatile int x;\n"
        self.assertEqual(self.one("src/util/a.cc", above), [])

    def test_it_covers_its_own_rule_and_place_only(self):
        far = allow("volatile", "a register") + "\nint y;\nvolatile int x;\n"
        self.assertEqual(self.one("src/util/a.cc", far), ["exception", "volatile"])
        self.assertEqual(self.one("src/util/a.cc", f"volatile int x;  {allow('throw', 'why')}\n"),
                         ["exception", "volatile"])

    def test_reason_is_required(self):
        self.assertEqual(self.one("src/util/a.cc", f"volatile int x;  {allow('volatile')}\n"), ["exception"])

    def test_whole_file(self):
        body = allow("file-size", "one table") + "\n" + "int x;\n" * 700
        self.assertEqual(self.one("src/util/a.cc", body), [])


class Scan(unittest.TestCase):
    """What counts as a function, and how deep its blocks lie."""

    def lines(self, code):
        return [function.lines for function in measure(code)]

    def deepest(self, code):
        return [max((depth for _, depth in function.blocks), default=0) for function in measure(code)]

    def test_functions_of_all_kinds(self):
        for code in ("int f(void) {\n}\n", "A::A(int x) : b_(x), c_{x} {\n}\n", "struct s *f(struct s *a) {\n}\n",
                     "bool A::f() const noexcept override {\n}\n", "auto f() -> std::vector<int> {\n}\n",
                     "template <class T>\nvoid f(T t) {\n}\n", "TEST(A, B) {\n}\n", "int operator[](int i) {\n}\n",
                     'extern "C" int f(int a) {\n}\n', "void f() WEFT_REQUIRES(mutex_) {\n}\n"):
            with self.subTest(code):
                self.assertEqual(len(measure(code)), 1)

    def test_not_functions(self):
        for code in ("namespace a {\n}\n", "class A final : public B {\n};\n", "enum class e : int { a, b };\n",
                     "int a[] = { 1, 2 };\n", "struct alignas(64) s {\n};\n",
                     "const struct s x = {\n    .a = f(1),\n};\n", "std::atomic<int> x{0};\n"):
            with self.subTest(code):
                self.assertEqual(measure(code), [])

    def test_methods_in_classes_and_lambdas(self):
        self.assertEqual(len(measure("class A {\npublic:\n    int f() { return 1; }\n    A() : b_{1} {}\n};\n")), 2)
        self.assertEqual(self.deepest("void f() {\n    g([&](int x) {\n        if (x) {\n        }\n    });\n}\n"), [2])

    def test_lists_of_values_are_no_depth(self):
        code = "void f() {\n    int a[2][1] = {{1}, {2}};\n    g({1, 2});\n    return {};\n}\n"
        self.assertEqual(self.deepest(code), [0])
        self.assertEqual(self.deepest("void f() {\n    for (int x : {1, 2}) {\n    }\n}\n"), [1])

    def test_else_chains_are_flat(self):
        self.assertEqual(self.deepest("void f() {\n    if (a) {\n    } else if (b) {\n    } else {\n    }\n}\n"), [1])

    def test_switch_and_macro_loops(self):
        self.assertEqual(self.deepest("void f() {\n    switch (a) {\n    case 1: {\n    }\n    }\n}\n"), [2])
        self.assertEqual(self.deepest("void f() {\n    list_for_each(a, b) {\n    }\n}\n"), [1])

    def test_other_branches_of_the_preprocessor(self):
        self.assertEqual(self.lines("#if A\nvoid f(int a) {\n#else\nvoid f() {\n#endif\n}\nvoid g() {\n}\n"), [5, 2])

    def test_braces_in_literals(self):
        self.assertEqual(self.lines('void f() {\n    g("{{{", \'{\', R"x({)x");\n    // {\n}\n'), [4])


if __name__ == "__main__":
    unittest.main()
