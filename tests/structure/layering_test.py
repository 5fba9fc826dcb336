#!/usr/bin/env python3
"""Holds the layering of docs/design/0001-layering.md: who may include whom, and what the decisions never touch."""
import os
import re
import sys

ROOT = os.environ["ADVISOR_SOURCE_DIR"]

# A folder of core/ may include itself and the folders listed.
CORE = {
    "base": set(),
    "model": {"base"},
    "cost": {"base", "model"},
    "grouping": {"base", "model", "cost"},
    "stats": {"base", "model"},
    "synth": {"base", "model", "stats"},
    "solver": {"base", "model", "cost", "grouping"},
    "window": {"base", "model", "session"},
    "policy": {"base", "model", "cost", "grouping", "window", "solver", "session"},
    "session": {"base", "model", "window"},
    "engine": {"base", "model", "cost", "grouping", "window", "solver", "policy", "session"},
    "io": {"base", "model"},
    "exec": {"base"},
}
# Top-level folders that a top-level folder may include, besides itself.
TOP = {"core": set(), "proto": {"core"}, "server": {"core", "proto"}, "client": {"core", "proto"}}
BESIDE_THE_DECISIONS = {"io", "exec"}
FORBIDDEN_INCLUDES = re.compile(
    r"^(grpc|google/protobuf|advisor/v1|yaml-cpp|prometheus|nlohmann|sqlite3|spdlog|CLI/|zlib|civetweb|CivetServer"
    r"|absl/(synchronization|time/clock|flags|random|base/log)"
    r"|thread$|mutex$|shared_mutex$|condition_variable$|atomic$|future$|chrono$|ctime$|random$|fstream$|filesystem$|iostream$"
    r"|unistd\.h|sys/|time\.h)")
FORBIDDEN_WORDS = re.compile(r"\b(absl::Now|getenv|random_device|std::rand|fopen|std::this_thread|system_clock|steady_clock)\b")


def sources(folder):
    for path, _, names in os.walk(os.path.join(ROOT, folder)):
        for name in sorted(names):
            if name.endswith((".h", ".cc")):
                yield os.path.relpath(os.path.join(path, name), ROOT)


def main():
    problems = []
    for top, allowed in TOP.items():
        for file in sources(top):
            part = file.split("/")[1] if top == "core" else None
            decisions = top == "core" and part not in BESIDE_THE_DECISIONS
            for number, line in enumerate(open(os.path.join(ROOT, file)), 1):
                where = f"{file}:{number}"
                include = re.match(r'\s*#include\s+[<"]([^>"]+)[>"]', line)
                if include:
                    name = include.group(1)
                    first = name.split("/")[0]
                    if first in TOP and first != top and first not in allowed:
                        problems.append(f"{where}: {top}/ must not include {name}")
                    if top == "core" and first == "core":
                        to = name.split("/")[1]
                        if part not in CORE:
                            problems.append(f"{where}: core/{part} is not in the layering; add it there on purpose")
                        elif to != part and to not in CORE[part]:
                            problems.append(f"{where}: core/{part} must not include {name}")
                    if decisions and FORBIDDEN_INCLUDES.match(name):
                        problems.append(f"{where}: the decisions must not include <{name}>")
                elif decisions and FORBIDDEN_WORDS.search(line.split("//")[0]):
                    problems.append(f"{where}: the decisions must not use {FORBIDDEN_WORDS.search(line).group(1)}")
    print("\n".join(problems) or "layering: clean")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
