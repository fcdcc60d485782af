"""The runner: run an integration, keep the books of it, and deal with what was set aside.

result = runner.run("vins")
for letter in runner.list_dead_letters():
    runner.replay_dead_letter(letter["id"])
"""

from edgekit.runner.dead_letters import (
    discard_dead_letter,
    list_dead_letters,
    replay_dead_letter,
    show_dead_letter,
)
from edgekit.runner.engine import run
from edgekit.runner.execution import RunResult, list_executions, show_execution

__all__ = [
    "RunResult",
    "discard_dead_letter",
    "list_dead_letters",
    "list_executions",
    "replay_dead_letter",
    "run",
    "show_dead_letter",
    "show_execution",
]
