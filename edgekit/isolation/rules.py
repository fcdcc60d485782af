"""Which rows a user sees and which they may change, as SQL conditions found from the catalogue of the file.

By organization first, then, on rows of a client, by who made or manages it:

- `organization_id` is the user's own; without one a row is shared: seen by all, changed by those who see
  everything. What only happened (it has a correlation id) and names none belongs to whoever made it.
- `client_id`, and clients themselves: the user made the client or manages it, or is an administrator of its
  organization. A row without a client is for administrators alone.
- what is set along the scope chain is seen from below as well: the system-wide rows of the ancestors.
- any other table follows the rows it refers to; a row that refers to none belongs to whoever made it. A table
  that refers to no such tables is a catalogue: seen by all, changed by those who see everything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgekit.errors import DeniedError
from edgekit.schema import quote_name

if TYPE_CHECKING:
    from edgekit.isolation.catalogue import Catalogue
    from edgekit.isolation.session import Session

_SIGNATURE = {"created_by", "updated_by", "status_id"}

_BOOKS = {
    "audit_log", "audit_table", "audit_transaction", "sqlite_sequence", "validation_message", "vault_use_log",
}  # fmt: skip
"""Written along with what is done, whoever does it. Seals and all else of the log take who sees all."""

_COUNTERS = {"rate_limit_window"}
"""Belong to no organization, and everybody who runs something counts in them."""

_SHARED_COUNTERS = {"feature_usage"}
"""A licence for several organizations is used up by each: whoever sees its counter counts in it."""

_GRANTED = {"organization", "feature_license"}
"""Seen by whom they concern, and given by who sees everything: nobody licenses themselves."""

_PUBLIC = {"marketplace_module"}
"""Offered to everybody, changed by the organization that made it."""

_CENTRAL = {"sync_peer", "sync_bundle", "sync_quarantine", "backup"}
"""Hold whatever was in any organization's rows, or say where that lies."""

_LOGS = {"audit_log": "table_id", "audit_feature": "table_name", "validation_message": "table_name"}
"""Say something of a row of another table, which the column names."""

_SPECIAL = {
    "organization", "user", "client", "tracked_table", "job", "vault_use_log", "metric_sample",
    *_LOGS, *_CENTRAL,
}  # fmt: skip
"""Tables whose rule cannot be found from their columns."""


