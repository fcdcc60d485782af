"""Processes for jobs that can hang: started when first needed, used again, killed with all they have started.

    with Workers(path) as workers:
        outcome = jobs.perform(job, workers=workers)

A worker leaves by itself when the process that started it is gone, however that ended.
"""

from __future__ import annotations

import contextlib
import json
import queue
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from edgekit import db
from edgekit.errors import EdgekitError, StoppedError, UnavailableError
from edgekit.jobs import kinds, stopping, trees
from edgekit.jobs.ending import Outcome

if TYPE_CHECKING:
    from edgekit.jobs.job import Job

_START = "import sys; sys.path[:] = sys.argv[1:]; from edgekit.jobs.worker import main; main()"
_START_SECONDS = 60.0
_LOOK_SECONDS = 0.5
"""How often it is looked whether a job is to be stopped."""
_GRACE_SECONDS = 5.0
"""How long a job that is to be stopped may take to end by itself: a run does between two batches."""
_MOST_JOBS = 500
"""How many jobs a worker does before another takes its place."""


class _Told(EdgekitError):  # noqa: N818 - stands for whatever it was there
    """An error of a worker."""

    def __init__(self, document: dict[str, Any]) -> None:
        super().__init__(document["message"], hint=document["hint"])
        self._code = str(document["code"])
        self.retry_after: float | None = document["retry_after"]
        self._was_sent = bool(document["was_sent"])

    @property
    def code(self) -> str:
        """The code it had there."""
        return self._code

    @property
    def was_sent(self) -> bool:
        """Whether the other side may know of it, as it was there."""
        return self._was_sent


class _ToldToTryAgain(_Told, UnavailableError):  # noqa: N818
    """An error of a worker after which trying again may help."""


