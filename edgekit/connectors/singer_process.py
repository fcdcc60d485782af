"""A program of somebody else's: started without a shell, heard to its end, killed with its kin."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from edgekit import masking, tracing
from edgekit.errors import InvalidError, NotFoundError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_BLOCK = 1 << 16
_BLOCKS_WAITING = 32
_PREFIX = "edgekit-singer-"
_LOCK = "lock"
_GRACE_SECONDS = 3.0
"""How long a program that is told to end may take before it is killed."""

_LOOK_SECONDS = 0.2
"""How often a wait looks up: Ctrl-C is not heard on Windows while one waits."""

_LINES_KEPT, _LINES_TOLD, _LINE_TOLD = 20, 4, 500
_LINE_KEPT = 4000
"""More than is told: what is cut off before it is masked may leave half a secret at the cut."""


class Overlong(NamedTuple):
    """A line longer than allowed: its beginning, and how many bytes it had."""

    beginning: bytes
    size: int


def _traced() -> dict[str, str]:
    """Return the variable that tells a program of which doing it is a part, as W3C has it."""
    one = tracing.current()
    return {} if one is None else {"TRACEPARENT": tracing.write_parent(one, tracing.new_span_id())}


def label_of(program: Any) -> str:
    """Name a program for people: tap-github, or python tap.py."""
    words = [program] if isinstance(program, str) else list(program)[:2]
    return " ".join(Path(word).name for word in words)


def command_of(program: Any) -> list[str]:
    """Turn a setting, the name of a program or a list with its arguments, into what can be started.

    A name is looked for as the shell would, and beside this Python. Raise NotFoundError, InvalidError.
    """
    words = [program] if isinstance(program, str) else list(program)
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), str(Path(sys.executable).parent)])
    found = shutil.which(words[0], path=path)
    if found is None:
        raise NotFoundError(
            f"There is no program {words[0]}.",
            hint=f"Install it, such as by pip install {Path(words[0]).name}, or give its whole path.",
        )
    return [found, *words[1:]]


@contextlib.contextmanager
def private_folder() -> Iterator[Path]:
    """Make a folder only this user can look into, and take it away afterwards with all that is in it.

    The folders of processes that were killed are taken away first: each is locked as long as its process
    lives. On Windows the folder is private because the user's temporary folder is.
    """
    from filelock import FileLock

    _sweep()
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
    lock = FileLock(folder / _LOCK)
    lock.acquire()
    try:
        yield folder
    finally:
        lock.release()
        _remove(folder)


def _sweep() -> None:
    """Remove what processes that were killed left; a minute's grace is for those about to lock theirs."""
    from filelock import FileLock, Timeout

    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        try:
            about = folder.lstat()
            theirs = hasattr(os, "getuid") and about.st_uid != os.getuid()
            if theirs or folder.is_symlink() or time.time() - about.st_mtime < 60:
                continue
            with FileLock(folder / _LOCK, timeout=0):
                pass
        except (OSError, Timeout):
            continue  # somebody's who lives, or it is gone by now
        _remove(folder)


def _remove(folder: Path) -> None:
    """Delete a folder; a program just killed may hold a file of it a moment longer, emptied all the same."""
    for _ in range(10):
        for file in folder.glob("*.json"):
            with contextlib.suppress(OSError):
                os.truncate(file, 0)
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(_LOOK_SECONDS)


def write_private(folder: Path, name: str, document: Any) -> str:
    """Write a JSON file that only this user can read, and return its path."""
    path = folder / name
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(document, file)
    return str(path)


