"""edgekit: one SQLite file is an agency's back office.

The file defends itself, every write is a change with an actor, and every change is in the log:

    import edgekit

    with edgekit.open("agency.db", actor="maria") as db:
        with db.change(reason="new producer"):
            ...
"""

__version__ = "0.1.0"
