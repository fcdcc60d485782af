"""The files of a checkout that a new reference table goes into, each where those before it stand."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgekit.errors import ConflictError, NotFoundError
from edgekit.reference_table import render
from edgekit.reference_table.line import REGISTRY

if TYPE_CHECKING:
    from pathlib import Path

    from edgekit.reference_table.line import Definition

_BASE = re.compile(
    r"^from edgekit\.models\.base import (?:\(\n(.*?)\n\)|([^\n(]+))$", re.MULTILINE | re.DOTALL
)
_WIDTH = 110


@dataclass
class Checkout:
    """A checkout, the table that is new in it, and the reference tables its word has already."""

    folder: Path
    table: Definition
    siblings: list[Definition]

    def write(self, line: str) -> None:
        """Write every file, and make the generated ones anew. Nothing is written before all is worked out."""
        schema_file = self._schema_file()
        files = {
            schema_file: self._schema,
            self._at("edgekit/models", f"{self.table.word}.py"): self._models,
            self._at("edgekit/models", "__init__.py"): self._model_list,
            self._at("tests/cases", f"{self.table.word}.py"): self._cases,
        }
        texts = {path: make(path.read_text(encoding="utf-8")) for path, make in files.items()}
        seeds = self.folder / "seeds" / f"{schema_file.stem}.json"
        texts[seeds] = self._seeds(seeds.read_text(encoding="utf-8") if seeds.exists() else "{\n}\n")
        lines = schema_file.parent / REGISTRY
        texts[lines] = self._registry(lines.read_text(encoding="utf-8"), line)
        for path, text in texts.items():
            path.write_text(text, encoding="utf-8", newline="\n")
        from edgekit.audit import generate
        from edgekit.dictionary import page

        generate.write()
        page.write()

    def _at(self, folder: str, name: str) -> Path:
        path = self.folder / folder / name
        if not path.is_file():
            raise NotFoundError(f"There is no {folder}/{name}.", hint="Make the word's files first.")
        return path

    def _schema_file(self) -> Path:
        found = sorted((self.folder / "schema").glob(f"[0-9][0-9]_{self.table.word}.sql"))
        if not found:
            raise NotFoundError(f"There is no word {self.table.word}: no schema/NN_{self.table.word}.sql.")
        return found[0]

    def _schema(self, text: str) -> str:
        """Put the table behind the reference tables of the word, else first: others may refer to it."""
        if re.search(rf"\bCREATE TABLE {self.table.name}\b", text):
            raise ConflictError(f"There is already a table {self.table.name}.")
        parts = text.rstrip("\n").split("\n\n")
        known = "|".join(table.name for table in self.siblings) or "-"
        mine = [n for n, part in enumerate(parts) if re.search(rf"\b(?:CREATE TABLE|ON) (?:{known})\b", part)]
        parts.insert(mine[-1] + 1 if mine else 1, render.ddl(self.table).rstrip("\n"))
        return "\n\n".join(parts) + "\n"

    def _models(self, text: str) -> str:
        wanted = {"ReferenceRow", *(["reference"] if "reference(" in render.model(self.table) else [])}
        text = _import(text, wanted)
        made = render.model(self.table)
        if "peewee." in made and not re.search(r"^import peewee$", text, re.MULTILINE):
            text = text.replace("\nfrom edgekit.", "\nimport peewee\n\nfrom edgekit.", 1)
        if "Any" in made and "from typing import Any" not in text:
            text = text.replace("\nfrom edgekit.", "\nfrom typing import Any\n\nfrom edgekit.", 1)
        parts = re.split(r"\n\n\n(?=class )", text.rstrip("\n"))
        names = tuple(f"class {table.model_name}(" for table in self.siblings)
        mine = [n for n, part in enumerate(parts) if names and part.startswith(names)]
        parts.insert(mine[-1] + 1 if mine else 1, made.rstrip("\n"))
        return "\n\n\n".join(parts) + "\n"

    def _model_list(self, text: str) -> str:
        """Name the model among those of its word, where its table stands."""
        match = re.search(rf'^    "{self.table.word}": \(\n(.*?)^    \),$', text, re.MULTILINE | re.DOTALL)
        if match is None:
            raise NotFoundError(f"edgekit/models/__init__.py has no models of {self.table.word}.")
        lines = match[1].splitlines(keepends=True)
        names = {f'        "{table.model_name}",\n' for table in self.siblings}
        mine = [n for n, line in enumerate(lines) if line in names]
        lines.insert(mine[-1] + 1 if mine else 0, f'        "{self.table.model_name}",\n')
        return text[: match.start(1)] + "".join(lines) + text[match.end(1) :]

    def _cases(self, text: str) -> str:
        text = _into(text, "ROWS: dict[str, dict[str, Any]]", render.rows(self.table))
        text = _into(text, "SPECIAL: dict[str, dict[str, Any]]", render.special(self.table))
        text = _into(text, "SAME: dict[str, dict[str, Any]]", render.same(self.table))
        return _into(text, "REFUSALS: dict[str, tuple[str | None, str, str]]", render.refusals(self.table))

    def _seeds(self, text: str) -> str:
        """Give the table an empty list of rows, to be filled."""
        body = text.rstrip().removesuffix("}").rstrip()
        comma = "," if json.loads(text) else ""
        return f'{body}{comma}\n  "{self.table.name}": [\n  ]\n}}\n'

    def _registry(self, text: str, line: str) -> str:
        """Put the line behind those of its word."""
        lines = text.splitlines(keepends=True)
        mine = [n for n, other in enumerate(lines) if other.startswith(f"{self.table.word} ")]
        lines.insert(mine[-1] + 1 if mine else len(lines), line)
        return "".join(lines)


def _import(text: str, wanted: set[str]) -> str:
    """Have a models module import names of the base, written as the formatter would."""
    match = _BASE.search(text)
    if match is None:
        return text
    names = sorted({name.strip() for name in (match[1] or match[2]).split(",") if name.strip()} | wanted,
                   key=lambda name: (not name[0].isupper(), name))  # fmt: skip
    short = f"from edgekit.models.base import {', '.join(names)}"
    if len(short) > _WIDTH or (match[1] and len(names) > len(wanted)):
        inside = "".join(f"    {name},\n" for name in names)
        short = f"from edgekit.models.base import (\n{inside})"
    return text[: match.start()] + short + text[match.end() :]


def _into(text: str, name: str, entry: str) -> str:
    """Put an entry first into a dict of a module, which is made if it is not there."""
    if not entry:
        return text
    head, opening, rest = text.partition(f"{name} = {{\n")
    return head + opening + entry + rest if opening else f"{text}\n{name} = {{\n{entry}}}\n"
