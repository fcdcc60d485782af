"""A real SFTP server on the loopback: paramiko's, over a folder, letting one user in."""

from __future__ import annotations

import os
import socket
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import paramiko

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

USER, PASSWORD = "carrier", "s3cret-of-the-carrier"


@dataclass
class Running:
    port: int
    folder: Path
    fingerprint: str
    line: str
    """How known_hosts has it."""
    connections: int = 0


class _Door(paramiko.ServerInterface):
    def __init__(self, user_key: paramiko.PKey | None) -> None:
        self._user_key = user_key

    def check_auth_password(self, username: str, password: str) -> int:
        fits = (username, password) == (USER, PASSWORD)
        return paramiko.AUTH_SUCCESSFUL if fits else paramiko.AUTH_FAILED

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        fits = username == USER and key == self._user_key
        return paramiko.AUTH_SUCCESSFUL if fits else paramiko.AUTH_FAILED

    def get_allowed_auths(self, _username: str) -> str:
        return "password,publickey"

    def check_channel_request(self, _kind: str, _number: int) -> int:
        return paramiko.OPEN_SUCCEEDED


class _Files(paramiko.SFTPServerInterface):
    root: Path

    def _at(self, path: str) -> Path:
        return self.root / self.canonicalize(path).lstrip("/")

    def _tried(self, action: Any) -> Any:
        try:
            return action()
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno)

    def _attributes(self, path: Path) -> paramiko.SFTPAttributes:
        return paramiko.SFTPAttributes.from_stat(path.stat(), path.name)

    def list_folder(self, path: str) -> Any:
        return self._tried(lambda: [self._attributes(item) for item in self._at(path).iterdir()])

    def stat(self, path: str) -> Any:
        return self._tried(lambda: self._attributes(self._at(path)))

    lstat = stat

    def open(self, path: str, flags: int, _attributes: Any) -> Any:
        return self._tried(lambda: self._open(path, flags))

    def _open(self, path: str, flags: int) -> paramiko.SFTPHandle:
        handle = paramiko.SFTPHandle(flags)
        mode = "r+b" if flags & (os.O_WRONLY | os.O_RDWR) else "rb"
        file = os.fdopen(os.open(self._at(path), flags | getattr(os, "O_BINARY", 0), 0o600), mode)
        handle.readfile = handle.writefile = file
        handle.stat = lambda: paramiko.SFTPAttributes.from_stat(os.fstat(file.fileno()))  # type: ignore[method-assign]
        return handle

    def remove(self, path: str) -> Any:
        return self._tried(lambda: self._at(path).unlink() or paramiko.SFTP_OK)

    def rename(self, old: str, new: str) -> Any:
        if self._at(new).exists():
            return paramiko.SFTP_FAILURE
        return self._tried(lambda: self._at(old).rename(self._at(new)) and paramiko.SFTP_OK)

    def mkdir(self, path: str, _attributes: Any) -> Any:
        return self._tried(lambda: self._at(path).mkdir() or paramiko.SFTP_OK)


@contextmanager
def serve(folder: Path, *, user_key: paramiko.PKey | None = None) -> Iterator[Running]:
    """Serve a folder until the context is left."""
    host_key = paramiko.ECDSAKey.generate()
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    line = f"[127.0.0.1]:{port} {host_key.get_name()} {host_key.get_base64()}"
    running = Running(port, folder, host_key.fingerprint, line)
    files = type("Files", (_Files,), {"root": folder})
    transports: list[paramiko.Transport] = []

    def answer() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            running.connections += 1
            transport = paramiko.Transport(connection)
            transports.append(transport)
            transport.add_server_key(host_key)
            transport.set_subsystem_handler("sftp", paramiko.SFTPServer, files)
            try:
                transport.start_server(server=_Door(user_key))
            except (paramiko.SSHException, EOFError):
                transport.close()

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    try:
        yield running
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for transport in transports:
            transport.close()
        thread.join(5)
