"""Who sees and changes which rows of a file: one rule, laid over a connection, so that every word obeys it.

A connection of a user who does not see everything reads each table through a TEMP view of its name, which
holds only the rows that are theirs to see; every statement that writes is aimed at the real table, behind
TEMP triggers that skip what may not be seen and refuse what may not be changed. Nothing in the words knows
of it, and a word added later obeys as well. Each statement is looked at before it runs: see `confined`.

This is a rule of the data layer for honest use: whoever holds the file can open it with any other tool.
"""

from edgekit.isolation.session import RIGHTS, Session, read_session, resolve_actor

__all__ = ["RIGHTS", "Session", "read_session", "resolve_actor"]
