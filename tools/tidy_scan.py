#!/usr/bin/env python3
# Weft - just enough reading of C and C++ for the checker: text without comments, and where functions and blocks are.
# SPDX-License-Identifier: Apache-2.0
"""Not a parser: it blanks what is not code, follows braces, and decides from the words before each what it opens."""
import re

TOKEN = re.compile(
    r'//(?:[^\n\\]|\\\n|\\.)*|/\*.*?\*/|R"(?P<raw>[^()\s\\]{0,16})\(.*?\)(?P=raw)"'
    r"|\"(?:[^\"\\\n]|\\.)*\"|(?<![\w])'(?:[^'\\\n]|\\.)+'", re.S)
CONTROL = re.compile(r"^(?:\}?\s*else\b|if|for|while|switch|do|try|catch)\b|^(?:case\b.*|default|\w+)\s*:$", re.S)
LAMBDA = re.compile(r"\[[^\[\]]*\]\s*(?:\([^{}]*\))?\s*(?:mutable|noexcept|constexpr|->\s*[\w:<>*&\s]+|\s)*$", re.S)
TRAILER = re.compile(
    r"(?:\b(?:const|noexcept|override|final|volatile|try|mutable)\b|&&?|->\s*[\w:<>,*&\s]+"
    r"|\bWEFT_\w+(?:\([^()]*\))?|\s)+$")


def blank(text):
    """The text with comments and the insides of literals replaced by spaces; offsets and lines stay."""
    def hide(match):
        token = match.group(0)
        if token[0] in "\"'":
            return token[0] + re.sub(r"[^\n]", " ", token[1:-1]) + token[-1]
        return re.sub(r"[^\n]", " ", token)
    return TOKEN.sub(hide, text)


def without_directives(code):
    """Blanks preprocessor lines and every branch but the first of #if, which would open a brace twice."""
    out, depth_skipped, skipping, continued = [], 0, False, False
    for line in code.split("\n"):
        directive = re.match(r"\s*#\s*(\w+)", line)
        keep = not (skipping or continued or directive)
        if directive and not continued:
            word = directive.group(1)
            if skipping and word in ("if", "ifdef", "ifndef"):
                depth_skipped += 1
            elif skipping and word == "endif" and depth_skipped:
                depth_skipped -= 1
            elif word in ("else", "elif") and not depth_skipped:
                skipping = True
            elif word == "endif":
                skipping = False
        continued = bool(directive or continued) and line.rstrip().endswith("\\")
        out.append(line if keep else " " * len(line))
    return "\n".join(out)


class Function:
    """A function body: the line its head begins on, its length, and the depth of each block inside."""

    def __init__(self, line, open_line):
        self.line = line
        self.open_line = open_line
        self.lines = 0
        self.blocks = []

    def deep(self, limit):
        return [(line, depth) for line, depth in self.blocks if depth > limit]


def classify(head, inside_function):
    """What a brace opens: 'scope' (namespace, class), 'function', 'block' or 'init' (a list of values)."""
    balanced = head.count("(") == head.count(")")
    if LAMBDA.search(head) and not re.search(r"\boperator\s*\[\]", head) and "[[" not in head[-4:]:
        if inside_function or "=" in head:
            return "block" if inside_function else "function"
    if not balanced:
        return "init"
    if inside_function and (head == "" or CONTROL.match(head)):
        return "block"
    if re.search(r"\bnamespace\b", head) or re.match(r'extern\s*"[^"]*"$', head):
        return "scope"
    if re.match(r"(?:typedef\s+|static\s+|const\s+)*enum\b", head) and not head.endswith(")"):
        return "init"
    tail = TRAILER.sub("", head)
    if re.search(r"\b(?:class|struct|union)\b", head) and not tail.endswith((")", "=")) and "=" not in head:
        return "scope"
    if inside_function:
        return "block" if tail.endswith(")") and "=" not in head else "init"
    if tail.endswith(")") and not re.search(r"[^=!<>]=\s*\w+\([^()]*\)$", tail):
        return "function"
    return "function" if re.search(r"\)[^;]*?[^:]:[^:].*[)}]$", tail, re.S) else "init"


class Reader:
    """Follows the braces of one file. The stack holds (kind, function, parentheses open around it)."""

    def __init__(self, code):
        self.code = code
        self.stack = []
        self.found = []
        self.head = 0
        self.parens = 0
        self.line = 1

    def inside(self):
        """The function the current position belongs to; a class within a function starts afresh."""
        for kind, function, _ in reversed(self.stack):
            if kind == "scope":
                return None
            if function:
                return function
        return None

    def opened(self, at):
        raw = self.code[self.head:at]
        text = re.sub(r"^\s*(?:(?:public|private|protected)\s*:\s*)+", "", raw).strip()
        function = self.inside()
        kind = classify(text, function is not None)
        mine = None
        if kind == "function":
            first = self.line - raw.lstrip().count("\n")
            mine = Function(first, self.line)
            self.found.append(mine)
        elif kind == "block" and function:
            depth = 1
            for outer, begun, _ in reversed(self.stack):
                if begun:
                    break
                depth += outer == "block"
            function.blocks.append((self.line, depth))
        self.stack.append((kind, mine, self.parens))
        if kind != "init":
            self.parens = 0
            self.head = at + 1

    def closed(self, at):
        if not self.stack:
            return
        kind, function, self.parens = self.stack.pop()
        if function:
            function.lines = self.line - function.open_line + 1
        # What follows a list of values still belongs to the same declaration.
        if kind != "init":
            self.head = at + 1

    def run(self):
        for at, char in enumerate(self.code):
            if char == "\n":
                self.line += 1
            elif char == "(":
                self.parens += 1
            elif char == ")":
                self.parens -= 1
            elif char == ";" and self.parens == 0 and (not self.stack or self.stack[-1][0] != "init"):
                self.head = at + 1
            elif char == "{":
                self.opened(at)
            elif char == "}":
                self.closed(at)
        return self.found


def functions(code):
    """All functions of a file whose comments were blanked."""
    return Reader(without_directives(code)).run()
