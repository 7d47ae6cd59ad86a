#!/usr/bin/env python3
# Weft - counts what a ctest run proved: the googletest cases of a program, or the program. Prints "passed failed".
# SPDX-License-Identifier: Apache-2.0
"""Usage: count_tests.py RESULTS.xml (as written by ctest --output-junit)"""
import re
import sys
import xml.etree.ElementTree

CASE_OK = re.compile(r"^\[       OK \] ", re.M)
CASE_FAILED = re.compile(r"^\[  FAILED  \] .* \(\d+ ms\)$", re.M)


def count(case):
    """The passed and failed checks of one ctest entry; one that crashed has at least one failure."""
    output = case.findtext("system-out") or ""
    passed = len(CASE_OK.findall(output))
    failed = len(CASE_FAILED.findall(output))
    if case.get("status") == "run":
        return (passed, failed) if passed + failed else (1, 0)
    return passed, max(failed, 1)


def main():
    try:
        cases = xml.etree.ElementTree.parse(sys.argv[1]).getroot().iter("testcase")
    except (OSError, xml.etree.ElementTree.ParseError) as error:
        print(f"no results: {error}", file=sys.stderr)
        print("0 1")
        return
    counts = [count(case) for case in cases]
    print(sum(passed for passed, _ in counts), sum(failed for _, failed in counts))


if __name__ == "__main__":
    main()
