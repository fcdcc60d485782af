"""Peewee without the drivers of database servers, which it would load wherever they are installed.

They are the `sql` connector's, cost a quarter of a second and 24 MB, and a file needs none of them. Whatever
imports Peewee imports this first.
"""

from __future__ import annotations

import sys

_DRIVERS = ("psycopg2cffi", "psycopg2", "psycopg", "pymysql", "MySQLdb")

if "peewee" not in sys.modules:
    _hidden = [name for name in _DRIVERS if name not in sys.modules]
    sys.modules.update(dict.fromkeys(_hidden))  # type: ignore[arg-type]  # None: as if not installed
    try:
        import peewee  # noqa: F401
    finally:
        for _name in _hidden:
            del sys.modules[_name]
