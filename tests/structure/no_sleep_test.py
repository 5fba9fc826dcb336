#!/usr/bin/env python3
"""No test sleeps for real, and none asserts a duration."""
import os
import re
import sys

ROOT = os.environ["ADVISOR_SOURCE_DIR"]
PATTERN = re.compile(r"sleep_for|sleep_until|SleepFor|\busleep\(|\bnanosleep\(|time\.sleep|EXPECT_L[TE]\([^)]*([Ee]lapsed|[Dd]uration)")


def main():
    problems = []
    for path, _, names in os.walk(os.path.join(ROOT, "tests")):
        for name in names:
            file = os.path.join(path, name)
            if name.endswith((".h", ".cc", ".py", ".sh")) and file != os.path.abspath(__file__):
                for number, line in enumerate(open(file), 1):
                    if PATTERN.search(line):
                        problems.append(f"{os.path.relpath(file, ROOT)}:{number}: {line.strip()}")
    print("\n".join(problems) or "no test sleeps")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
