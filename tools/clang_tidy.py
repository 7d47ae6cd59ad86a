#!/usr/bin/env python3
# Weft - runs clang-tidy over the files of a build, side by side, and remembers which of them were clean.
# SPDX-License-Identifier: Apache-2.0
"""Usage: clang_tidy.py --build BUILD_DIR [files...]     all files of the compilation database unless some are named

A clean file is not looked at again until something it depends on changes: its own text, the project headers it
includes, its compile command, .clang-tidy or the version of clang-tidy. The marks lie in BUILD_DIR/clang-tidy/.
"""
import argparse
import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
TOOL = "clang-tidy-16"
INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"', re.M)


class Sources:
    """Texts of the project's files, and which project headers each includes, directly or through others."""

    def __init__(self):
        self.texts = {}
        self.direct = {}

    def text(self, path):
        if path not in self.texts:
            self.texts[path] = path.read_text(encoding="utf-8", errors="replace")
        return self.texts[path]

    def includes(self, path):
        if path not in self.direct:
            found = []
            for name in INCLUDE.findall(self.text(path)):
                for base in (path.parent, ROOT / "include", ROOT / "include/workflow", ROOT / "src", ROOT / "test"):
                    candidate = pathlib.Path(os.path.normpath(base / name))
                    if candidate.is_file():
                        found.append(candidate)
                        break
            self.direct[path] = found
        return self.direct[path]

    def closure(self, path):
        seen, todo = {path}, [path]
        while todo:
            for header in self.includes(todo.pop()):
                if header not in seen:
                    seen.add(header)
                    todo.append(header)
        return sorted(seen)


def key_of(sources, entry, common):
    digest = hashlib.sha256(common)
    digest.update(entry["command"].replace(str(ROOT), "").encode())
    for path in sources.closure(pathlib.Path(entry["file"])):
        digest.update(str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path).encode())
        digest.update(sources.text(path).encode())
    return digest.hexdigest()


def entries_of(build, named):
    """The entries to check: ours, each file once, in the order of their names."""
    chosen = {}
    for entry in json.loads((build / "compile_commands.json").read_text(encoding="utf-8")):
        path = pathlib.Path(entry["file"])
        inside = path.is_relative_to(ROOT) and not path.is_relative_to(build)
        if inside and (not named or path in named):
            chosen.setdefault(str(path), entry)
    return [chosen[path] for path in sorted(chosen)]


def check(entry, build):
    began = time.monotonic()
    run = subprocess.run([TOOL, "-p", str(build), "--quiet", entry["file"]], stdin=subprocess.DEVNULL,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    output = run.stdout
    if run.returncode != 0 and "error:" not in output:
        output += run.stderr
    return run.returncode == 0, output.strip(), time.monotonic() - began


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("files", nargs="*", type=pathlib.Path)
    args = parser.parse_args()
    build = args.build.resolve()
    entries = entries_of(build, {path.resolve() for path in args.files})
    marks = build / "clang-tidy"
    marks.mkdir(exist_ok=True)
    version = subprocess.run([TOOL, "--version"], stdout=subprocess.PIPE, check=True).stdout
    common = version + (ROOT / ".clang-tidy").read_bytes()
    sources = Sources()
    keys = {entry["file"]: key_of(sources, entry, common) for entry in entries}
    todo = [entry for entry in entries if not (marks / keys[entry["file"]]).exists()]
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for entry, (clean, output, seconds) in zip(todo, pool.map(lambda entry: check(entry, build), todo)):
            name = os.path.relpath(entry["file"], ROOT)
            print(f"{'clean ' if clean else 'FAILED'} {seconds:5.1f} s  {name}", flush=True)
            if clean:
                (marks / keys[entry["file"]]).touch()
            else:
                failed += 1
                print(output, flush=True)
    print(f"clang-tidy: {len(entries)} files, {len(entries) - len(todo)} known to be clean, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
