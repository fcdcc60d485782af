"""The vPIC template against recorded answers of the real service, played on loopback."""

from __future__ import annotations

import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from edgekit import db, integrations, runner

if TYPE_CHECKING:
    from collections.abc import Iterator

PARTIAL = ["5UXWX7C5*BA", "5YJSA3DS*EF"]
WHOLE = "1FTMW1T88MFA00001"


def recorded(name: str) -> dict[str, Any]:
    folder = os.environ.get("EDGEKIT_TEST_DATA") or Path(__file__).parents[2] / "shared" / "data"
    path = Path(folder) / "vpic" / name
    if not path.exists():
        pytest.skip("the recorded answers are not on this machine")
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


@pytest.fixture
def service() -> Iterator[str]:
    """Answer a batch with what was recorded for each VIN; a VIN nobody recorded is unknown to it."""
    batch = recorded("decode-vin-batch.json")
    results = {row["VIN"]: row for row in batch["content"]["Results"]}
    results[WHOLE] = recorded("decode-vin.json")["content"]["Results"][0]
    path = urlsplit(batch["url"]).path
    blank = dict.fromkeys(results[WHOLE], "")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            form = parse_qs(body)
            found = urlsplit(self.path).path == path and (
                form.get("format") or parse_qs(urlsplit(self.path).query)["format"]
            ) == ["json"]
            vins = [item.split(",")[0] for item in form["DATA"][0].split(";")]
            unknown = {
                **blank,
                "ErrorCode": "7",
                "ErrorText": "7 - Manufacturer is not registered with NHTSA",
            }
            rows = [results.get(vin, {**unknown, "VIN": vin}) for vin in vins]
            answer = json.dumps({**batch["content"], "Count": len(rows), "Results": rows}).encode()
            self.send_response(200 if found else 404)
            self.send_header("Content-Type", batch["content_type"])
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.usefixtures("edge")
@pytest.mark.parametrize("base", ["", "/api", "/api/vehicles", "/api/vehicles/"])
def test_recorded_vehicles_land_right(service: str, base: str) -> None:
    with db.change(reason="the agency's vehicles"):
        db.connection().executemany(
            "INSERT INTO vehicle(vin, model_year) VALUES (?, ?)",
            [(PARTIAL[0], 2011), (PARTIAL[1], None), (WHOLE, None), ("XZ9ZZZZZ0ZZ000001", 2020)],
        )
    integrations.create("vins", template="vpic-vin-decode", settings={"base_url": service + base})
    result = runner.run("vins")
    assert (result.status, result.records_read, result.dead_letters) == ("completed", 4, 0), result.message
    rows = db.query(
        "SELECT vin, make, model_name, model_year, substr(decode_note, 1, 2) AS note FROM vehicle ORDER BY id"
    )
    assert [tuple(row.values()) for row in rows] == [
        (PARTIAL[0], "BMW", "X3", 2011, "6 "),
        (PARTIAL[1], "TESLA", "Model S", 2014, "5 "),
        (WHOLE, "FORD", "F-150", 2021, "0 "),
        ("XZ9ZZZZZ0ZZ000001", None, None, 2020, "7 "),
    ]
    assert runner.run("vins").records_read == 0, "what is decoded is not asked about again"


@pytest.mark.usefixtures("edge")
def test_a_file_of_vins_drives_it_too(service: str, tmp_path: Path) -> None:
    path = tmp_path / "vins.csv"
    path.write_text(f"VIN\n{PARTIAL[0]}\n{WHOLE}\n", encoding="utf-8")
    integrations.create("vins", template="vpic-vin-decode", settings={"base_url": service})
    assert runner.run("vins", input=str(path)).records_written == 2
    assert db.query("SELECT make FROM vehicle ORDER BY id") == [{"make": "BMW"}, {"make": "FORD"}]
