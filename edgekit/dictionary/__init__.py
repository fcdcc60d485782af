"""The dictionary: what each table, column, value and rule means, read out of the schema's own text.

    dictionary.read_all(connection)     every table of a file
    dictionary.read(connection, "policy")

The text is the one place where a meaning is written; `docs/dictionary.md` is made from it by
`python -m edgekit.dictionary`.
"""

from edgekit.dictionary.catalogue import Check, Column, Index, Table, Trigger, declared, names, read, read_all
from edgekit.dictionary.texts import Word, words

__all__ = [
    "Check",
    "Column",
    "Index",
    "Table",
    "Trigger",
    "Word",
    "declared",
    "names",
    "read",
    "read_all",
    "words",
]
