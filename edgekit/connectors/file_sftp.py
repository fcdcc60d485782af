"""SFTP with the server's key checked; the one door to paramiko."""

from __future__ import annotations

import io
import logging
from typing import TYPE_CHECKING, Any

import paramiko  # type: ignore[import-untyped]
from fsspec.implementations.sftp import SFTPFileSystem  # type: ignore[import-untyped]

from edgekit.errors import DeniedError, InvalidError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Mapping

NAME = "edgekit-sftp"
"""What fsspec knows it by: its own sftp, which trusts any server, stays what it is."""

_SECONDS = 30.0

# Without a handler its tracebacks go to standard error; who sets one up still gets them.
logging.getLogger("paramiko").addHandler(logging.NullHandler())


class _Unknown(paramiko.MissingHostKeyPolicy):  # type: ignore[misc]
    """Lets in the one key that was named, and no other."""

    def __init__(self, expected: str | None) -> None:
        self._expected = expected

    def missing_host_key(self, client: Any, hostname: str, key: Any) -> None:
        del client
        shown = f"{key.get_name()} {key.fingerprint}"
        if self._expected is None:
            raise DeniedError(
                f"The host key of {hostname} is not known: {shown}.",
                hint="If its owner tells you the same one: --set 'host_key="
                + key.fingerprint
                + "', or put it"
                " into ~/.ssh/known_hosts.",
            )
        if key.fingerprint.rstrip("=") != self._expected.rstrip("="):
            raise DeniedError(
                f"The host key of {hostname} is {shown}, not {self._expected}: nothing was sent to it.",
                hint="Ask its owner; it may be another server that answers.",
            )


class CheckedSftp(SFTPFileSystem):  # type: ignore[misc]
    """Files over SFTP: the log-in is of the vault, the server's key of known_hosts or of `host_key`."""

    protocol = NAME
    cachable = False

    def __init__(
        self,
        host: str,
        *,
        secrets: Mapping[str, str],
        host_key: str | None = None,
        port: int = 22,
        **more: Any,
    ) -> None:
        self._secrets = secrets
        self._host_key = host_key
        self._port = int(port)
        super().__init__(host, **more)

    def _connect(self) -> None:
        user = self._secrets.get("username")
        if not user:
            raise InvalidError(
                f"Who logs in at {self.host}?",
                hint="Store it: edgekit vault set INTEGRATION username, and password or private_key",
            )
        word, key = self._secrets.get("password"), self._secrets.get("private_key")
        self.client = paramiko.SSHClient()
        if self._host_key is None:
            self.client.load_system_host_keys()
        self.client.set_missing_host_key_policy(_Unknown(self._host_key))
        try:
            self.client.connect(
                self.host, self._port, user, word, pkey=_private_key(key, self._secrets.get("passphrase")),
                timeout=_SECONDS, banner_timeout=_SECONDS, auth_timeout=_SECONDS, channel_timeout=_SECONDS,
                allow_agent=False, look_for_keys=False,
            )  # fmt: skip
            self.ftp = self.client.open_sftp()
            self.ftp.get_channel().settimeout(_SECONDS)
        except paramiko.BadHostKeyException as error:
            raise DeniedError(
                f"The host key of {self.host} is {error.key.get_name()} {error.key.fingerprint}, not the one"
                " in known_hosts: nothing was sent to it.",
                hint="Ask its owner; it may be another server that answers.",
            ) from error
        except paramiko.AuthenticationException as error:
            raise DeniedError(
                f"{self.host} does not let {user} in.",
                hint="See what is stored: edgekit vault list INTEGRATION (username; password or private_key)",
            ) from error
        except (OSError, paramiko.SSHException) as error:
            why = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise UnavailableError(f"{self.host}:{self._port} cannot be reached by SFTP: {why}.") from error

    def get_file(self, rpath: str, lpath: str, **_more: Any) -> None:
        """Fetch a file, so much asked for ahead as servers take."""
        self.ftp.get(self._strip_protocol(rpath), lpath, max_concurrent_prefetch_requests=64)

    def mv(self, old: str, new: str) -> None:
        """Rename a file over what is there, or, where the server cannot, to a name that is free."""
        old, new = self._strip_protocol(old), self._strip_protocol(new)
        try:
            self.ftp.posix_rename(old, new)
        except OSError as error:
            if "upported" not in str(error) and "upported" not in str(error.strerror):
                raise
            if self.exists(new):
                self.ftp.remove(new)
            self.ftp.rename(old, new)

    def close(self) -> None:
        """End the connection."""
        self.client.close()


def _private_key(text: str | None, phrase: str | None) -> Any:
    """Read a private key in OpenSSH's or PEM form."""
    if not text:
        return None
    kinds = (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey)
    for kind in kinds:
        try:
            return kind.from_private_key(io.StringIO(text.strip() + "\n"), phrase)
        except paramiko.PasswordRequiredException as error:
            raise DeniedError(
                "The secret private_key is locked by a passphrase.",
                hint="Store it as well: edgekit vault set INTEGRATION passphrase",
            ) from error
        except (paramiko.SSHException, ValueError, IndexError):
            continue
    raise DeniedError(
        "The secret private_key is no key that can be used, or its passphrase is wrong.",
        hint="It is the text of an OpenSSH key: Ed25519, ECDSA or RSA.",
    )
