"""Compiling a mapping to Python code: one function for a record, one for a page of them.

Paths of members and indexes become direct lookups with shared beginnings; where a value is as its type
wants it, no function is called. There are two forms of the lookups with the same meaning. The quick one
trusts that members exist and does a record again in the careful form where one does not; a mapping whose
records often lack members goes over to the careful form for good. Source text is made of `repr()` of names
and indexes and of nothing else from a mapping.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgekit import jsonpath
from edgekit.errors import EdgekitError, InvalidError, SkipRecordError
from edgekit.mapping.convert import MAX_INTEGER, MIN_INTEGER
from edgekit.mapping.field import FieldError, Lookup
from edgekit.mapping.pipeline import Field

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from edgekit.mapping.field import FieldMapping

_LONGEST = 20  # segments of a compiled path: Python allows 100 levels of indentation

Row = tuple[Any, ...]
Failures = list[tuple[int, SkipRecordError]]


class CompiledMapping:
    """What `compile_mapping` gives.

    `columns` are the targets in order, `lookups` what the target must look up, `uncompiled` the source
    paths that are searched by the interpreter (some 60 times slower than a compiled one).
    """

    def __init__(self, fields: Sequence[Field], lookups: Sequence[Lookup]) -> None:
        self.columns: tuple[str, ...] = tuple(field.column for field in fields)
        self.lookups: list[Lookup] = list(lookups)
        self.uncompiled: list[str] = [path for field in fields for path in _uncompiled(field)]
        self.fields = tuple(fields)
        self._quick = _generate(self.fields, careful=False)
        self._careful = _generate(self.fields, careful=True, strict=self._quick["strict"])
        self._map_one = self._quick["one"]
        self._map_page = self._quick["page"]

    def __repr__(self) -> str:
        return f"CompiledMapping({', '.join(self.columns)})"

    def map(self, record: Any) -> Row:
        """Return the values of one record in the order of `columns`; `ABSENT` is a column to leave out.

        Raise FieldError, a SkipRecordError, where a field fails; of code `shape` if the record is no object.
        """
        row: Row = self._map_one(record)
        return row

    def map_many(self, records: Iterable[Any]) -> tuple[list[Row], Failures]:
        """Map a page of records: the rows of the good ones in order, (position, error) of each bad one."""
        rows, failures, misses = self._map_page(records)
        if misses * 4 > len(rows) + len(failures):
            self._map_one, self._map_page = self._careful["one"], self._careful["page"]
        return rows, failures

    def interpret(self, record: Any) -> Row:
        """Do what `map` does without compiled code; the reference it is tested against."""
        if not isinstance(record, dict):
            _refuse_shape(record)
        return tuple(field.run(record) for field in self.fields)


def compile_mapping(
    fields: Sequence[FieldMapping], *, direction: str = "inbound", as_text: bool = True
) -> CompiledMapping:
    """Compile the fields of one direction, `inbound` or `outbound`; bidirectional ones take part in both.

    Objects and lists are written as JSON text, for a column; outbound, and without `as_text`, as they are.
    A bidirectional field without rules is turned round for `outbound`. Raise InvalidError naming the
    mapping that has a bad path, type, rule or default, or writes a target another one writes.
    """
    if direction not in {"inbound", "outbound"}:
        raise InvalidError(f"direction {direction!r} is unknown", hint="known are inbound, outbound")
    owners: dict[str, str] = {}
    compiled: list[Field] = []
    lookups: list[Lookup] = []
    for mapping in fields:
        if mapping.direction not in {direction, "bidirectional"}:
            continue
        try:
            field = _field(mapping, direction, as_text)
        except EdgekitError as error:
            raise InvalidError(f'mapping "{mapping.name}": {error.message}', hint=error.hint) from None
        if field.column in owners:
            raise InvalidError(
                f'mapping "{mapping.name}": target {field.column} is already written by mapping '
                f'"{owners[field.column]}"'
            )
        owners[field.column] = mapping.name
        compiled.append(field)
        if field.rules is not None and field.rules.lookup is not None:
            lookups.append(Lookup(field.column, *field.rules.lookup))
    return CompiledMapping(compiled, lookups)


def _field(mapping: FieldMapping, direction: str, as_text: bool) -> Field:
    if direction == "inbound":
        return Field(mapping, _column(mapping.target_path), as_text=as_text)
    if mapping.direction == "bidirectional":
        from dataclasses import replace

        if mapping.transformation_rules is not None:
            raise InvalidError("a mapping with transformation rules has one direction only")
        # What an object or a list was written as is read again.
        written = "json" if mapping.mapping_type in {"object", "array"} else mapping.target_data_type
        mapping = replace(
            mapping,
            source_path=mapping.target_path,
            target_path=mapping.source_path,
            source_data_type=written,
            target_data_type=mapping.source_data_type,
            mapping_type="field",
        )
    if jsonpath.compile(mapping.target_path).segments is None:
        raise InvalidError(f"target {mapping.target_path} is more than one place")
    return Field(mapping, mapping.target_path.removeprefix("$."), as_text=False)


def _column(target: str) -> str:
    segments = jsonpath.compile(target).segments
    if segments is None or len(segments) != 1 or not isinstance(segments[0], str):
        raise InvalidError(f"target {target} is no column", hint="write `column` or `$.column`")
    return segments[0]


def _uncompiled(field: Field) -> list[str]:
    paths = [field.source_path] if _segments(field) is None else []
    if field.rules is not None:
        paths += [path for path in field.rules.paths if jsonpath.compile(path).segments is None]
    return paths


def _segments(field: Field) -> tuple[str | int, ...] | None:
    segments = field.path.segments
    return None if segments is None or len(segments) > _LONGEST else segments


def _refuse_shape(record: Any) -> None:
    raise FieldError(
        f"the record is no object but {_KINDS.get(type(record).__name__, 'something else')}",
        error_code="shape",
        column="",
        source_path="$",
    )


_KINDS = {
    "list": "a list",
    "str": "text",
    "int": "a number",
    "float": "a number",
    "bool": "a boolean",
    "NoneType": "null",
}


# ------------------------------------------------------------------------------------------ code


class _Tree:
    """Paths sharing their beginnings: the fields that end here, and what follows."""

    def __init__(self) -> None:
        self.ends: list[int] = []
        self.next: dict[str | int, _Tree] = {}

    def add(self, segments: tuple[str | int, ...], number: int) -> None:
        node = self
        for segment in segments:
            node = node.next.setdefault(segment, _Tree())
        node.ends.append(number)


class _Code:
    """Lines of generated code."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.variables = 0

    def add(self, depth: int, line: str) -> None:
        self.lines.append(" " * depth + line)

    def variable(self) -> str:
        self.variables += 1
        return f"v{self.variables}"


