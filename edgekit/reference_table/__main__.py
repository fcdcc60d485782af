"""Make a reference table from one line: `python -m edgekit.reference_table WORD NAME SENTENCE [COLUMN …]`."""

import sys

from edgekit import reference_table
from edgekit.errors import EdgekitError

if __name__ == "__main__":
    try:
        reference_table.generate(sys.argv[1:])
    except EdgekitError as error:
        hint = f"\nhint: {error.hint}" if error.hint else ""
        raise SystemExit(f"error: {error.message}{hint}") from error
