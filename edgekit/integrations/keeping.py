"""Whether an integration keeps what it reads, for how long and how: its setting `keep_inputs`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgekit import db, jsonpath, masking
from edgekit.errors import InvalidError
from edgekit.integrations import reading

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from edgekit.mapping import FieldMapping

DAYS = 30
_MOST_DAYS = 3660


@dataclass(frozen=True, slots=True)
class Keep:
    """What a run reads is kept so many days; `encrypt` None seals it where it is personal."""

    days: int = DAYS
    encrypt: bool | None = None

    def seals(self, fields: Iterable[FieldMapping], records: Iterable[Any] = ()) -> bool:
        """Tell whether records are sealed: where they, or what the mappings take of them, are personal."""
        if self.encrypt is not None:
            return self.encrypt
        return is_personal(fields) or any(map(masking.is_personal, _members(records)))


def read_keep(settings: Mapping[str, Any]) -> Keep | None:
    """Read `keep_inputs` of an integration, None where nothing is kept. Raise InvalidError."""
    said = settings.get("keep_inputs")
    if said is None or said is False:
        return None
    if said is True:
        return Keep()
    if not isinstance(said, dict) or set(said) - {"days", "encrypt"}:
        raise InvalidError('keep_inputs is true, false, or {"days": 30, "encrypt": true}.')
    days, encrypt = said.get("days", DAYS), said.get("encrypt")
    if isinstance(days, bool) or not isinstance(days, int) or not 1 <= days <= _MOST_DAYS:
        raise InvalidError(f"keep_inputs: days is a whole number from 1 to {_MOST_DAYS}.")
    if encrypt is not None and not isinstance(encrypt, bool):
        raise InvalidError("keep_inputs: encrypt is true or false; without it what is personal is sealed.")
    return Keep(days, encrypt)


def is_personal(fields: Iterable[FieldMapping]) -> bool:
    """Tell whether mappings take what tells of a person, by the names of both their ends."""
    for field in fields:
        segments = jsonpath.compile(field.source_path).segments or (field.source_path,)
        if any(masking.is_personal(str(name)) for name in (field.target_path, *segments)):
            return True
    return False


def _members(values: Iterable[Any]) -> set[str]:
    """Return the names of all members, however deep."""
    found: set[str] = set()
    left = list(values)
    while left:
        value = left.pop()
        if isinstance(value, dict):
            found.update(map(str, value))
            left.extend(value.values())
        elif isinstance(value, list):
            left.extend(value)
    return found


def keep_inputs(name: str, *, days: int | None = DAYS, encrypt: bool | None = None) -> dict[str, Any]:
    """Let an integration keep what its runs read for so many days, or no more with None; return its settings.

    What is personal is sealed by the vault, unless `encrypt` says for all. What was kept stays until its time
    is over. Raise NotFoundError, InvalidError.
    """
    from edgekit.models.integrations import Integration

    said: Any = None
    if days is not None:
        said = {"days": days} if encrypt is None else {"days": days, "encrypt": encrypt}
    read_keep({"keep_inputs": said})
    with db.change(reason=f"integrations keep-inputs {name}"):
        row = reading.find(name)
        settings = {key: value for key, value in row["connection_config"].items() if key != "keep_inputs"}
        settings |= {} if said is None else {"keep_inputs": said}
        if settings != row["connection_config"]:
            changed = Integration.get_by_id(row["id"])
            changed.connection_config = settings
            changed.save()
    return settings
