"""Where files are: in folders of this machine, or behind a URL that fsspec knows; the one door to fsspec."""

from __future__ import annotations

import base64
import glob
import os
import re
import shutil
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from edgekit import masking
from edgekit.errors import ConflictError, DeniedError, EdgekitError, InvalidError, NotFoundError
from edgekit.errors import UnavailableError as Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)(?:://|::)")
_LOCAL = re.compile(r"(?:file|local)://", re.IGNORECASE)
_MAGIC = re.compile(r"[*?\[]")
_WEB = ("http://", "https://")
_EXTRAS = {"sftp": "sftp", "ssh": "sftp", "s3": "s3", "s3a": "s3"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One file: its whole path, its name below the place's folder, and what tells its content's version."""

    path: str
    name: str
    mark: str
    modified: float | None


class Place(Protocol):
    """A folder, or one file, with what can be done to the files there."""

    shown: str

    def find(self) -> list[Entry]:
        """Return the files there are, in name order. Raise NotFoundError if there is no such folder."""
        ...

    def fetched(self, entry: Entry) -> Any:
        """Open a context with the path of a file of this machine that holds the entry's content."""
        ...

    def mark(self, entry: Entry) -> str:
        """Return what tells the version of a file's present content, nothing if it is gone."""
        ...

    def exists(self, path: str) -> bool:
        """Tell whether there is a file."""
        ...

    def move(self, path: str, target: str) -> None:
        """Rename a file; its new folder is made. What stands there already is replaced."""
        ...

    def delete(self, path: str) -> None:
        """Delete a file."""
        ...

    def put(self, source: str, path: str) -> None:
        """Bring a file of this machine there, under its name only once it is whole."""
        ...


def is_url(path: str) -> bool:
    """Tell a URL from a path of this machine, be it one with a drive letter."""
    return _URL.match(path) is not None and _LOCAL.match(path) is None


def is_pattern(path: str) -> bool:
    """Tell whether a path stands for any number of files. A file that is really called so is one file."""
    if is_url(path):
        magic = "*" if path.startswith(_WEB) else "*?["
        return any(mark in path.partition("::")[0] for mark in magic)
    return _MAGIC.search(path) is not None and not Path(path).exists()


def local_path(path: str) -> str:
    """Return the path a file:// URL names; any other path is returned as it is."""
    if not _LOCAL.match(path):
        return path
    from urllib.parse import urlsplit
    from urllib.request import url2pathname

    return url2pathname(urlsplit(path).path if path[:5].lower() == "file:" else path.partition("://")[2])


@contextmanager
def place(path: str, config: Mapping[str, Any], secrets: Mapping[str, str]) -> Iterator[Place]:
    """Open the place a path or pattern is at. Raise InvalidError for a URL with a log-in or key in it."""
    if not is_url(path):
        yield _Folder(local_path(path))
        return
    if masking.holds_secret(path):
        raise InvalidError(
            f"The address {masking.secrets(path)} holds a log-in or a key.",
            hint="Leave it out, and store it apart: edgekit vault set INTEGRATION username, and password.",
        )
    remote = _Remote(path, config, secrets)
    try:
        yield remote
    finally:
        remote.close()


class _Folder:
    """A folder of this machine."""

    def __init__(self, pattern: str) -> None:
        self.shown = pattern
        self._pattern = pattern

    def find(self) -> list[Entry]:
        is_one = not is_pattern(self._pattern)
        root = _fixed(self._pattern, os.sep) if not is_one else str(Path(self._pattern).parent)
        if not Path(root or ".").is_dir():
            raise NotFoundError(f"There is no folder {root}.", hint="It is seen from the current folder.")
        paths = [self._pattern] if is_one else glob.glob(self._pattern, recursive=True)  # noqa: PTH207
        found = []
        for path in paths:
            try:
                stat = Path(path).stat()
            except FileNotFoundError:
                continue  # gone while we looked
            except OSError as error:
                raise InvalidError(f"{path} cannot be looked at: {error.strerror or error}.") from error
            if Path(path).is_file():
                name = Path(os.path.relpath(path, root or ".")).as_posix()
                found.append(Entry(path, name, _version(stat), stat.st_mtime))
        return sorted(found, key=lambda entry: entry.name)

    @contextmanager
    def fetched(self, entry: Entry) -> Iterator[str]:
        with _reaching(entry.path, "read"):
            Path(entry.path).open("rb").close()
        yield entry.path

    def mark(self, entry: Entry) -> str:
        try:
            return _version(Path(entry.path).stat())
        except OSError:
            return ""

    def exists(self, path: str) -> bool:
        return Path(path).exists()

    def move(self, path: str, target: str) -> None:
        with _reaching(path, "moved"):
            Path(target).parent.mkdir(parents=True, exist_ok=True)
            shutil.move(path, target)

    def delete(self, path: str) -> None:
        with _reaching(path, "deleted"):
            Path(path).unlink(missing_ok=True)

    def put(self, source: str, path: str) -> None:
        with _reaching(path, "written"):
            Path(source).replace(path)
            if os.name != "nt":  # the name as well as the content
                handle = os.open(Path(path).parent, os.O_RDONLY)
                try:
                    os.fsync(handle)
                finally:
                    os.close(handle)


def _version(stat: os.stat_result) -> str:
    return f"{stat.st_size} {stat.st_mtime_ns}"


class _Remote:
    """Files behind a URL. Nothing is connected before the first of them is asked for."""

    def __init__(self, url: str, config: Mapping[str, Any], secrets: Mapping[str, str]) -> None:
        self.shown = url
        self._config = config
        self._secrets = secrets
        self._opened: tuple[Any, str] | None = None

    def _system(self) -> tuple[Any, str]:
        if self._opened is None:
            with _reaching(self.shown, "reached"):
                self._opened = _filesystem(self.shown, self._config, self._secrets)
        return self._opened

    def close(self) -> None:
        if self._opened is not None and hasattr(self._opened[0], "close"):
            self._opened[0].close()

    def find(self) -> list[Entry]:
        system, path = self._system()
        with _reaching(self.shown, "listed"):
            if not is_pattern(self.shown):
                up = path.rpartition("/")[0]
                if not path.startswith(_WEB) and not system.exists(path) and (not up or system.isdir(up)):
                    return []
                return [self._entry(path, path.rpartition("/")[2], system.info(path))]
            root = _fixed(path, "/")
            if not self.shown.startswith(_WEB) and root.strip("/") and not system.isdir(root):
                raise NotFoundError(f"There is no folder {root} at {self.shown}.")
            found = system.glob(path, detail=True)
        hidden = "/." in path
        entries = [
            self._entry(str(key), str(key).removeprefix(root).lstrip("/"), info)
            for key, info in found.items()
            if info.get("type") != "directory" and (hidden or not str(key).rpartition("/")[2].startswith("."))
        ]
        return sorted(entries, key=lambda entry: entry.name)

    @staticmethod
    def _entry(path: str, name: str, info: Mapping[str, Any]) -> Entry:
        times = (info.get(key) for key in ("mtime", "LastModified", "last_modified", "modified", "created"))
        at = next((time for time in times if time), None)
        modified = at.timestamp() if isinstance(at, datetime) else at if isinstance(at, int | float) else None
        version = (
            info.get("ETag")
            or info.get("etag")
            or info.get("CRC")
            or (modified if modified is not None else at)
            or ""
        )
        return Entry(path, name, f"{info.get('size')} {version}".strip(), modified)

    @contextmanager
    def fetched(self, entry: Entry) -> Iterator[str]:
        # Read from disk, it is one content from beginning to end, and no connection waits for the file to
        # be written to.
        system, _ = self._system()
        with tempfile.TemporaryDirectory(prefix="edgekit-") as folder:
            target = str(Path(folder) / "fetched")
            with _reaching(self.shown if not is_pattern(self.shown) else entry.path, "fetched"):
                system.get_file(entry.path, target)
            yield target

    def mark(self, entry: Entry) -> str:
        system, _ = self._system()
        with _reaching(entry.path, "looked at"):
            if not system.exists(entry.path):
                return ""
            return self._entry(entry.path, entry.name, system.info(entry.path)).mark

    def exists(self, path: str) -> bool:
        system, _ = self._system()
        with _reaching(path, "looked at"):
            return bool(system.exists(system._strip_protocol(path)))  # noqa: SLF001 - its name for that

    def move(self, path: str, target: str) -> None:
        system, _ = self._system()
        with _reaching(path, "moved"):
            folder = target.rpartition("/")[0]
            if folder:
                system.makedirs(folder, exist_ok=True)
            system.mv(path, target)

    def delete(self, path: str) -> None:
        system, _ = self._system()
        with _reaching(path, "deleted"):
            if system.exists(path):
                system.rm_file(path)

    def put(self, source: str, path: str) -> None:
        system, _ = self._system()
        inner = system._strip_protocol(path)  # noqa: SLF001 - its name for that
        folder, _, name = inner.rpartition("/")
        part = f"{folder}/.{name}.part" if folder else f".{name}.part"
        with _reaching(path, "written"):
            if folder:
                system.makedirs(folder, exist_ok=True)
            system.put_file(source, part)
            system.mv(part, inner)


def _fixed(pattern: str, separator: str) -> str:
    """Return the folders a pattern begins with, before its first part that stands for many."""
    other = os.altsep if separator == os.sep else None
    parts = re.split(f"[{re.escape(separator + (other or ''))}]", pattern)
    count = next(number for number, part in enumerate(parts) if _MAGIC.search(part))
    fixed = separator.join(parts[:count])
    if separator == "\\" and re.fullmatch("[A-Za-z]:", fixed):
        return fixed + separator  # without it, that is the folder one happens to be in on the drive
    return separator if not fixed and count else fixed


def _filesystem(url: str, config: Mapping[str, Any], secrets: Mapping[str, str]) -> tuple[Any, str]:
    try:
        import fsspec  # type: ignore[import-untyped]
        from fsspec.core import url_to_fs  # type: ignore[import-untyped]
    except ImportError as error:
        raise _missing(url, "files") from error
    protocols = [found.lower() for found in _URL.findall(url)]
    given = dict(config.get("storage", {}))
    options: dict[str, Any] = {}
    last = protocols[-1]
    if last in {"sftp", "ssh"}:
        try:
            from edgekit.connectors.file_sftp import NAME, CheckedSftp
        except ImportError as error:
            raise _missing(url, "sftp") from error
        fsspec.register_implementation(NAME, CheckedSftp, clobber=True)
        url = re.sub(r"\b(?:sftp|ssh)://", f"{NAME}://", url)
        last = NAME
        given |= {"host_key": config.get("host_key"), "secrets": secrets}
    elif user := secrets.get("username"):
        given |= _login(last, user, secrets.get("password", ""), given.get("headers", {}))
    if last != "memory":  # whose files live in the one instance
        given["skip_instance_cache"] = True
    options[last] = given
    try:
        system, path = url_to_fs(url, **options)
    except ImportError as error:
        raise _missing(url, _EXTRAS.get(last, "files"), last) from error
    return system, str(path)


def _login(protocol: str, user: str, word: str, headers: Mapping[str, str]) -> dict[str, Any]:
    """Return a log-in in the way a kind of filesystem takes it."""
    if protocol in {"s3", "s3a"}:
        return {"key": user, "secret": word}
    if protocol in {"http", "https"}:
        # With each request, not with the session: that one follows a redirect to anybody with it.
        coded = base64.b64encode(f"{user}:{word}".encode()).decode()
        return {"headers": {**headers, "Authorization": f"Basic {coded}"}}
    return {"username": user, "password": word}


def _missing(url: str, extra: str, protocol: str | None = None) -> NotFoundError:
    known = protocol is None or protocol in {*_EXTRAS, "http", "https", "ftp", "memory"}
    hint = f"Install it: pip install 'edgekit[{extra}]'" if known else "See fsspec's list of file systems."
    return NotFoundError(f"{url} cannot be reached: a package it needs is not installed.", hint=hint)


def _foreign() -> tuple[type[Exception], ...]:
    """Return the errors of the packages below that are no OSError, of those that are loaded."""
    names = (
        ("paramiko", "SSHException"), ("aiohttp", "ClientError"), ("botocore.exceptions", "BotoCoreError"),
        ("zipfile", "BadZipFile"),
    )  # fmt: skip
    loaded = ((sys.modules.get(module), name) for module, name in names)
    return tuple(getattr(module, name) for module, name in loaded if module is not None)


@contextmanager
def _reaching(shown: str, done: str) -> Iterator[None]:
    """Turn what the file systems raise into one line."""
    try:
        yield
    except EdgekitError:
        raise
    except FileNotFoundError as error:
        raise _not_found(shown, done, error) from error
    except FileExistsError as error:
        raise ConflictError(f"{shown} cannot be {done}: there is one already.") from error
    except PermissionError as error:
        raise DeniedError(
            f"{shown} cannot be {done}: permission denied.", hint="Check its rights."
        ) from error
    except NotImplementedError as error:
        raise InvalidError(f"{shown} cannot be {done}: files of that kind cannot be.") from error
    except ValueError as error:
        raise InvalidError(f"{shown} cannot be {done}: {_line(error)}.") from error
    except TypeError as error:
        if "unexpected keyword" not in str(error):
            raise
        raise InvalidError(f"storage holds what is not known for {shown}: {_line(error)}.") from error
    except OSError as error:
        kind = Unavailable if is_url(shown) or not error.errno else InvalidError
        raise kind(f"{shown} cannot be {done}: {_line(error)}.") from error
    except _foreign() as error:
        raise Unavailable(f"{shown} cannot be {done}: {_line(error)}.") from error


def _not_found(shown: str, done: str, error: FileNotFoundError) -> EdgekitError:
    """Say that there is no file, or what else the server answered: fsspec calls every answer that."""
    status = getattr(error.__cause__, "status", 404)
    if status in {401, 403}:
        hint = "Store a log-in: edgekit vault set INTEGRATION username, and password."
        return DeniedError(
            f"{shown} cannot be {done}: the server does not let us (HTTP {status}).", hint=hint
        )
    if status not in {404, 410}:
        return Unavailable(f"{shown} cannot be {done}: the server answered HTTP {status}.")
    if isinstance(error.__cause__, OSError) and not isinstance(error.__cause__, FileNotFoundError):
        return Unavailable(f"{shown} cannot be {done}: {_line(error.__cause__)}.")
    return NotFoundError(f"There is no file {shown}.", hint="Check the path.")


def _line(error: Exception) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return masking.secrets(" ".join(str(text).split()))[:300].rstrip(".")