class Rules:
    """The conditions for one user on one file. `alias` is what stands before a column: a table, OLD, NEW."""

    def __init__(self, catalogue: Catalogue, session: Session) -> None:
        self.catalogue = catalogue
        self.session = session
        self._restricted: dict[str, bool] = {}

    def is_restricted(self, table: str) -> bool:
        """Tell whether a user sees only some rows of a table."""
        if table not in self._restricted:
            self._restricted[table] = False  # a table that refers to itself is no reason
            self._restricted[table] = table in _SPECIAL or bool(self._grounds(table))
        return self._restricted[table]

    def known_restricted(self, table: str) -> bool:
        """Tell the same without asking the file; what was never asked for counts as restricted."""
        return table in self.catalogue.tables and self._restricted.get(table, True)

    def _grounds(self, table: str) -> list[str]:
        """Name the columns that decide who sees a row; none if everybody does."""
        if table in _PUBLIC:
            return []
        columns = self.catalogue.columns(table)
        if self._is_users_own(table):
            return ["organization_id"] if "organization_id" in columns else ["tracked"]
        if found := [str(name) for name in ("organization_id", "client_id") if name in columns]:
            return found
        parents = self._parents(table)
        return [c for c, p, _ in parents if p != "user"] or [c for c, _, needed in parents if needed]

    def _parents(self, table: str) -> list[tuple[str, str, bool]]:
        """List the references to rows that not everybody sees: (column, table, whether it must be set)."""
        return [
            (column, parent, needed)
            for column, parent, needed in self.catalogue.references(table)
            if column not in _SIGNATURE
            and parent != table
            and self.is_restricted(parent)
            and "id" in self.catalogue.columns(parent)
        ]

    def _is_users_own(self, table: str) -> bool:
        return table not in self.catalogue.ours

    def readable(self, table: str, alias: str) -> str:
        """Write the condition under which a row is seen."""
        if table in _SPECIAL:
            return self._special(table, alias)
        columns = self.catalogue.columns(table)
        grounds = self._grounds(table)
        if grounds == ["tracked"]:
            return self._tracked(table)
        parts = []
        if "organization_id" in grounds:
            parts.append(self._organization(table, alias, columns))
        if "client_id" in grounds:
            parts.append(self._client(alias, columns))
        if table == "integration_event":
            parts.append(self._workflow(alias))
        if "organization_id" not in grounds and "client_id" not in grounds:
            parts.append(self._hangs(table, alias, grounds))
        return " AND ".join(f"({part})" for part in parts)

    def _organization(self, table: str, alias: str, columns: frozenset[str]) -> str:
        own = f"{alias}.organization_id = {self.session.organization_id}"
        if "scope_type_id" in columns and self.session.ancestors:
            above = ", ".join(map(str, self.session.ancestors))
            own += (
                f" OR ({alias}.organization_id IN ({above}) AND {alias}.scope_type_id ="
                " (SELECT id FROM main.scope_type WHERE code = 'SYSTEM'))"
            )
        if {"correlation_id", "created_by"} <= columns:
            return f"{own} OR ({alias}.organization_id IS NULL AND {self._by_us(alias)})"
        follows = self._follows(table, alias, [c for c, p, needed in self._parents(table) if needed])
        return f"{own} OR ({alias}.organization_id IS NULL AND {follows})"

    def _client(self, alias: str, columns: frozenset[str]) -> str:
        seen = f"{alias}.client_id IN (SELECT id FROM client)"
        if not self.session.is_admin:
            return seen
        ours = "1" if "organization_id" in columns else self._by_us(alias) if "created_by" in columns else "0"
        return f"{seen} OR ({alias}.client_id IS NULL AND {ours})"

    @staticmethod
    def _workflow(alias: str) -> str:
        """What a workflow told, under its correlation id, is seen with the workflow."""
        told = f"main.orchestration_workflow w WHERE w.correlation_id = {alias}.correlation_id"
        return f"NOT EXISTS (SELECT 1 FROM {told} AND w.id NOT IN (SELECT id FROM orchestration_workflow))"

    def _by_us(self, alias: str, column: str = "created_by") -> str:
        """Whoever made it belongs to the organization."""
        return (
            f"{alias}.{column} IN (SELECT id FROM main.user"
            f" WHERE ifnull(organization_id, 1) = {self.session.organization_id})"
        )

    def _hangs(self, table: str, alias: str, grounds: list[str]) -> str:
        """A row without an organization of its own: it follows what it hangs on, else whoever made it."""
        parents = self._parents(table)
        people = [column for column, parent, _ in parents if parent == "user" and column in grounds]
        things = [column for column in grounds if column not in people]
        parts = [self._by_us(alias, column) for column in people]
        if things:
            parts.append(self._follows(table, alias, things))
        if not any(needed for column, _, needed in parents if column in grounds):
            hung = [f"{alias}.{quote_name(column)} IS NOT NULL" for column in things]
            made = [self._by_us(alias)] if "created_by" in self.catalogue.columns(table) else []
            parts.append(f"({' OR '.join([*hung, *made])})")
        return " AND ".join(parts)

    def _follows(self, table: str, alias: str, grounds: list[str]) -> str:
        parents = {column: parent for column, parent, _ in self._parents(table)}
        return " AND ".join(
            f"({alias}.{quote_name(c)} IS NULL OR {alias}.{quote_name(c)} IN"
            f" (SELECT id FROM {quote_name(parents[c])}))"
            for c in grounds
            if c in parents
        ) or "1"  # fmt: skip

    def _tracked(self, table: str) -> str:
        """A table of the user's own is seen by the organization of whoever made it."""
        name = table.replace("'", "''")
        known = f"SELECT 1 FROM main.tracked_table t WHERE t.name = '{name}'"
        first = "1" if self.session.organization_id == 1 else "0"
        return f"(CASE WHEN EXISTS ({known}) THEN EXISTS ({known} AND {self._by_us('t')}) ELSE {first} END)"

    def _special(self, table: str, alias: str) -> str:
        """Write the condition of a table whose rule cannot be found from its columns."""
        if table in _LOGS:
            return self._entry(
                f"{alias}.{_LOGS[table]}", f"{alias}.record_key", by_number=table == "audit_log"
            )
        who = self.session
        admin = int(who.is_admin)
        name = who.username.replace("'", "''")
        family = ", ".join(map(str, (who.organization_id, *who.ancestors)))
        looked_after = f"{alias}.created_by = {who.user_id} OR {alias}.assigned_manager_id = {who.user_id}"
        by_us = " OR ".join(self._by_us(alias, column) for column in ("created_by", "assigned_manager_id"))
        of_ours = f"{alias}.organization_id = {who.organization_id} OR {by_us}"
        return {
            "organization": f"{alias}.id IN ({family})"
            f" OR {alias}.parent_organization_id = {who.organization_id}"
            f" OR {alias}.id IN (SELECT organization_id FROM client)",
            "user": f"{alias}.id IN (1, {who.user_id})"
            f" OR ifnull({alias}.organization_id, 1) = {who.organization_id}",
            "client": f"{looked_after} OR ({admin} AND ({of_ours}))",
            "tracked_table": self._by_us(alias),
            # What sends a communication is as visible as that one: does it wait for it, or for a person?
            "job": f"{alias}.created_by = {who.user_id}"
            f" OR ({admin} AND {alias}.created_by IN (SELECT id FROM user WHERE id <> 1))"
            f" OR ({alias}.kind = 'communication.send' AND CAST({alias}.dedupe_key AS INTEGER) IN"
            " (SELECT id FROM communication))",
            "vault_use_log": f"{alias}.actor = '{name}'"
            f" OR ({admin} AND {alias}.actor IN (SELECT username FROM user WHERE id <> 1))",
            "metric_sample": f"{alias}.labels = '{{}}'"
            f" OR {alias}.labels ->> '$.organization_id' = {who.organization_id}",
            **dict.fromkeys(_CENTRAL, "0"),
        }[table]

    def _entry(self, table: str, record: str, *, by_number: bool = False) -> str:
        """An entry about a row is seen by whoever sees the row; of a deleted one by its organization."""
        common, cases = ["NULL"], []
        for name, number in self.catalogue.audited():
            key = str(number) if by_number else "'" + name.replace("'", "''") + "'"
            if name in _LOGS:
                continue
            if self.is_restricted(name):
                cases.append(f"WHEN {key} THEN {self._about(name, number, record)}")
            else:
                common.append(key)
        return f"{table} IN ({', '.join(common)}) OR CASE {table} {' '.join(cases)} ELSE 0 END"

    def _about(self, table: str, number: int, record: str) -> str:
        """Whether a record of a table is seen, or was the organization's when it was deleted."""
        columns = self.catalogue.columns(table)
        if "id" not in columns:  # a table of the user's own with another key
            return self._tracked(table)
        name = quote_name(table)
        seen = f"EXISTS (SELECT 1 FROM {name} t WHERE t.id = {record})"
        if "organization_id" not in columns or ("client_id" in columns and not self.session.is_admin):
            return seen
        return (
            f"{seen} OR (NOT EXISTS (SELECT 1 FROM main.{name} t WHERE t.id = {record})"
            f" AND EXISTS (SELECT 1 FROM main.audit_log d WHERE d.table_id = {number}"
            f" AND d.record_key = {record} AND d.action = 'D'"
            f" AND d.changes ->> '$.organization_id' = {self.session.organization_id}))"
        )

    def require_write(self, table: str, verb: str) -> None:
        """Raise DeniedError if the user writes no row of a table at all; `verb` begins the statement."""
        if table in _BOOKS and not verb.upper().startswith("DELETE"):
            return
        if table == "user":  # everybody their own
            return
        kept = table in _BOOKS or table.startswith("audit_")
        if not kept and (
            self._is_users_own(table) or self.is_restricted(table) or table in _COUNTERS | _PUBLIC
        ):
            self.session.require("edit", f"changing {table}")
            if table not in _GRANTED | _CENTRAL:
                return
        raise DeniedError(
            f"Rows of {table} are common to all who use the file; {self.session.username} may not change"
            " them.",
            hint="The system user may, or an administrator who belongs to no organization.",
        )

    def is_guarded(self, table: str) -> bool:
        """Tell whether each row that is written has to be looked at."""
        return (self.is_restricted(table) or table in _PUBLIC) and table not in _BOOKS

    def writable(self, table: str, alias: str) -> str:
        """Write the condition under which a row may stand, or be changed, by this user."""
        who, columns = self.session, self.catalogue.columns(table)
        if table == "user":
            return self._users(alias)
        if table == "marketplace_module":
            return f"{alias}.developer_id IN (SELECT id FROM user WHERE id <> 1)"
        if table in _SHARED_COUNTERS:
            return self.readable(table, alias)
        if table == "client":
            return f"({self.readable(table, alias)}) AND {self._own_or_below(alias)}"
        parts = [self.readable(table, alias)]
        if "organization_id" in columns:
            own = f"{alias}.organization_id = {who.organization_id}"
            happened = f" OR ({alias}.organization_id IS NULL AND {self._by_us(alias)})"
            parts.append(own + (happened if "correlation_id" in columns else ""))
        elif "client_id" not in columns and table not in _SPECIAL and not self._is_users_own(table):
            # What hangs on something shared is shared: at least one row it hangs on must be changeable.
            parts += self._on_ours(table, alias)
        parts.append(self._follows(table, alias, [c for c, _, _ in self._parents(table)]))
        return " AND ".join(f"({part})" for part in parts)

    def _own_or_below(self, alias: str) -> str:
        """A client is an organization: the user's own, or one below it."""
        own = self.session.organization_id
        below = f"SELECT id FROM main.organization WHERE parent_organization_id = {own}"
        return f"({alias}.organization_id = {own} OR {alias}.organization_id IN ({below}))"

    def _on_ours(self, table: str, alias: str) -> list[str]:
        """A row without an organization of its own hangs on others: one of them at least must be ours."""
        owners = []
        for column, parent, _ in self._parents(table):
            if parent == "user":
                continue
            name, columns = f"{alias}.{quote_name(column)}", self.catalogue.columns(parent)
            if "organization_id" not in columns or parent == "client":
                owners.append(f"{name} IS NOT NULL")
                continue
            mine = f"organization_id = {self.session.organization_id}"
            if "correlation_id" in columns:
                mine += " OR organization_id IS NULL"
            owners.append(f"{name} IN (SELECT id FROM {quote_name(parent)} WHERE {mine})")
        return [" OR ".join(owners)] if owners else []

    def _users(self, alias: str) -> str:
        """An administrator writes users of the organization, all others themselves; see `kept`."""
        if "administer" in self.session.rights:
            return f"{alias}.organization_id = {self.session.organization_id} AND {alias}.id <> 1"
        return f"{alias}.id = {self.session.user_id}"

    def kept(self, table: str) -> tuple[str, ...]:
        """Name the columns that stay in an update: nobody gives themselves a role, a tier, a name."""
        if table != "user":
            return ()
        if "administer" in self.session.rights:
            return ("license_tier_id",)
        return ("username", "organization_id", "role_id", "license_tier_id", "status_id")

    def addable(self, table: str) -> str:
        """Write the condition under which a row may be added, its columns named as NEW."""
        given = " AND NEW.license_tier_id IS NULL" if table == "user" else ""
        return f"({self.writable(table, 'NEW')}){given}"
