"""Handlers for the processes that do jobs: they hang in every way there is."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from edgekit import db, jobs, runner, transformation
from edgekit.errors import InvalidError, RateLimitedError
from edgekit.runner.holding import settle_killed


@jobs.handles("hang.well", isolated=True)
def well(job: jobs.Job) -> dict[str, Any]:
    """Write into the file and finish in one change."""
    print("this is no answer")  # noqa: T201
    with db.change(reason="effect", correlation_id=job.correlation_id):
        db.connection().execute("UPDATE organization SET name = ? WHERE id = 1", (job.payload["name"],))
        jobs.finish(job, {"process": os.getpid()})
    return {"process": os.getpid()}


@jobs.handles("hang.loop", isolated=True)
def loop(job: jobs.Job) -> None:
    """Never come back, and write nothing that stays."""
    with db.change(reason="half an effect"):
        db.connection().execute("UPDATE organization SET name = 'half' WHERE id = 1")
        _begun(job)
        while True:
            pass


@jobs.handles("hang.socket", isolated=True)
def read_socket(job: jobs.Job) -> None:
    """Wait for an answer that never comes."""
    with socket.create_connection(("127.0.0.1", job.payload["port"])) as connection:
        _begun(job)
        connection.recv(1)


@jobs.handles("hang.script", isolated=True)
def run_script(job: jobs.Job) -> None:
    """Have a script evaluated that never ends, and give it time."""
    _begun(job)
    limits = transformation.Limits(seconds=300.0)
    transformation.compile("javascript", "while (true) {}", limits=limits).apply({})


@jobs.handles("hang.child", isolated=True)
def start_child(job: jobs.Job) -> None:
    """Start a program in a session of its own, which ignores that its pipes close, and wait for it."""
    code = "import time, sys\nprint('up', flush=True)\ntime.sleep(600)"
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True)
    assert child.stdout is not None
    child.stdout.readline()
    _begun(job, str(child.pid))
    child.wait()


@jobs.handles("hang.die", isolated=True)
def die(job: jobs.Job) -> None:
    """End the process as a crash would."""
    del job
    os._exit(7)


@jobs.handles("hang.refuse", isolated=True)
def refuse(job: jobs.Job) -> None:
    """Raise what is to be raised."""
    if job.payload.get("later"):
        raise RateLimitedError("Later.", retry_after=77.0)
    raise InvalidError("Never.", hint="Ask for something else.")


@jobs.handles("hang.run", isolated=True, killed=settle_killed)
def run(job: jobs.Job) -> None:
    """Run an integration."""
    runner.run(job.payload["name"], job_id=job.id, correlation_id=job.correlation_id)


@jobs.handles("hang.fault", isolated=True)
def fail(job: jobs.Job) -> None:
    """Have a fault, after it has moved away and left something for others."""
    os.chdir(Path(job.payload["begun"]).parent)
    os.environ["LEFT"] = "this"
    if job.payload.get("is_wrong"):
        raise KeyError("private")


@jobs.handles("hang.where", isolated=True)
def say_where(job: jobs.Job) -> dict[str, Any]:
    """Say in what state the process is found."""
    del job
    return {"process": os.getpid(), "left": os.environ.get("LEFT"), "folder": str(Path.cwd())}


def _begun(job: jobs.Job, said: str = "") -> None:
    """Tell the test, past the change that is open, that it is in the middle of it."""
    Path(job.payload["begun"]).write_text(f"{os.getpid()} {said}", encoding="utf-8")
