"""Python in Monty's worker processes: the one door to pydantic-monty.

The script becomes the body of a function, so what one record's script names is gone with it, and a batch goes
over in one crossing. A script that could leave something behind all the same is run record by record, each in
a session of its own.
"""

from __future__ import annotations

import ast
import atexit
import threading
from typing import TYPE_CHECKING, Any

from edgekit.errors import UnavailableError
from edgekit.transformation.limits import (
    MOST_PER_CALL,
    Refusal,
    out_of_memory,
    out_of_time,
    too_deep,
    too_large,
    too_much,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgekit.transformation.limits import Limits

MAX_STOPPED = 3
"""Records of one batch that may use up the time; the rest of such a batch is refused without being begun."""

_MAX_LENGTH = 100_000
_GRACE = 0.3  # seconds past the limit before the worker is killed
_KEEP_NOTHING = {"collections", "datetime", "functools", "itertools", "json", "math", "re", "string"}
_REACH = {"breakpoint", "compile", "globals", "locals", "open", "vars", "__import__", "__builtins__"}
_SET_UP = "import json as _json\n"
_BATCH = """
def _answer(records):
    answers = []
    for record in records:
        try:
            answers.append("=" + _json.dumps(_transform(_json.loads(record)), allow_nan=False))
        except Exception:
            answers.append("!")
    return answers
_answer(_records)
"""
_WRITE = "_json.dumps(_value, allow_nan=False)"


class Script:
    """A script, read and made a function where that keeps its meaning. Raise Refusal for a bad one."""

    def __init__(self, text: str) -> None:
        if len(text) > _MAX_LENGTH:
            raise Refusal("syntax", f"is longer than {_MAX_LENGTH:,} characters")
        try:
            tree = ast.parse(text)
            names = [node for node in ast.walk(tree) if isinstance(node, ast.Global)]
            self.is_function = not names
            self.keeps_nothing = self.is_function and _keeps_nothing(tree)
            self.source = _written(tree, is_function=self.is_function)
            self.lines = _lines(tree, ast.parse(self.source), is_function=self.is_function)
        except SyntaxError as error:
            raise Refusal("syntax", f"is no Python: {error.msg}", error.lineno) from None
        except (RecursionError, MemoryError, ValueError):
            raise Refusal("syntax", "is no Python that can be read") from None

    def answer_many(self, documents: Sequence[bytes], limits: Limits) -> list[Any | Refusal]:
        """Answer each record, given as JSON; a Refusal stands where there is no answer."""
        texts = [document.decode() for document in documents]
        found: list[Any | Refusal | None] = [None] * len(texts)
        if self.keeps_nothing and len(texts) > 1:
            found = self._answer_batch(texts, limits)
        stopped = given = 0
        for place, text in enumerate(texts):
            if found[place] is not None:
                continue
            if given > limits.output * MOST_PER_CALL:
                found[place] = too_much(limits.output)
                continue
            if stopped >= MAX_STOPPED:
                found[place] = Refusal(
                    "time", f"was not begun: {stopped} records before it used up their time"
                )
                continue
            found[place] = answer = self._answer_one(text, limits)
            stopped += isinstance(answer, Refusal) and answer.code == "time"
            given += len(answer) if isinstance(answer, str) else 0
        return found

    def _answer_batch(self, texts: Sequence[str], limits: Limits) -> list[Any | Refusal | None]:
        """Answer in one crossing; None stands where the reason of a failure is still to be found."""
        import pydantic_monty

        try:
            answers = _feed(_SET_UP + self.source + _BATCH, limits, _records=list(texts))
        except pydantic_monty.MontyError:
            return [None] * len(texts)
        return [_checked(answer[1:], limits) if answer != "!" else None for answer in answers]

    def _answer_one(self, text: str, limits: Limits) -> Any | Refusal:
        import pydantic_monty

        set_up = _SET_UP + "input = _json.loads(_record)\n"
        call = "\n_value = _transform(input)" if self.is_function else ""
        head = set_up.count("\n")
        try:
            with _workers().checkout(limits=_limits(limits), os_policy={"sleep": "zero"}) as session:
                quiet = pydantic_monty.CollectString(1 << 20)
                session.feed_run(set_up + self.source + call, inputs={"_record": text}, print_callback=quiet)
                try:
                    return _checked(session.feed_run(_WRITE, print_callback=quiet), limits)
                except pydantic_monty.MontyRuntimeError as error:
                    refusal = _refusal(error, limits, {}, 0)
                    return refusal if refusal.code in {"time", "memory"} else _unwritable(refusal)
        except pydantic_monty.MontyError as error:
            return _refusal(error, limits, self.lines, head)


def _written(tree: ast.Module, *, is_function: bool) -> str:
    """Write a script again with its last expression as what it gives."""
    body = list(tree.body)
    if body and isinstance(body[-1], ast.Expr):
        value = body[-1].value
        target = ast.Name("_value", ast.Store())
        body[-1] = ast.Return(value) if is_function else ast.Assign([target], value)
    elif not is_function:
        body.append(ast.Assign([ast.Name("_value", ast.Store())], ast.Constant(None)))
    if is_function:
        given = ast.arguments([], [ast.arg("input")], None, [], [], None, [])
        body = [ast.FunctionDef("_transform", given, body or [ast.Pass()], [])]
    return ast.unparse(ast.fix_missing_locations(ast.Module(body, [])))


def _keeps_nothing(tree: ast.Module) -> bool:
    """Tell whether a script of a function's shape cannot leave anything behind for the next record."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and (node.id.startswith("_") or node.id in {"exec", "eval"}):
            return False
        if isinstance(node, ast.Import) and any(alias.name not in _KEEP_NOTHING for alias in node.names):
            return False
        if isinstance(node, ast.ImportFrom) and node.module not in _KEEP_NOTHING:
            return False
    return True


def _lines(tree: ast.Module, written: ast.Module, *, is_function: bool) -> dict[int, int]:
    """Say for each line as it is written again which line of the script it was."""
    body: list[ast.stmt] = written.body
    if is_function and isinstance(body[0], ast.FunctionDef):
        body = body[0].body
    lines: dict[int, int] = {}
    for before, after in zip(tree.body, body, strict=False):
        for old, new in zip(ast.walk(before), ast.walk(after), strict=False):
            if isinstance(old, ast.stmt) and isinstance(new, ast.stmt):
                lines.setdefault(new.lineno, old.lineno)
    return lines


def _feed(source: str, limits: Limits, **inputs: Any) -> Any:
    import pydantic_monty

    with _workers().checkout(limits=_limits(limits), os_policy={"sleep": "zero"}) as session:
        return session.feed_run(source, inputs=inputs, print_callback=pydantic_monty.CollectString(1 << 20))


def _limits(limits: Limits) -> dict[str, Any]:
    return {"max_feed_duration_secs": limits.seconds, "max_memory": limits.memory, "max_recursion_depth": 500}


def _checked(answer: Any, limits: Limits) -> Any | Refusal:
    if not isinstance(answer, str):  # from a script that put something of its own in the place of `json`
        return Refusal("output", "gives no JSON")
    return too_large(limits.output) if len(answer) > limits.output else answer


def _unwritable(refusal: Refusal) -> Refusal:
    said = refusal.message.removeprefix("fails: ").partition(": ")[2]
    return Refusal("output", f"gives no JSON: {said or refusal.message}")


def _refusal(error: Any, limits: Limits, lines: dict[int, int], head: int) -> Refusal:
    import pydantic_monty

    if isinstance(error, pydantic_monty.MontyCrashedError):
        return out_of_time(limits.seconds) if error.timed_out else out_of_memory()
    said = error.display("type-msg")
    kind = said.partition(":")[0].strip()
    if kind == "TimeoutError" and "time limit exceeded" in said:
        return out_of_time(limits.seconds)
    if kind == "MemoryError":
        return out_of_memory()
    if kind == "RecursionError":
        return too_deep()
    own = [lines[frame.line - head] for frame in error.traceback() if frame.line - head in lines]
    line = own[-1] if own else None
    if isinstance(error, pydantic_monty.MontySyntaxError):
        return Refusal("syntax", f"is no Python: {said}", line)
    names = said.split("'")
    reaches = kind in {"PermissionError", "ModuleNotFoundError", "ImportError"} or (
        "is not supported in this environment" in said
        or (kind == "NameError" and len(names) > 1 and names[1] in _REACH)
        or (kind == "AttributeError" and len(names) > 3 and names[3].startswith("__"))
    )
    return (
        Refusal("denied", f"may not: {said}", line) if reaches else Refusal("failed", f"fails: {said}", line)
    )


_pool: Any = None
_lock = threading.Lock()


def _workers() -> Any:
    """Start Monty's workers, once."""
    global _pool
    import pydantic_monty

    with _lock:
        if _pool is None:
            pool = pydantic_monty.Monty(feed_duration_limit_grace=_GRACE)
            try:
                pool.__enter__()
            except (OSError, pydantic_monty.MontyError) as error:
                raise UnavailableError(f"the process that runs python does not start: {error}") from None
            _pool = pool
        return _pool


@atexit.register
def close() -> None:
    """End Monty's workers; the next call starts them anew."""
    global _pool
    with _lock:
        pool, _pool = _pool, None
    if pool is not None:
        pool.__exit__(None, None, None)
