"""Mapping records of a source to rows of a target: paths, defaults, checks, rules, conversions.

    mapping = compile_mapping([FieldMapping("VIN", "$.VIN", "vin", is_required=True), …])
    rows, failures = mapping.map_many(page)        # rows in the order of mapping.columns

Pure: no file, no database, no network. Rules are described in `rules`, checks in `checks`, types in
`convert`.
"""

from edgekit.mapping.compiled import CompiledMapping, compile_mapping
from edgekit.mapping.field import ABSENT, FieldError, FieldMapping, Lookup

__all__ = ["ABSENT", "CompiledMapping", "FieldError", "FieldMapping", "Lookup", "compile_mapping"]
