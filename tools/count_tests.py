#!/usr/bin/env python3
# Weft - counts what a ctest run proved: the googletest cases of a program, or the program
# SPDX-License-Identifier: Apache-2.0
"""Prints "passed failed", and on standard error what the failed ones said.

Usage: count_tests.py RESULTS.xml (as written by ctest --output-junit)"""
import re
import sys
import xml.etree.ElementTree

CASE_OK = re.compile(r"^\[       OK \] ", re.M)
CASE_FAILED = re.compile(r"^\[  FAILED  \] .* \(\d+ ms\)$", re.M)
CASE_SAID = re.compile(r"^\[ RUN      \] (\S+)\n((?:(?!^\[ ).*\n)*)\[  FAILED  \] .* \(\d+ ms\)$", re.M)
SANITIZER = re.compile(r"^.*(?:WARNING: ThreadSanitizer|ERROR: \w+Sanitizer|runtime error): .*$", re.M)
LINES = 40  # of what a failed one said


def count(case):
    """The passed and failed checks of one ctest entry; one that crashed has at least one failure."""
    output = case.findtext("system-out") or ""
    passed = len(CASE_OK.findall(output))
    failed = len(CASE_FAILED.findall(output))
    if case.get("status") == "run":
        return (passed, failed) if passed + failed else (1, 0)
    return passed, max(failed, 1)


def failures(case):
    """What each failed check said; the report of a sanitizer, or the last output, where none is named."""
    if case.get("status") == "run":
        return
    output = case.findtext("system-out") or ""
    named = False
    for match in CASE_SAID.finditer(output):
        named = True
        yield f"{case.get('name')}: {match.group(1)}", match.group(2).strip().splitlines()[-LINES:]
    finding = SANITIZER.search(output)
    if finding:
        yield case.get("name"), output[finding.start():].splitlines()[:LINES]
    elif not named:
        yield case.get("name"), output.strip().splitlines()[-LINES:]


def main():
    try:
        cases = list(xml.etree.ElementTree.parse(sys.argv[1]).getroot().iter("testcase"))
    except (OSError, xml.etree.ElementTree.ParseError) as error:
        print(f"no results: {error}", file=sys.stderr)
        print("0 1")
        return
    for case in cases:
        for name, lines in failures(case):
            print(f"FAILED {name}", *lines, sep="\n    ", file=sys.stderr)
    counts = [count(case) for case in cases]
    print(sum(passed for passed, _ in counts), sum(failed for _, failed in counts))


if __name__ == "__main__":
    main()
