"""The command line: `edgekit [--db FILE] [--actor NAME] WORD VERB`.

A command parses, calls one function, shows the result once. Nothing of weight is imported before a command
runs: see the table in `root`. Errors end in `group.Root`, and nowhere else.
"""

from __future__ import annotations

import codecs
import sys


def main() -> None:
    """Run the command line and end the process with its exit code."""
    import gc

    try:
        # What is imported now stays. To look for garbage in it meanwhile, and once more at the end, would be
        # a sixth of the time of a short command.
        gc.disable()
        from edgekit.cli import stopping
        from edgekit.cli.root import edgekit

        gc.freeze()
        gc.enable()
        stopping.listen()
        _prepare_streams()
        edgekit(prog_name="edgekit")
    except KeyboardInterrupt:  # before the first command, or behind the last
        sys.stderr.write("Stopped.\n")
        sys.exit(130)


def _prepare_streams() -> None:
    """Let no character of a record stop the output; on Windows, write UTF-8 instead of the code page."""
    encoding = "utf-8" if sys.platform == "win32" else None
    codecs.register_error("edgekit", _escaped)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding=encoding, errors="edgekit")


def _escaped(error: UnicodeError) -> tuple[str, int]:
    """Write what the output's encoding has not, half a surrogate too, as a JSON document would."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    units = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4)), error.end