def _generate(fields: Sequence[Field], *, careful: bool, strict: Any = None) -> dict[str, Any]:
    """Return the generated functions: `one(d)`, `page(records)` and, of the quick form, `strict(d)`."""
    tree = _Tree()
    for number, field in enumerate(fields):
        segments = _segments(field)
        if segments is not None:
            tree.add(segments, number)
    names = [f"c{number}" for number in range(len(fields))]
    scope: dict[str, Any] = {
        "Skip": SkipRecordError,
        "shape": _refuse_shape,
        "clean": _cleaner(fields),
        "strict": strict,
        **{f"p{number}": field.process for number, field in enumerate(fields)},
        **{f"x{number}": field.run for number, field in enumerate(fields)},
    }
    if not careful:
        source = _strict_source(tree, names)
        exec(compile("\n".join(source), "<mapping>", "exec"), scope)  # noqa: S102 - see the head of this module
    source = [*_one_source(fields, tree, names, careful), *_page_source(fields, tree, names, careful)]
    exec(compile("\n".join(source), "<mapping>", "exec"), scope)  # noqa: S102
    return scope


def _cleaner(fields: Sequence[Field]) -> Any:
    plain = [field.plain for field in fields]

    def clean(row: Row) -> Row:
        """Take empty text of the fields nobody looked at for missing."""
        return tuple(
            None if is_plain and isinstance(value, str) and not value else value
            for is_plain, value in zip(plain, row, strict=True)
        )

    return clean


def _strict_source(tree: _Tree, names: list[str]) -> list[str]:
    code = _Code()
    code.add(0, "def strict(d, dict=dict, list=list, isinstance=isinstance, len=len):")
    if names:
        code.add(1, "=".join(names) + "=None")
    _careful_lookups(tree, "d", 1, code)
    code.add(1, f"return {_tuple(names)}")
    return code.lines


def _one_source(fields: Sequence[Field], tree: _Tree, names: list[str], careful: bool) -> list[str]:
    code = _Code()
    code.add(0, "def one(d, dict=dict, list=list, type=type, len=len, isinstance=isinstance):")
    code.add(1, "misses=0")
    _body(fields, tree, names, careful, 1, code)
    code.add(1, "return t")
    return code.lines


def _page_source(fields: Sequence[Field], tree: _Tree, names: list[str], careful: bool) -> list[str]:
    code = _Code()
    code.add(
        0,
        "def page(records, dict=dict, list=list, type=type, len=len, isinstance=isinstance):",
    )
    code.add(1, "rows=[]; failures=[]; append=rows.append; misses=0")
    code.add(1, "for d in records:")
    code.add(2, "try:")
    _body(fields, tree, names, careful, 3, code)
    code.add(3, "append(t)")
    code.add(2, "except Skip as error:")
    code.add(3, "failures.append((len(rows)+len(failures), error))")
    code.add(1, "return rows, failures, misses")
    return code.lines