class Program:
    """A running program: its lines as they come, its last words, its end.

    `hidden` are secrets that no text tells. Whoever starts one calls `close`, which ends it with every
    process it has started, unless they have left its group.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        name: str,
        hidden: Sequence[str],
        silence: float,
        longest: int,
        fed: bool = False,
    ) -> None:
        self.name = name
        self._hidden = {written for secret in hidden for written in masking.variants(secret)}
        self._silence = silence
        self._longest = longest
        self._blocks: queue.Queue[bytes] = queue.Queue(_BLOCKS_WAITING)
        self._closed = threading.Event()
        self._said: deque[bytes] = deque(maxlen=_LINES_KEPT)
        self._heard_at = time.monotonic()
        self._outgoing: queue.Queue[bytes] = queue.Queue(_BLOCKS_WAITING)
        self._is_deaf = False
        self._heard = b""
        self._process = self._started(list(command), fed)
        works = [(self._note, self._process.stderr), (self._listen, self._process.stdout)]
        works += [(self._feed, self._process.stdin)] if fed else []
        self._threads = [threading.Thread(target=work, args=(s,), daemon=True) for work, s in works]
        for thread in self._threads:
            thread.start()

    def _started(self, command: list[str], fed: bool) -> subprocess.Popen[bytes]:
        # Our own settings, a master key among them, are no business of the program's.
        own = {name: value for name, value in os.environ.items() if not name.upper().startswith("EDGEKIT_")}
        group: dict[str, Any] = {"start_new_session": True}
        if sys.platform == "win32":
            group = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
        try:
            return subprocess.Popen(  # noqa: S603 - a list, no shell
                command, bufsize=0, stdin=subprocess.PIPE if fed else subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                env={**own, **_traced(), "PYTHONUTF8": "1", "PYTHONIOENCODING": "utf-8"}, **group,
            )  # fmt: skip
        except (OSError, ValueError) as error:  # ValueError: a NUL in a word
            why = (error.strerror if isinstance(error, OSError) else None) or str(error)
            raise InvalidError(
                f"{self.name} cannot be started: {why}.", hint="Is it a program of this system?"
            ) from error

    def _listen(self, stream: Any) -> None:
        """Pass on what the program writes, no more than is wanted: it waits while nobody reads."""
        block = b"."
        while block and not self._closed.is_set():
            block = stream.read(_BLOCK) or b""
            self._heard_at = time.monotonic()
            while not self._closed.is_set():
                with contextlib.suppress(queue.Full):
                    self._blocks.put(block, timeout=_LOOK_SECONDS)
                    break

    def _note(self, stream: Any) -> None:
        """Read standard error as it comes, so that it never fills, and keep its last lines."""
        rest = b""
        while block := stream.read(_BLOCK):
            self._heard_at = time.monotonic()
            *lines, rest = (rest + block).split(b"\n")
            self._said.extend(line[-_LINE_KEPT:] for line in lines[-_LINES_KEPT:] if line.strip())
            rest = rest[-_LINE_KEPT:]
        if rest.strip():
            self._said.append(rest)

    def lines(self) -> Iterator[bytes | Overlong]:
        """Yield the lines of standard output. Raise UnavailableError if nothing is heard for too long."""
        parts: list[bytes] = []
        size = 0
        while block := self._next_block():
            *ends, rest = block.split(b"\n")
            for end in ends:
                size += len(end)
                if size > self._longest:
                    yield Overlong(b"".join([*parts, end])[:_LINE_KEPT], size)
                else:
                    parts.append(end)
                    yield b"".join(parts)
                parts, size = [], 0
            size += len(rest)
            if size <= self._longest:
                parts.append(rest)
            else:
                parts = [b"".join([*parts, rest])[:_LINE_KEPT]]
        if size:
            yield Overlong(parts[0][:_LINE_KEPT], size) if size > self._longest else b"".join(parts)

    def _next_block(self) -> bytes:
        self._heard_at = time.monotonic()  # while we did not listen it could not be heard
        while True:
            if block := self._look(_LOOK_SECONDS):
                return block[0]
            if time.monotonic() - self._heard_at > self._silence:
                raise UnavailableError(
                    f"{self.name} has said nothing for {self._silence:g} seconds and was stopped."
                    f"{self.last_words()}",
                    hint="Give it longer with the setting silence_seconds, or look why it hangs.",
                )

    def _look(self, seconds: float) -> list[bytes]:
        """Return the next block in a list, an empty one if none comes in time."""
        try:
            return [self._blocks.get(timeout=seconds)]
        except queue.Empty:
            return []

    def next_line(self, seconds: float) -> bytes | None:
        """Return the next line of standard output, b"" at its end, None if none comes in so many seconds."""
        limit = time.monotonic() + seconds
        while b"\n" not in self._heard:
            block = self._look(_LOOK_SECONDS)
            if block == [b""]:
                self._blocks.put(b"")  # the end is found again
                line, self._heard = self._heard, b""
                return line
            if not block and time.monotonic() > limit:
                return None
            self._heard = (self._heard + b"".join(block))[-self._longest :]
        line, self._heard = self._heard.split(b"\n", 1)
        return line + b"\n"

    def write(self, data: bytes) -> bool:
        """Write to standard input; False where the program no longer listens.

        Raise UnavailableError where it takes nothing for too long. Empty data tell it that no more comes.
        """
        since = time.monotonic()
        while not self._is_deaf:
            with contextlib.suppress(queue.Full):
                self._outgoing.put(data, timeout=_LOOK_SECONDS)
                return True
            if time.monotonic() - max(since, self._heard_at) > self._silence:
                raise UnavailableError(
                    f"{self.name} has taken nothing for {self._silence:g} seconds and was stopped."
                    f"{self.last_words()}"
                )
        return False

    def _feed(self, stream: Any) -> None:
        """Hand over what is to be written; the program may take its time."""
        try:
            while (data := self._outgoing.get()) and not self._closed.is_set():
                view = memoryview(data)
                while view:
                    view = view[stream.write(view) :]
                self._heard_at = time.monotonic()
        except OSError:
            pass  # it no longer listens: its exit code and its last words say why
        self._is_deaf = True
        with contextlib.suppress(OSError):
            stream.close()

    def end(self) -> int:
        """Wait for the program to end and return its exit code. Raise UnavailableError if it hangs."""
        limit = time.monotonic() + self._silence
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                code = self._process.wait(_LOOK_SECONDS)
                self._threads[0].join(1)  # its last words may still be on their way
                return code
            if time.monotonic() > limit:
                raise UnavailableError(f"{self.name} does not end, and was stopped.{self.last_words()}")

    def check_ended(self, *, hint: str) -> None:
        """Wait for the end. Raise UnavailableError with the last words where it was no good one."""
        if code := self.end():
            how = f"was killed by signal {-code}" if code < 0 else f"failed with exit code {code}"
            raise UnavailableError(f"{self.name} {how}.{self.last_words()}", hint=hint)

    def last_words(self) -> str:
        """Return the last lines of standard error in one, without secrets; nothing where there are none."""
        kept = [line.decode("utf-8", "replace").strip() for line in list(self._said)[-_LINES_TOLD:]]
        if not kept:
            return ""
        said = " | ".join(self.masked(line)[-_LINE_TOLD:] for line in kept)
        return " It said: " + "".join(c if c.isprintable() else " " for c in said)

    def masked(self, text: str) -> str:
        """Return a text without the secrets the program was given, and without what looks like one."""
        return masking.text(masking.hide(text, self._hidden))

    def close(self) -> None:
        """End the program and every process of its group, and let go of its pipes."""
        self._closed.set()
        with contextlib.suppress(queue.Full):
            self._outgoing.put_nowait(b"")
        self._kill()
        for thread in self._threads:
            thread.join(_GRACE_SECONDS)
        if not any(thread.is_alive() for thread in self._threads):
            for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
                if stream is not None:
                    with contextlib.suppress(OSError):
                        stream.close()

    def _kill(self) -> None:
        if sys.platform == "win32":
            if self._process.poll() is None:
                system = os.environ.get("SYSTEMROOT", r"C:\Windows")
                subprocess.run(  # noqa: S603
                    [rf"{system}\System32\taskkill.exe", "/T", "/F", "/PID", str(self._process.pid)],
                    check=False, capture_output=True,
                )  # fmt: skip
                self._process.wait()
            return
        if self._process.poll() is None:
            self._signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_GRACE_SECONDS)
            self._signal(signal.SIGKILL)
            self._process.wait()
        else:
            self._signal(signal.SIGKILL)  # it is gone; what it started may not be

    def _signal(self, number: int) -> None:
        if sys.platform != "win32":
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)
