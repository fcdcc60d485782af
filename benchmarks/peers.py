"""What a user would take instead of edgekit for an NDJSON file or a service in pages: commands alone.

Each is there only where its tool is: the `sqlite3` shell and `jq` on the path, dlt in an environment of its
own whose Python `BENCH_DLT_PYTHON` names (`pip install "dlt[sqlalchemy,filesystem]"`).
"""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING

from records import FIELDS

if TYPE_CHECKING:
    from pathlib import Path

_COLUMNS = ", ".join(name for name, _ in FIELDS)

_DLT_START = """
import os, sys
os.environ.update(RUNTIME__DLTHUB_TELEMETRY="false", RUNTIME__LOG_LEVEL="CRITICAL")
import dlt
source, target, work = sys.argv[1:]
"""
_DLT_FILE = """
from dlt.sources.filesystem import filesystem, read_jsonl
folder, name = source.rsplit("/", 1)
records = (filesystem(bucket_url="file://" + folder, file_glob=name) | read_jsonl()).with_name("records")
"""
_DLT_PAGES = """
from dlt.sources.rest_api import rest_api_source
client = {"base_url": source, "paginator": {"type": "json_link", "next_url_path": "next"}}
endpoint = {"path": "records", "data_selector": "data"}
records = rest_api_source({"client": client, "resources": [{"name": "records", "endpoint": endpoint}]})
"""
_DLT_RUN = """
records.max_table_nesting = 0
sqlite = dlt.destinations.sqlalchemy("sqlite:///" + target)
dlt.pipeline("bench", destination=sqlite, dataset_name="main", pipelines_dir=work).run(records)
"""


def commands(source: str, target: Path) -> dict[str, list[str]]:
    """Return the command of each peer that is here, by its name; `source` is a file or an address."""
    http = source.startswith("http")
    found = {}
    if dlt := os.environ.get("BENCH_DLT_PYTHON"):
        script = _DLT_START + (_DLT_PAGES if http else _DLT_FILE) + _DLT_RUN
        work = f"{target}.dlt"
        found["dlt (neither maps nor checks)"] = [dlt, "-c", script, source, str(target), work]
    if http:
        return found
    sqlite_utils = [sys.executable, "-m", "sqlite_utils"]
    rest = [str(target), "records", source, "--nl", "--pk", "record_id"]
    found["sqlite-utils insert --nl (neither maps nor checks)"] = [*sqlite_utils, "insert", *rest]
    found["sqlite-utils upsert --nl (neither maps nor checks)"] = [*sqlite_utils, "upsert", *rest]
    shell, jq = shutil.which("sqlite3"), shutil.which("jq")
    if shell:
        found["sqlite3 shell, .import and json_extract (no check)"] = [shell, str(target), *_imported(source)]
    if shell and jq and os.name == "posix":
        cells = ",".join(path.replace("$", "", 1) for _, path in FIELDS)
        table = f"CREATE TABLE records({_COLUMNS}, PRIMARY KEY (record_id))"
        piped = (
            f'"{shell}" "{target}" "{table}" && "{jq}" -r "[{cells}]|@csv" "{source}"'
            f' | "{shell}" "{target}" -cmd ".mode csv" ".import /dev/stdin records"'
        )
        found["jq @csv | sqlite3 .import (no check)"] = ["sh", "-c", piped]
    return found


def _imported(source: str) -> list[str]:
    picked = ", ".join(f"json_extract(line, '{path}')" for _, path in FIELDS)
    return [
        "PRAGMA journal_mode = WAL",
        f"CREATE TEMP TABLE lines(line TEXT); CREATE TABLE records({_COLUMNS}, PRIMARY KEY (record_id));",
        ".mode ascii",
        '.separator "\\037" "\\n"',
        f".import {source} lines",
        f"INSERT INTO records SELECT {picked} FROM lines",
    ]
