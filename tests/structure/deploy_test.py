#!/usr/bin/env python3
"""Holds deploy/, docker/ and README.md to the code: flags that exist, ports and probes that answer, configuration that starts."""
import functools
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import urllib.request

import yaml

ROOT = os.environ["ADVISOR_SOURCE_DIR"]
BIN = os.environ["ADVISOR_BIN_DIR"]
PROGRAMS = ("advisord", "advisor-agent", "advisorctl")
PORTS = {"9470", "9471"}
problems = []


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def documents(path):
    return [d for d in yaml.safe_load_all(read(path)) if d]


@functools.cache
def flags_of(command):
    text = subprocess.run(list(command) + ["--help"], cwd=BIN, check=True, capture_output=True, text=True).stdout
    return set(re.findall(r"--[a-z][a-z-]*", text))


def check_command(where, words):
    """words: a program with its arguments, as a shell would split them."""
    program = os.path.basename(words[0])
    if program not in PROGRAMS:
        return
    command = ("./" + program,) + ((words[1],) if program == "advisorctl" else ())
    known = flags_of(command)
    for word in words[1:]:
        flag = word.split("=")[0]
        if flag.startswith("--") and flag not in known:
            problems.append(f"{where}: {' '.join(command)} has no option {flag}")


def commands():
    compose = documents("docker/compose.yaml")[0]
    for name, service in compose["services"].items():
        words = service.get("command", [])
        if service.get("entrypoint") == ["sh", "-c"]:
            for part in " ".join(words).split("&&"):
                yield f"compose.yaml, {name}", shlex.split(part)
        elif words:
            yield f"compose.yaml, {name}", [str(w) for w in words]
    for path in ("deploy/kubernetes/advisord.yaml", "deploy/kubernetes/sidecar.yaml"):
        for document in documents(path):
            spec = document.get("spec", {}).get("template", {}).get("spec") or document.get("spec", {})
            for container in spec.get("containers", []) + spec.get("initContainers", []):
                if "command" in container:
                    yield f"{path}, {container['name']}", container["command"] + [str(a) for a in container.get("args", [])]
    for unit in ("advisord", "advisor-agent"):
        for line in re.findall(r"^ExecStart=(.*)$", read(f"deploy/systemd/{unit}.service"), re.M):
            yield f"{unit}.service", shlex.split(line)
    for line in re.findall(r"^CMD (\[.*\])$", read("docker/Dockerfile"), re.M):
        yield "Dockerfile", json.loads(line)
    for line in re.findall(r"^(advis\S+ .*?)(?:\s+#.*)?$", read("README.md"), re.M):
        yield "README.md", shlex.split(line)


def check_ports():
    for port in re.findall(r"EXPOSE (.*)", read("docker/Dockerfile"))[0].split():
        if port not in PORTS:
            problems.append(f"docker/Dockerfile exposes {port}; the daemon listens on {sorted(PORTS)}")
    text = subprocess.run(["./advisord", "--help"], cwd=BIN, check=True, capture_output=True, text=True).stdout
    for port in PORTS:
        if f":{port}" not in text:
            problems.append(f"advisord --help does not name port {port}")
    for document in documents("deploy/kubernetes/advisord.yaml"):
        if document["kind"] == "Deployment":
            container = document["spec"]["template"]["spec"]["containers"][0]
            names = {p["name"]: str(p["containerPort"]) for p in container["ports"]}
            if set(names.values()) != PORTS:
                problems.append(f"kubernetes/advisord.yaml: container ports {names}, must be {sorted(PORTS)}")
    for job in documents("deploy/prometheus/prometheus.yml")[0]["scrape_configs"]:
        for target in job["static_configs"][0]["targets"]:
            if target != "advisord:9471":
                problems.append(f"prometheus.yml scrapes {target}; the compose service is advisord:9471")


def configurations():
    """name, {file name: text} of every daemon configuration with its deployments."""
    folder = os.path.join(ROOT, "docker/config")
    yield "docker/config", {name: read(f"docker/config/{name}") for name in os.listdir(folder)}
    for document in documents("deploy/kubernetes/advisord.yaml"):
        if document["kind"] == "ConfigMap":
            yield "kubernetes/advisord.yaml", document["data"]
    yield "deploy/config", {"advisord.yaml": read("deploy/config/advisord.yaml").replace("deployments: []", "deployments: [{file: d.yaml}]"),
                            "d.yaml": read("docker/config/compose-demo.yaml")}


def probes():
    for document in documents("deploy/kubernetes/advisord.yaml"):
        if document["kind"] == "Deployment":
            container = document["spec"]["template"]["spec"]["containers"][0]
            return [container[p]["httpGet"]["path"] for p in ("readinessProbe", "livenessProbe")]
    return []


def check_start(name, files):
    """The daemon takes the configuration, answers the probes and a scrape, and ends cleanly."""
    with tempfile.TemporaryDirectory() as folder:
        for file, text in files.items():
            with open(os.path.join(folder, file), "w", encoding="utf-8") as out:
                out.write(text)
        ports = os.path.join(folder, "ports")
        daemon = subprocess.Popen(
            ["./advisord", "--config", os.path.join(folder, "advisord.yaml"), "--store", os.path.join(folder, "p.db"),
             "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--ports-file", ports],
            cwd=BIN, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        try:
            for _ in range(3000):
                if daemon.poll() is not None or (os.path.exists(ports) and os.path.getsize(ports) > 0):
                    break
                try:
                    daemon.wait(timeout=0.01)
                except subprocess.TimeoutExpired:
                    pass
            if daemon.poll() is not None:
                problems.append(f"{name}: advisord ended with {daemon.returncode}: {daemon.stderr.read().strip()[-300:]}")
                return
            with open(ports, encoding="utf-8") as file:
                http = dict(part.split("=", 1) for part in file.read().split())["http"]
            for path in probes() + ["/metrics"]:
                with urllib.request.urlopen(f"http://{http}{path}", timeout=10) as answer:
                    if path == "/metrics" and "moe_advisor_build_info" not in answer.read().decode():
                        problems.append(f"{name}: /metrics has no moe_advisor_build_info")
        finally:
            if daemon.poll() is None:
                daemon.send_signal(signal.SIGTERM)
                if daemon.wait(timeout=30) != 0:
                    problems.append(f"{name}: advisord ended with {daemon.returncode} on SIGTERM")
            daemon.stderr.close()


def main():
    for where, words in commands():
        check_command(where, words)
    check_ports()
    for name, files in configurations():
        check_start(name, files)
    for problem in problems:
        print(problem, file=sys.stderr)
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
