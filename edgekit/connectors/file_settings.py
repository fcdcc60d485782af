"""What the file connector can be told, for reading and for writing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

FORMATS = ["csv", "ndjson", "json", "xlsx", "fixed", "xml"]

_COLUMN = {
    "type": "object",
    "additionalProperties": False,
    "required": ["name", "length"],
    "properties": {
        "name": {"type": "string", "minLength": 1},
        "start": {"type": "integer", "minimum": 1, "description": "From 1 on; behind the last if absent."},
        "length": {"type": "integer", "minimum": 1, "maximum": 1_000_000},
        "trim": {"enum": [True, False, "left", "right", "both", "none"], "default": True},
        "align": {"enum": ["left", "right"], "default": "left"},
        "fill": {"type": "string", "minLength": 1, "maxLength": 1, "default": " "},
    },
}  # fmt: skip

_COMMON: dict[str, Any] = {
    "format": {"enum": FORMATS, "description": "Guessed from the name, and the beginning, if absent."},
    "encoding": {"type": "string", "default": "utf-8", "description": "Such as latin-1 or cp1252."},
    "delimiter": {
        "type": "string",
        "minLength": 1,
        "maxLength": 3,
        "description": "Of a CSV: one character, or tab; guessed if absent.",
    },
    "formula_guard": {
        "type": "boolean",
        "default": True,
        "description": "Of a CSV: an apostrophe before a text that a spreadsheet would take for a formula.",
    },
    "columns": {
        "type": "array",
        "minItems": 1,
        "maxItems": 20_000,
        "items": {"anyOf": [{"type": "string", "minLength": 1}, _COLUMN]},
        "description": "Of fixed width: name, start, length of each. Of a CSV: their names.",
    },
    "record_length": {
        "type": "integer",
        "minimum": 1,
        "description": "Of fixed width: characters of a line; up to the last column's end if absent.",
    },
    "sheet": {"type": ["string", "integer"], "description": "Of XLSX: its name, or its number from 1 on."},
    "namespaces": {
        "type": "object",
        "additionalProperties": {"type": "string", "minLength": 1},
        "description": "Of XML: prefix and URI; names of other namespaces are told without one.",
    },
    "host_key": {
        "type": "string",
        "pattern": "^SHA256:[A-Za-z0-9+/]{43}=?$",
        "description": "Of an SFTP server: its key's fingerprint; without it known_hosts decides.",
    },
    "storage": {"type": "object", "description": "What fsspec is told beside, such as endpoint_url of S3."},
}

_SECRETS = ["username", "password", "private_key", "passphrase"]
"""What the vault may have for a URL."""

READ: Mapping[str, Any] = {
    "type": "object",
    "x-secrets": _SECRETS,
    "additionalProperties": False,
    "required": ["path"],
    "properties": {
        "path": {
            "type": "string",
            "minLength": 1,
            "description": "A file, a pattern such as inbox/*.csv, or a URL of one; - is standard input.",
        },
        **_COMMON,
        "records": {
            "type": "string",
            "description": "Where records are: in JSON a member such as data.items, in XML elements such as"
            " orders/order.",
        },
        "header_row": {
            "type": "integer",
            "minimum": 1,
            "maximum": 1_048_576,
            "description": "Of XLSX: the row that names the columns; looked for if absent.",
        },
        "error_cells": {
            "enum": ["reject", "null"],
            "default": "reject",
            "description": "Of XLSX: what becomes of a row with #N/A and the like.",
        },
        "always_list": {
            "type": "array",
            "items": {"type": "string"},
            "description": "Of XML: elements that come as a list even where there is one.",
        },
        "pad": {"type": "boolean", "default": False, "description": "Of fixed width: fill shorter lines up."},
        "skip": {
            "type": "array",
            "items": {"type": "string"},
            "description": "Of fixed width: patterns of lines that are no records, such as ^TRAILER.",
        },
        "skip_lines": {"type": "integer", "minimum": 0, "description": "Of fixed width: how many at first."},
        "then": {
            "type": "string",
            "pattern": "^(keep|delete|move:.+)$",
            "default": "keep",
            "description": "What becomes of a file once its records are kept: keep, delete, move:processed/",
        },
        "settle_seconds": {
            "type": "number",
            "minimum": 0,
            "default": 0,
            "description": "A file changed within them is left for the next run.",
        },
        "batch_size": {"type": "integer", "minimum": 1, "maximum": 100_000, "default": 1000},
        "max_record_bytes": {
            "type": "integer",
            "minimum": 100,
            "maximum": 2**30,
            "default": 16 * 1024 * 1024,
        },
        "max_unpacked_bytes": {
            "type": "integer",
            "minimum": 1,
            "default": 2 << 30,
            "description": "Of XLSX: what all of it may unpack to.",
        },
    },
}  # fmt: skip

WRITE: Mapping[str, Any] = {
    "type": "object",
    "x-secrets": _SECRETS,
    "additionalProperties": False,
    "required": ["path"],
    "properties": {
        "path": {
            "type": "string",
            "minLength": 1,
            "description": "A file, or a URL; {date}, {time} and {run} are filled in.",
        },
        **_COMMON,
        "records": {
            "type": "string",
            "default": "records/record",
            "description": "Of XML: the elements around the records, and theirs.",
        },
        "mode": {
            "enum": ["replace", "append", "new"],
            "default": "replace",
            "description": "What becomes of a file that is there: replaced, gone on with; new: refused.",
        },
        "quoting": {"enum": ["minimal", "all"], "default": "minimal"},
        "line_end": {"enum": ["lf", "crlf"], "description": "crlf for a CSV, else lf, if absent."},
        "bom": {"type": "boolean", "default": False, "description": "A mark at the beginning, for Excel."},
        "header": {"type": "boolean", "default": True, "description": "Of a CSV: a line with the names."},
    },
}  # fmt: skip