class _Worker:
    """One process, and the thread that hears it."""

    def __init__(self, path: Path, actor: str) -> None:
        root = str(Path(__file__).resolve().parent.parent.parent)
        paths = [*(entry for entry in sys.path if entry), root]
        try:
            self.process = subprocess.Popen(  # noqa: S603 - this interpreter, and nothing a user said
                [sys.executable, "-P", "-c", _START, *paths],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, **trees.own_group(),
            )  # fmt: skip
        except OSError as error:
            raise UnavailableError(f"A process for jobs cannot be started: {error.strerror}.") from error
        self.jobs = 0
        self.heard: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._ear = threading.Thread(target=self._listen, name="job-worker", daemon=True)
        self._ear.start()
        self.say({"path": str(path), "actor": actor})

    def _listen(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as answers:
            for line in answers:
                self.heard.put(line)
        self.heard.put(b"")

    def say(self, document: dict[str, Any]) -> None:
        """Write a request; a process that is gone is noticed when its answer is waited for."""
        assert self.process.stdin is not None
        with contextlib.suppress(OSError):
            self.process.stdin.write(json.dumps(document).encode() + b"\n")
            self.process.stdin.flush()

    def hear(self, seconds: float) -> dict[str, Any] | None:
        """Return the next answer, None if none comes in time. Raise EOFError where the process has ended."""
        try:
            line = self.heard.get(timeout=max(seconds, 0.0))
        except queue.Empty:
            return None
        if not line.endswith(b"\n"):
            raise EOFError
        found: dict[str, Any] = json.loads(line)
        return found

    def wait_ready(self) -> None:
        """Wait until it has opened the file. Raise what kept it from that."""
        try:
            answer = self.hear(_START_SECONDS)
        except EOFError:
            answer = None
        if answer is None or "error" in answer:
            self.kill()
            raise (
                retold(answer["error"]) if answer else UnavailableError("A process for jobs does not start.")
            )

    def kill(self) -> None:
        """End it and all it has started."""
        if self.process.poll() is None:
            trees.kill(self.process.pid)
            self.process.kill()
        self.process.wait()
        self._ear.join()
        assert self.process.stdin is not None
        with contextlib.suppress(OSError):  # what was not yet written has no reader any more
            self.process.stdin.close()


def retold(document: dict[str, Any]) -> EdgekitError:
    """Make an error of what a worker has said of one."""
    return _ToldToTryAgain(document) if document["may_help"] else _Told(document)


class Workers:
    """The workers of one file, for as many threads as ask for them."""

    def __init__(self, path: Path, *, actor: str = "system", kept: int = 4) -> None:
        self._path = path
        self._actor = actor
        self._kept = kept
        self._lock = threading.Lock()
        self._idle: list[_Worker] = []
        self._busy: dict[int, _Worker] = {}
        self._is_closed = False
        self._is_stopping = False

    def run(self, job: Job, seconds: float) -> Outcome:
        """Have a worker do a job, and wait for it.

        After so many seconds, or soon after somebody has asked for its end, the worker is killed with all it
        has started; the outcome then has a StoppedError (timeout, cancelled) and the id of the process. One
        that died by itself gives `gone`. What `close` has stopped is given back.
        """
        try:
            worker = self._borrow(job)
        except EdgekitError as error:
            return Outcome(job, error=error)
        if worker is None:
            return Outcome(job, is_given_back=True)
        outcome = None
        try:
            outcome = self._wait(worker, job, seconds)
        finally:
            self._return(worker, job, is_sound=outcome is not None and outcome.process_id is None)
        return outcome

    def _borrow(self, job: Job) -> _Worker | None:
        """Return a worker that is ready, None where all are being stopped."""
        with self._lock:
            worker = self._idle.pop() if self._idle else None
        if worker is None or worker.process.poll() is not None:
            worker = _Worker(self._path, self._actor)
            worker.wait_ready()
        with self._lock:
            if not (self._is_closed or self._is_stopping):
                self._busy[job.id] = worker
                return worker
        worker.kill()
        return None

    def _return(self, worker: _Worker, job: Job, *, is_sound: bool) -> None:
        with self._lock:
            self._busy.pop(job.id, None)
            is_sound = is_sound and not self._is_closed and worker.jobs < _MOST_JOBS
            if is_sound and len(self._idle) < self._kept:
                self._idle.append(worker)
                return
        worker.kill()

    def _wait(self, worker: _Worker, job: Job, seconds: float) -> Outcome:
        kind = kinds.find(job.kind)
        module = kind.handler.__module__ if kind is not None else ""
        worker.jobs += 1
        worker.say({
            "id": job.id, "kind": job.kind, "runner_id": job.runner_id, "attempt": job.attempts,
            "module": module, "seconds": seconds,
        })  # fmt: skip
        end = time.monotonic() + seconds
        last: float | None = None
        while True:
            now = time.monotonic()
            try:
                answer = worker.hear(min(_LOOK_SECONDS, min(end, last or end) - now))
            except EOFError:
                return self._gone(worker, job)
            if answer is not None:
                error = retold(answer["error"]) if "error" in answer else None
                if error is not None and error.code == stopping.STOPPED:
                    return Outcome(job, is_given_back=True)
                if "is_broken" in answer:
                    worker.kill()
                    return Outcome(job, error=error, process_id=worker.process.pid)
                return Outcome(job, answer.get("result"), error)
            now = time.monotonic()
            if now >= end:
                return _stopped(worker, job, "timeout", f"It took longer than {seconds:g} seconds.")
            if last is not None and now >= last:
                return _stopped(worker, job, "cancelled", "It was cancelled while it ran.")
            if last is None and _is_unwanted(job):
                last = now + _GRACE_SECONDS

    def _gone(self, worker: _Worker, job: Job) -> Outcome:
        if self._is_closed:
            return Outcome(job, process_id=worker.process.pid, is_given_back=True)
        code = worker.process.wait()
        return _stopped(worker, job, "gone", f"Its process ended in the middle of it (exit code {code}).")

    def stop(self) -> None:
        """Ask whatever is at work to end at its next good place, and begin nothing more; wait for nothing."""
        with self._lock:
            self._is_stopping = True
            busy = list(self._busy.values())
        for worker in busy:
            worker.say({"stop": True})

    def close(self) -> None:
        """Kill every worker; what they were doing is given back, as if it had not been begun."""
        with self._lock:
            self._is_closed = True
            workers = [*self._idle, *self._busy.values()]
            self._idle.clear()
        for worker in workers:
            worker.kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _stopped(worker: _Worker, job: Job, reason: str, message: str) -> Outcome:
    worker.kill()
    error = StoppedError(message, reason=reason)
    return Outcome(job, error=error, process_id=worker.process.pid)


def _is_unwanted(job: Job) -> bool:
    """Whether somebody has asked for the end of a job, or it is another's by now."""
    found = db.connection().execute(
        "SELECT 1 FROM job WHERE id = ? AND runner_id = ? AND attempts = ?"
        " AND NOT (job_status = 'running' AND cancel_requested_at IS NOT NULL)",
        (job.id, job.runner_id, job.attempts),
    )
    return found.fetchone() is None
