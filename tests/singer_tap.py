"""A tap of Singer in plain Python, quick to start, and one that can misbehave."""

from __future__ import annotations

import argparse
import gzip
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

SCHEMA = {
    "type": "object",
    "properties": {
        "id": {"type": "integer"},
        "name": {"type": ["null", "string"]},
        "is_new": {"type": ["null", "boolean"]},
        "price": {"type": ["null", "number"]},
        "tags": {"type": ["null", "array"]},
        "token": {"type": ["null", "string"]},
    },
}
ROOT = {"valid-replication-keys": ["id"], "table-key-properties": ["id"]}


def say(**message: Any) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def record(number: int) -> dict[str, Any]:
    return {
        "id": number,
        "name": f"name {number}",
        "is_new": number % 2 == 0,
        "price": number / 2,
        "tags": [number],
        "token": "t",
    }


def catalog() -> dict[str, Any]:
    entry = {"tap_stream_id": "people", "stream": "people", "key_properties": ["id"], "schema": SCHEMA}
    other = {"tap_stream_id": "towns", "stream": "towns", "key_properties": [], "schema": {"properties": {}}}
    return {"streams": [{**entry, "metadata": [{"breadcrumb": [], "metadata": ROOT}]}, other]}


def misbehave(config: dict[str, Any], here: bool) -> None:
    mode = config.get("mode")
    if mode == "noise":
        sys.stderr.write("e" * 200_000 + "\n")
    elif mode == "garbage":
        sys.stdout.write("Loading …\n[1, 2]\n{\n")
    elif here and mode == "crash":
        secret = config.get("password", "")
        sys.stderr.write(f"logging in with password={secret} as {secret}\nit broke\n")
        sys.exit(3)
    elif here and mode == "hang":
        time.sleep(600)
    elif here and mode == "wait":
        while not Path(config["until"]).exists():
            time.sleep(0.02)
    elif here and mode == "long":
        sys.stdout.write('{"type": "RECORD", "stream": "people", "record": {"name": "')
        for _ in range(config["megabytes"]):
            sys.stdout.write("x" * 1_000_000)
        sys.stdout.write('"}}\n')


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("--config", "--state", "--catalog", "--properties"):
        parser.add_argument(name)
    parser.add_argument("--discover", action="store_true")
    given = parser.parse_args()
    config = json.loads(Path(given.config).read_text(encoding="utf-8"))
    if given.discover:
        say(**catalog())
        return
    if told := config.get("told"):
        about = {"arguments": sys.argv[1:], "config": config, "environment": dict(os.environ)}
        about["mode"] = oct(Path(given.config).stat().st_mode & 0o777)
        about["catalog"] = Path(given.catalog).read_text(encoding="utf-8") if given.catalog else None
        Path(told).write_text(json.dumps(about), encoding="utf-8")
    if beats := config.get("child"):  # a program of the tap's own, which shows that it lives
        child = f"import time\nwhile True:\n  open({beats!r}, 'a').write('.')\n  time.sleep(0.02)"
        subprocess.Popen([sys.executable, "-c", child])
    state = json.loads(Path(given.state).read_text(encoding="utf-8")) if given.state else {"next": 1}
    count, every = config.get("count", 7), config.get("every", 2)
    say(type="SCHEMA", stream="people", schema=SCHEMA, key_properties=["id"])
    if config.get("mode") == "batch":
        path = Path(config["folder"]) / "part 1.jsonl.gz"
        path.write_bytes(gzip.compress(b"".join(json.dumps(record(n)).encode() + b"\n" for n in range(1, 5))))
        packed = {"format": "jsonl", "compression": "gzip"}
        say(type="BATCH", stream="people", encoding=packed, manifest=[path.as_uri()])
    for number in range(state["next"], count + 1):
        misbehave(config, number == count // 2 + 1)
        say(type="RECORD", stream="people", record=record(number), version=1)
        say(type="RECORD", stream="towns", record={"name": "Bern"})
        if number % every == 0:
            say(type="STATE", value={"next": number + 1})
    say(type="ACTIVATE_VERSION", stream="people", version=1)
    say(type="STATE", value={"next": count + 1})


if __name__ == "__main__":
    main()
