#!/usr/bin/env python3
# Weft - the C++ of the documentation compiles: README.md and docs/about-*.md
# SPDX-License-Identifier: Apache-2.0
"""usage: tools/check_docs.py [--compiler CXX] [files...]

Each block that is marked as cpp is compiled with -fsyntax-only, as C++20 and without linking. One that includes
something stands for itself. A fragment names, in a comment of HTML on the line before it, what to put around it:

    <!-- prelude: NAME -->     the text of docs/preludes/NAME.h in front; and if that ends with an open
                               brace, the block stands inside of it
    <!-- not compiled: why --> for what is no program

Problems are told as FILE:LINE of the block, with what the compiler said.
"""
import concurrent.futures
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
MARK = re.compile(r"<!--\s*(prelude|not compiled):\s*(.*?)\s*-->")


def blocks(path):
    """(line of the first line, text, mark or None) of each cpp block."""
    lines = path.read_text(encoding="utf-8").splitlines()
    mark, start, found = None, None, []
    for number, line in enumerate(lines, 1):
        if start is not None:
            if line.startswith("```"):
                found.append((start, "\n".join(lines[start - 1:number - 1]) + "\n", mark))
                start, mark = None, None
        elif line.startswith("```cpp"):
            start = number + 1
        else:
            match = MARK.fullmatch(line.strip())
            if match or line.strip():
                mark = match
    return found


def source_of(path, line, text, mark):
    """What the compiler gets, or None; raises ValueError when the block says nothing about itself."""
    place = '#line %d "%s"\n' % (line, path.relative_to(ROOT))
    if mark and mark.group(1) == "not compiled":
        return None
    if mark:
        prelude = ROOT / "docs" / "preludes" / (mark.group(2) + ".h")
        if not prelude.is_file():
            raise ValueError("there is no prelude '%s'" % mark.group(2))
        front = prelude.read_text(encoding="utf-8")
        return front + place + text + ("}\n" if front.rstrip().endswith("{") else "")
    if "#include" not in text:
        raise ValueError("a fragment without a prelude (see tools/check_docs.py)")
    return place + text


def check(compiler, path, block):
    """None, or what is wrong with it."""
    where = "%s:%d" % (path.relative_to(ROOT), block[0])
    try:
        source = source_of(path, *block)
    except ValueError as problem:
        return "%s: %s" % (where, problem)
    if source is None:
        return None
    command = [compiler, "-std=c++20", "-Wall", "-Wextra", "-fsyntax-only", "-I", str(ROOT / "include"),
               "-x", "c++", "-"]
    result = subprocess.run(command, input=source, capture_output=True, text=True, check=False)
    return None if result.returncode == 0 and not result.stderr else "%s:\n%s" % (where, result.stderr)


def main(arguments):
    compiler = "g++"
    if arguments[:1] == ["--compiler"]:
        compiler, arguments = arguments[1], arguments[2:]
    paths = [pathlib.Path(a).resolve() for a in arguments]
    paths = paths or [ROOT / "README.md", *sorted((ROOT / "docs").glob("about-*.md"))]
    jobs = [(path, block) for path in paths for block in blocks(path)]
    if not jobs:
        print("check_docs: no blocks found")
        return 1
    with concurrent.futures.ThreadPoolExecutor(max_workers=4) as pool:
        problems = [p for p in pool.map(lambda job: check(compiler, *job), jobs) if p]
    print("\n".join(problems + ["check_docs: %d blocks, %d problems" % (len(jobs), len(problems))]))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
