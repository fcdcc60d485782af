"""A target of Singer in plain Python: rows by key into a JSON file, confirmed at once or at the end."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--config")
    config = json.loads(Path(parser.parse_args().config).read_text(encoding="utf-8"))
    if config.get("mode") == "broken":
        sys.exit(f"cannot log in with password={config['password']}")
    path, key, state = Path(config["path"]), [], None
    rows: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    log = Path(config["path"] + ".log")

    def store() -> None:
        path.with_suffix(".new").write_text(json.dumps(rows), encoding="utf-8")
        path.with_suffix(".new").replace(path)
        sys.stdout.write(json.dumps(state) + "\n")
        sys.stdout.flush()

    for line in sys.stdin:
        message = json.loads(line)
        if message["type"] == "SCHEMA":
            key = message["key_properties"]
            with log.open("a", encoding="utf-8") as file:
                file.write(json.dumps(message["schema"]) + "\n")
        elif message["type"] == "RECORD":
            rows["/".join(str(message["record"][name]) for name in key)] = message["record"]
            if config.get("mode") == "crash":
                sys.exit("the disk is full")
        else:
            state = message["value"]
            if config.get("mode") == "deaf":
                time.sleep(600)
            if config.get("mode") == "at once":
                store()
    if config.get("mode") != "forgets":
        store()
    else:
        sys.stdout.write('{"edgekit_sent": 0}\n')


if __name__ == "__main__":
    main()