def _body(
    fields: Sequence[Field], tree: _Tree, names: list[str], careful: bool, depth: int, code: _Code
) -> None:
    """From the record `d` to the row `t`."""
    code.add(depth, "if type(d) is not dict and not isinstance(d, dict): shape(d)")
    if careful:
        if names:
            code.add(depth, "=".join(names) + "=None")
        _careful_lookups(tree, "d", depth, code)
    elif tree.next or tree.ends:
        lookups = _Code()
        maybe = _quick_lookups(tree, "d", depth + 1, lookups)
        if maybe:
            code.add(depth, "=".join(f"c{number}" for number in sorted(maybe)) + "=None")
        code.add(depth, "try:")
        code.lines += lookups.lines
        code.add(depth, "except (KeyError, TypeError):")
        code.add(depth + 1, f"{_tuple(names)}=strict(d); misses+=1")
    for number, field in enumerate(fields):
        _process(number, field, depth, code)
    code.add(depth, f"t={_tuple(names)}")
    if any(field.plain for field in fields):
        code.add(depth, "if '' in t: t=clean(t)")


def _process(number: int, field: Field, depth: int, code: _Code) -> None:
    """Call the field's pipeline where the value is not as wanted already."""
    name, call = f"c{number}", f"c{number}=p{number}(c{number}, d)"
    if _segments(field) is None:
        code.add(depth, f"{name}=x{number}(d)")
        return
    if field.plain:
        return
    simple = field.rules is None and field.check_source is None and field.check_target is None
    same = field.source_type in {None, field.target_type}
    test = _UNLIKE.get(field.target_type, "") if simple and same else ""
    if test:
        code.add(depth, f"if {test.format(c=name)}:")
        depth += 1
    may_be_null = not (
        field.required or field.has_default or (field.rules is not None and field.rules.always)
    )
    code.add(depth, f"if {name} is not None: {call}" if may_be_null else call)


_UNLIKE: dict[str | None, str] = {
    None: "{c} is None or {c} == ''",
    "string": "type({c}) is not str or not {c} or '\\0' in {c} or not {c}.isascii()",
    "integer": f"type({{c}}) is not int or not {MIN_INTEGER} <= {{c}} <= {MAX_INTEGER}",
    "number": "type({c}) is not float or {c} - {c} != 0.0",
    "boolean": "{c} is not True and {c} is not False",
}
"""By target type: when a value needs its pipeline, because it is not simply good."""


def _careful_lookups(tree: _Tree, value: str, depth: int, code: _Code) -> None:
    """Look members up in objects only and elements in lists only; what is not there stays None."""
    for number in tree.ends:
        code.add(depth, f"c{number}={value}")
    members = {key: node for key, node in tree.next.items() if isinstance(key, str)}
    elements = {key: node for key, node in tree.next.items() if isinstance(key, int)}
    if members:
        code.add(depth, f"if isinstance({value}, dict):")
        for key, node in members.items():
            if len(node.ends) == 1 and not node.next:
                code.add(depth + 1, f"c{node.ends[0]}={value}.get({key!r})")
                continue
            child = code.variable()
            code.add(depth + 1, f"{child}={value}.get({key!r})")
            _careful_lookups(node, child, depth + 1, code)
    if elements:
        code.add(depth, f"if isinstance({value}, list):")
        for index, node in elements.items():
            child = code.variable()
            code.add(depth + 1, f"if len({value})>{index}:" if index >= 0 else f"if len({value})>={-index}:")
            code.add(depth + 2, f"{child}={value}[{index}]")
            _careful_lookups(node, child, depth + 2, code)


def _quick_lookups(tree: _Tree, value: str, depth: int, code: _Code) -> set[int]:
    """Subscript members, which raises where one is missing; guard elements, whose lack is usual.

    Return the fields a guard may leave unset.
    """
    maybe: set[int] = set()
    for number in tree.ends:
        code.add(depth, f"c{number}={value}")
    for key, node in tree.next.items():
        inner = depth
        if isinstance(key, int):
            enough = (
                "" if key == 0 else f" and len({value})>{key}" if key > 0 else f" and len({value})>={-key}"
            )
            code.add(depth, f"if type({value}) is list and {value}{enough}:")
            inner += 1
        expression = f"{value}[{key!r}]"
        while len(node.next) == 1 and not node.ends and isinstance(next(iter(node.next)), str):
            key, node = next(iter(node.next.items()))
            expression += f"[{key!r}]"
        if len(node.ends) == 1 and not node.next:
            code.add(inner, f"c{node.ends[0]}={expression}")
            below: set[int] = set()
        else:
            child = code.variable()
            code.add(inner, f"{child}={expression}")
            below = _quick_lookups(node, child, inner, code)
        maybe |= below if inner == depth else _fields_below(node)
    return maybe


def _fields_below(tree: _Tree) -> set[int]:
    return set(tree.ends).union(*(_fields_below(node) for node in tree.next.values()))


def _tuple(names: list[str]) -> str:
    return "(" + "".join(name + "," for name in names) + ")"
