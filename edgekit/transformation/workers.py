"""Worker processes: started when first needed, used again, killed when their time is up."""

from __future__ import annotations

import atexit
import os
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import edgekit
from edgekit.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_READY = b"ready\n"
_END = b".\n"
_LEAVING = b"..\n"
_IDLE = 2  # workers of one language kept for the next call

_START = (
    "import sys; sys.path[:] = sys.argv[2:]\n"
    "from edgekit.transformation.worker import main; main(sys.argv[1])"
)


class Worker:
    """One process that evaluates scripts of one language."""

    def __init__(self, language: str) -> None:
        self.last = ""
        root = str(Path(edgekit.__file__).resolve().parent.parent)
        paths = [*(path for path in sys.path if path), root]
        windows = {key: os.environ[key] for key in ("SYSTEMROOT",) if key in os.environ}
        try:
            self.process = subprocess.Popen(  # noqa: S603 - this interpreter, and nothing a user said
                [sys.executable, "-I", "-S", "-B", "-c", _START, language, *paths],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=windows,
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
        except OSError as error:
            raise UnavailableError(f"the process that runs {language} does not start: {error}.") from None
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.given, self.answers = self.process.stdin, self.process.stdout
        if self.answers.readline() != _READY:
            self.close()
            raise UnavailableError(f"the process that runs {language} does not start.")

    def ask(self, head: bytes, documents: Sequence[bytes]) -> tuple[list[bytes], str]:
        """Return the answers that came, and how it ended: done, leaving (ask another one) or gone."""
        answers: list[bytes] = []
        try:
            self.given.write(b"".join((head, *[document + b"\n" for document in documents])))
            self.given.flush()
        except OSError:
            return answers, "gone"
        for line in self.answers:
            if line in {_END, _LEAVING}:
                return answers, "done" if line == _END else "leaving"
            if line.endswith(b"\n"):
                answers.append(line)
        return answers, "gone"

    def close(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.wait()
        for pipe in (self.given, self.answers):
            try:
                pipe.close()
            except OSError:  # what was not yet written has no reader any more
                continue


class _Watch:
    """Kills workers whose time is up: one thread for all of them."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._due: dict[Worker, float] = {}
        self._next = float("inf")
        self._thread: threading.Thread | None = None

    @contextmanager
    def over(self, worker: Worker, seconds: float) -> Iterator[None]:
        """Kill the worker if what is done here takes longer than so many seconds."""
        due = time.monotonic() + seconds
        with self._changed:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="transformation-watch", daemon=True)
                self._thread.start()
            self._due[worker] = due
            if due < self._next:
                self._changed.notify()
        try:
            yield
        finally:
            with self._changed:
                self._due.pop(worker, None)

    def _run(self) -> None:
        while True:
            with self._changed:
                now = time.monotonic()
                for worker in [worker for worker, due in self._due.items() if due <= now]:
                    worker.process.kill()
                    del self._due[worker]
                self._next = min(self._due.values(), default=float("inf"))
                self._changed.wait(min(self._next - now, 3600.0))


_watch = _Watch()
_idle: dict[tuple[str, int], list[Worker]] = {}
_lock = threading.Lock()


def ask(
    language: str, script: str, head: bytes, documents: Sequence[bytes], *, seconds: float, memory: int
) -> tuple[list[bytes], str]:
    """Have a worker answer; return its answers and how it ended: done, leaving, late or gone.

    It is killed, and late, after so many seconds; one that once held to less memory is not asked. Raise
    UnavailableError where no process can be started.
    """
    with _lock:
        idle = _idle.setdefault((language, memory), [])
        for worker in [worker for worker in idle if worker.process.poll() is not None]:
            idle.remove(worker)
            worker.close()
        known = next((worker for worker in idle if worker.last == script), None)
        chosen = known or (idle[0] if idle else None)
        if chosen is not None:
            idle.remove(chosen)
    worker = chosen or Worker(language)
    worker.last = script
    begun, end = time.monotonic(), "gone"
    try:
        with _watch.over(worker, seconds):
            answers, end = worker.ask(head, documents)
    finally:
        with _lock:
            is_kept = end == "done" and len(idle) < _IDLE
            if is_kept:
                idle.append(worker)
        if not is_kept:
            worker.close()
    return answers, "late" if end == "gone" and time.monotonic() - begun >= seconds else end


def _forget() -> None:
    _idle.clear()


if hasattr(os, "register_at_fork"):  # a copy of this process has pipes to the same workers
    os.register_at_fork(after_in_child=_forget)


@atexit.register
def close() -> None:
    """End every idle worker; the next call starts one anew."""
    with _lock:
        workers = [worker for idle in _idle.values() for worker in idle]
        _idle.clear()
    for worker in workers:
        worker.close()
