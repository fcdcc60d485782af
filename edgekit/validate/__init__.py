"""JSON Schema: the one door to jsonschema and jsonschema-rs.

`jsonschema` is the reference: it decides, and its findings are what a user reads. Where `jsonschema-rs` is
installed it answers the plain yes; it is asked only about schemas on which both are known to agree, and
every no of its is looked at again by the reference. So an answer never depends on what is installed.

Documents are what JSON gives: dict, list, str, int, float, bool, None. Formats are checked by our own
functions in both: date, date-time, time, email, uri, uuid; other formats are remarks. Patterns are bounded
in time. A reference to another place (`$ref` to a URL) is never fetched but refused.
"""

from edgekit.validate.compiled import Validator, check, check_schema, compile  # noqa: A004 - used qualified
from edgekit.validate.findings import Finding
from edgekit.validate.formats import FORMATS
from edgekit.validate.parts import apply_defaults

__all__ = ["FORMATS", "Finding", "Validator", "apply_defaults", "check", "check_schema", "compile"]
