"""The process that does jobs which can hang: one file opened once, one job after the other.

It is told over its standard input which job to do, and answers over its standard output, a line of JSON
each. When nobody is there any more to tell it, it leaves at once, in the middle of whatever it is doing, with
all it has started.
"""

from __future__ import annotations

import faulthandler
import json
import os
import queue
import signal
import sys
import threading
import traceback
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing import BinaryIO

    from edgekit.errors import EdgekitError

_OVERDUE_SECONDS = 30
"""How much longer than its time a job may hold the whole process before that ends by itself."""


def main() -> None:
    """Do jobs until nobody asks any more."""
    given, answers = _own_pipes()
    for name in ("SIGINT", "SIGTERM", "SIGBREAK"):  # whoever started this decides when it ends
        if hasattr(signal, name):
            # A function, and not SIG_IGN: programs started here must not inherit it.
            signal.signal(getattr(signal, name), lambda *_: None)
    requests: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(given, requests), daemon=True).start()
    hello = requests.get()
    import edgekit
    from edgekit.errors import EdgekitError

    try:
        with edgekit.open(hello["path"], actor=hello["actor"]):
            _say(answers, {"ready": True})
            while True:
                _say(answers, _answer(requests.get(), answers))
    except EdgekitError as error:  # the file cannot be opened
        _say(answers, {"error": told(error)})


def _own_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Take the pipes for ourselves: what a handler prints, or a program it starts, goes to standard error."""
    given, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    os.close(nothing)
    return given, answers


def _listen(given: BinaryIO, requests: queue.SimpleQueue[dict[str, Any]]) -> None:
    from edgekit.jobs import stopping, trees

    for line in given:
        request = json.loads(line)
        if "stop" in request:
            stopping.ask()
        else:
            requests.put(request)

    trees.kill(os.getpid())


def _say(answers: BinaryIO, document: dict[str, Any]) -> None:
    answers.write(json.dumps(document).encode() + b"\n")
    answers.flush()


def _answer(request: dict[str, Any], answers: BinaryIO) -> dict[str, Any]:
    from edgekit.errors import EdgekitError
    from edgekit.jobs.performing import explain

    # Code that never lets another thread run keeps the one above from noticing anything.
    with open(os.devnull, "wb") as nothing:  # noqa: PTH123 - os.devnull is no path on Windows
        faulthandler.dump_traceback_later(request["seconds"] + _OVERDUE_SECONDS, exit=True, file=nothing)
        try:
            return {"result": _work(request)}
        except EdgekitError as error:
            return {"error": told(error)}
        except BaseException as error:  # whatever state it is in: this process does no other job
            traceback.print_exc()
            _say(answers, {"error": told(explain(request["kind"], error)), "is_broken": True})
            raise SystemExit(1) from error
        finally:
            faulthandler.cancel_dump_traceback_later()


def _work(request: dict[str, Any]) -> dict[str, Any] | None:
    from edgekit import jobs
    from edgekit.errors import ConflictError, InvalidError
    from edgekit.jobs.performing import handle

    job = jobs.show(request["id"])
    if (job.runner_id, job.attempts, job.job_status) != (request["runner_id"], request["attempt"], "running"):
        raise ConflictError(f"The job {job.id} ({job.kind}) was taken over, or has ended: it is not ours.")
    if jobs.find(job.kind) is None and request["module"]:
        import_module(request["module"])
    environment = dict(os.environ)
    try:
        result = handle(jobs.get(job.kind), job)
    finally:
        if environment != os.environ:  # the next job is none of its business
            os.environ.clear()
            os.environ.update(environment)
    try:
        json.dumps(result)
    except (TypeError, ValueError) as error:
        raise InvalidError(f"The result of a job {job.kind} cannot be written as JSON: {error}.") from error
    return result


def told(error: EdgekitError) -> dict[str, Any]:
    """Say an error so that `retold` makes one of it that is treated alike."""
    from edgekit.errors import BusyError, UnavailableError

    return {
        "code": error.code, "message": error.message, "hint": error.hint,
        "may_help": isinstance(error, UnavailableError | BusyError),
        "retry_after": error.retry_after, "was_sent": error.was_sent,
    }  # fmt: skip


if __name__ == "__main__":
    sys.path[:] = sys.argv[1:] or sys.path
    main()
