#!/usr/bin/env python3
"""docs/fault-table.md has every row that it must, and every test that it or docs/protocol.md names exists."""
import os
import re
import sys

ROOT = os.environ["ADVISOR_SOURCE_DIR"]
ROWS = [*range(1, 11), *range(13, 30), *range(31, 38), 39, 40]


def exists(reference):
    path, _, test = reference.partition(":")
    file = os.path.join(ROOT, path)
    if not os.path.exists(file):
        return False
    suite, _, name = test.partition(".")
    text = open(file).read()
    return not test or re.search(rf"TEST(_F|_P)?\(\s*{suite},\s*{name}\)", text) is not None


def references(line):
    return re.findall(r"`((?:tests|scripts)/[^` ]+)`", line)


def lines(page):
    return open(os.path.join(ROOT, page)).read().splitlines()


def main():
    problems, rows = [], set()
    for line in lines("docs/fault-table.md"):
        row = re.match(r"\| (\d+) \|", line)
        if row:
            rows.add(int(row.group(1)))
            if not references(line):
                problems.append(f"row {row.group(1)} names no test")
    for line in lines("docs/protocol.md"):
        if line.startswith("| ") and not line.startswith("| promise") and not references(line):
            problems.append(f"no test holds: {line}")
    for line in lines("docs/fault-table.md") + lines("docs/protocol.md"):
        problems += [f"{reference} does not exist" for reference in references(line) if not exists(reference)]
    problems += [f"row {row} is missing" for row in ROWS if row not in rows]
    print("\n".join(problems) or f"{len(rows)} rows")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
