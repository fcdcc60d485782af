"""What a runner shows while it runs, on a terminal and where nobody looks any more."""

from __future__ import annotations

import io
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

import pytest

from edgekit.cli.live import View
from edgekit.runner.process.pool import Running
from edgekit.runner.process.starting import Standing
from edgekit.runner.process.telling import Line

if TYPE_CHECKING:
    from pathlib import Path

    from edgekit.jobs import Job

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


class Terminal(io.TextIOWrapper):
    """A terminal that keeps what it is shown."""

    def __init__(self, encoding: str) -> None:
        super().__init__(io.BytesIO(), encoding=encoding, errors="backslashreplace", write_through=True)

    def isatty(self) -> bool:
        return True

    @property
    def shown(self) -> str:
        assert isinstance(self.buffer, io.BytesIO)
        return self.buffer.getvalue().decode(self.encoding)


class Closed(io.StringIO):
    """A pipe whose reader has gone, or a terminal that was closed."""

    def write(self, text: str) -> int:
        raise BrokenPipeError


def open_terminal(monkeypatch: pytest.MonkeyPatch, encoding: str = "utf-8") -> Terminal:
    found = Terminal(encoding)
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setattr(sys, "stdout", found)
    return found


def standing(name: str) -> Standing:
    return Standing(NOW, [Running(cast("Job", None), name, NOW)], None)


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_how_it_stands_fits_the_terminal_whatever_it_is_called(
    monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    terminal, view = open_terminal(monkeypatch, encoding), View()
    for name in ("Łódź " * 30, "people\x1b[2J", "\udcf6"):
        view.standing(standing(name))
    view.line(Line(NOW, "done", "people"))
    view.close()
    assert "\x1b[2J" not in terminal.shown
    below = [part for part in terminal.shown.split("\r") if part.startswith("At work")]
    assert len(below) == 3
    assert len(below[0]) == 39
    assert [len(part.splitlines()[0]) for part in below if len(part) > 39] == []


def test_a_line_is_written_in_one_piece_with_what_stands_below(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    terminal, view = open_terminal(monkeypatch), View()
    view.standing(standing("people"))
    before = len(terminal.shown)
    view.line(Line(NOW, "failed", "people"))
    line, below = terminal.shown[before:].rpartition("\r")[2].split("\n")
    assert line.endswith("  failed     people"), "no colours are wanted"
    assert below.startswith("At work: people")
    view.close()
    assert terminal.shown.endswith("\r")


def test_colours_are_for_what_has_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    terminal, view = open_terminal(monkeypatch), View()
    view.line(Line(NOW, "started", "it"))
    assert "\x1b" not in terminal.shown
    view.line(Line(NOW, "failed", "it"))
    assert "\x1b[31m" in terminal.shown


def test_the_log_goes_on_when_nobody_looks_any_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", Closed())
    view = View(tmp_path / "runner.log")
    view.line(Line(NOW, "done", "first"))
    view.line(Line(NOW, "done", "second"))
    view.close()
    kept = (tmp_path / "runner.log").read_text(encoding="utf-8")
    assert [line.split()[-1] for line in kept.splitlines()] == ["first", "second"]
