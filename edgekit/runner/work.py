"""What the steps of one run share: who else is asked, what was answered, the tries and the threads."""

from __future__ import annotations

import contextvars
import threading
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Any, Self

from edgekit import db
from edgekit.errors import EdgekitError
from edgekit.integrations.sources import Source, prepare_source
from edgekit.integrations.steps import asking
from edgekit.runner import attempts
from edgekit.runner.limits import gated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from concurrent.futures import ThreadPoolExecutor

    from edgekit.connectors import Attempt, Connector
    from edgekit.integrations.plan import Plan

_MOST_KEPT = 20_000
"""Answers kept per step, so that a long run does not fill the memory; the oldest go first."""


class Answers:
    """What one step was answered so far, by key: None where there was nothing."""

    def __init__(self) -> None:
        self._kept: dict[Any, Any] = {}

    def unknown(self, keys: Iterable[Any]) -> list[Any]:
        """Return the keys not asked for yet, each once and in their order."""
        return [key for key in dict.fromkeys(keys) if key not in self._kept]

    def keep(self, answers: Mapping[Any, Any]) -> None:
        """Add answers."""
        self._kept.update(answers)

    def __getitem__(self, key: Any) -> Any:
        return self._kept[key]

    def forget_missing(self) -> None:
        """Forget where there was not the one answer that is wanted: it may be there by now."""
        self._kept = {key: answer for key, answer in self._kept.items() if isinstance(answer, dict)}

    def shrink(self) -> None:
        """Forget the oldest, once a batch is through."""
        for key in list(self._kept)[: max(0, len(self._kept) - _MOST_KEPT)]:
            del self._kept[key]


class Work:
    """Use it as a context manager, outside any change. A plan without such steps costs nothing here."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._stack = ExitStack()
        self._sources: dict[str, tuple[Source, Connector]] = {}
        self._answers: dict[str, Answers] = {}
        self._tries: list[tuple[Source, Attempt]] = []
        self._pool: ThreadPoolExecutor | None = None

    def __enter__(self) -> Self:
        try:
            for step in asking(self._plan.steps):
                assert step.enrichment is not None
                assert step.enrichment.integration is not None
                source = prepare_source(step.enrichment.integration)
                # A gate of its own for each step: branches ask at the same time.
                gate = gated(source.connector, source.integration_id, source.name)
                self._sources[step.name] = source, self._stack.enter_context(gate)
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._close_threads()
        self._stack.close()

    def answers(self, step: str) -> Answers:
        """Return what a step was answered so far in this run."""
        return self._answers.setdefault(step, Answers())

    def shrink(self) -> None:
        """Let go of the oldest answers; called between two batches."""
        for answers in self._answers.values():
            answers.shrink()

    def forget_missing(self) -> None:
        """Let what was not there be asked for again."""
        for answers in self._answers.values():
            answers.forget_missing()

    def ask(self, step: str, rows: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """Ask the integration of a step for rows, and yield the records it answers. The tries are kept.

        Raise EdgekitError as its connector does.
        """
        source, connector = self._sources[step]
        pages = connector.read(source.config, state={}, inputs=iter(rows), secrets=source.secrets)
        try:
            with closing(pages):
                for page in pages:
                    self._tries.extend((source, attempt) for attempt in page.attempts)
                    yield from page.records
        except EdgekitError as error:
            error.message = f"The step {step} cannot ask {source.name}: {error.message}"
            error.args = (error.message,)
            self._tries.extend((source, attempt) for attempt in vars(error).pop("attempts", []))
            raise

    def log_tries(self, correlation_id: str, execution_id: int) -> None:
        """Write the tries made since the last time, in the open change."""
        tries, self._tries = sorted(self._tries, key=lambda one: one[1].started_at), []
        for source, attempt in tries:
            attempts.log_attempts(
                source.integration_id,
                source.organization_id,
                [attempt],
                correlation_id=correlation_id,
                execution_id=execution_id,
            )

    def side_by_side(self, tasks: Sequence[Callable[[], Any]]) -> list[Any]:
        """Do tasks at the same time, each in a thread, and return their results in order.

        All of them end; then the error of the first that failed is raised. After Ctrl-C no other begins.
        """
        if self._pool is None:
            from concurrent.futures import ThreadPoolExecutor

            self._pool = ThreadPoolExecutor(self._plan.policy.parallelism, thread_name_prefix="branch")
        # Each in a copy of what is said of this thread, such as the correlation id.
        futures = [self._pool.submit(contextvars.copy_context().run, task) for task in tasks]
        try:
            for future in futures:
                future.exception()  # waits
        except KeyboardInterrupt:
            for future in futures:
                future.cancel()  # what has not begun never does
            raise
        return [future.result() for future in futures]

    def _close_threads(self) -> None:
        """End the threads; each closes its own connection to the file, for no other may."""
        if self._pool is None:
            return
        count = self._plan.policy.parallelism
        barrier = threading.Barrier(count)
        opened = db.current()

        def leave() -> None:
            barrier.wait()
            opened.release()

        for _ in range(count):
            self._pool.submit(leave)
        self._pool.shutdown()
