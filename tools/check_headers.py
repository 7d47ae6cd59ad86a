#!/usr/bin/env python3
# Weft - proves that every public header stands alone: compiled by itself, as old and new programs compile it.
# SPDX-License-Identifier: Apache-2.0
"""Usage: check_headers.py --include DIR --cxx COMPILER --cc COMPILER --out DIR

Each header directly under DIR/workflow becomes a source file that includes nothing else. It is compiled as C++11 and as
C++20 with -Wall -Wextra -fno-exceptions -Werror. A header whose first line says C++20 is compiled as C++20 only; one
that carries extern "C" is compiled as C11 too. Headers under detail/ are not entries: users reach them through others.
"""
import argparse
import concurrent.futures
import os
import pathlib
import shutil
import subprocess
import sys

WARNINGS = ["-Wall", "-Wextra", "-Werror"]


def levels(header):
    """The (compiler kind, language level) pairs a header must compile under."""
    text = header.read_text(encoding="utf-8")
    first = text.split("\n", 1)[0]
    wanted = [("cxx", "c++20")]
    if "C++20" not in first:
        wanted.insert(0, ("cxx", "c++11"))
    if 'extern "C"' in text:
        wanted.append(("cc", "gnu11"))
    return wanted


def write_if_changed(path, text):
    """An unchanged file keeps its time, so a compiler cache finds it again."""
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def compile_one(job):
    header, kind, level, args = job
    suffix = "cc" if kind == "cxx" else "c"
    name = header.relative_to(args.include).as_posix()
    source = args.out / f"{name.replace('/', '.')}.{level}.{suffix}"
    write_if_changed(source, f'#include "{name}"\n')
    command = [args.cxx if kind == "cxx" else args.cc, f"-std={level}", *WARNINGS]
    if kind == "cxx":
        command.append("-fno-exceptions")
    command += ["-I", str(args.include), "-c", str(source), "-o", str(source) + ".o"]
    if shutil.which("ccache"):
        command.insert(0, "ccache")
    run = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return header.name, level, run.returncode, run.stdout


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--include", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--cxx", default="g++")
    parser.add_argument("--cc", default="gcc")
    args = parser.parse_args()
    args.include = args.include.resolve()
    args.out.mkdir(parents=True, exist_ok=True)
    room = args.include / "workflow"
    headers = sorted([*room.glob("*.h"), *room.glob("wf/*.h")])
    if not headers:
        print(f"no header under {args.include}/workflow")
        return 1
    jobs = [(header, kind, level, args) for header in headers for kind, level in levels(header)]
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for name, level, code, output in pool.map(compile_one, jobs):
            if code != 0:
                failed += 1
                print(f"{name} does not compile alone as {level}:\n{output}")
    print(f"{len(headers)} headers, {len(jobs)} compilations, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
