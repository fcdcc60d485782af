"""The main job in one go: an agency's own book, two providers that misbehave, and what the file says."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekit import audit, db, integrations, runner, schema, vault
from edgekit.demo import provider
from edgekit.errors import ConflictError, NotFoundError
from edgekit.file import placing
from edgekit.file.create import create
from edgekit.file.verify import verify

if TYPE_CHECKING:
    from edgekit.runner import RunResult

ORGANIZATION = "Harbor Street Insurance"

Progress = Callable[[str, int], None]
"""Called with the integration's name and the number of records read so far."""


@dataclass(slots=True)
class DemoResult:
    """What the demo did: where the file is, each run, and one record's way from source to log."""

    database: str
    organization: str
    runs: list[RunResult] = field(default_factory=list)
    audit_rows: int = 0
    verify: list[str] = field(default_factory=list)
    rows: dict[str, int] = field(default_factory=dict)
    set_aside: list[dict[str, Any]] = field(default_factory=list)
    story: list[audit.Entry] = field(default_factory=list)
    vehicle: dict[str, Any] = field(default_factory=dict)
    master_key: str = ""
    first_time: bool = True


def run(folder: str | Path = "edgekit-demo", *, progress: Progress | None = None) -> DemoResult:
    """Create `agency.db` in a folder (or go on with the one there) and run the agency's integrations on it.

    The book of some hundred policies ships with the package; both providers are stood in for by a server on
    loopback, with pages, a 429, a 503, a slow answer and malformed records. Nothing else is asked.
    A second run brings nothing twice. Raise ConflictError if the folder holds somebody else's `agency.db`.
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise ConflictError(
            f"{folder} is a file, not a folder; nothing was changed.", hint="Choose another: --dir DIR"
        )
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "agency.db"
    first_time = not path.exists()
    if first_time:
        create(path, organization=ORGANIZATION, environment="development")
    with closing(db.open(path)):
        result = DemoResult(str(path), _organization(), first_time=first_time)
        result.master_key = str(vault.init().location)
        _run_all(folder, result, progress)
        _tell(result)
    result.verify = verify(path)
    return result


def _organization() -> str:
    name = str(db.query("SELECT name FROM organization WHERE id = 1")[0]["name"])
    if name != ORGANIZATION:
        raise ConflictError(
            f"agency.db in this folder belongs to {name}; the demo does not touch it.",
            hint="Choose another: --dir DIR",
        )
    return name


def _run_all(folder: Path, result: DemoResult, progress: Progress | None) -> None:
    book = folder / "book.csv"
    demo_seeds = schema.seed_folder() / "demo"
    if not book.exists():
        with placing.workspace(folder) as building:  # half a book would be taken for a whole one ever after
            shutil.copyfile(demo_seeds / "book.csv", building / book.name)
            (building / book.name).replace(book)
    scenario = json.loads((demo_seeds / "integrations.json").read_text(encoding="utf-8"))
    with provider.serve() as served:
        for item in scenario["integrations"]:
            name, file_based = item["name"], item["template"] == "csv-import"
            _ensure(item, {"path": str(book)} if file_based else {"base_url": served.base_url})
            if item.get("secret"):
                integrations.set_credential(name, item["secret"], served.api_key)
            here = {"path": str(book)} if file_based else {"base_url": served.base_url}
            report = (lambda count, name=name: progress(name, count)) if progress is not None else None
            result.runs.append(runner.run(name, overrides=here, progress=report))
            if result.runs[-1].status == "interrupted":
                raise KeyboardInterrupt  # the run ended itself in good order; what follows must not begin


def _ensure(item: dict[str, Any], settings: dict[str, Any]) -> None:
    try:
        integrations.find(item["name"])
    except NotFoundError:
        integrations.create(
            item["name"], template=item["template"], settings={**item.get("settings", {}), **settings},
            customizations={"mappings": item.get("mappings", [])}, acknowledge=True,
        )  # fmt: skip


def _tell(result: DemoResult) -> None:
    """Read back what the summary shows: how much there is, what was set aside, and one vehicle's story."""
    connection = db.connection()
    for table in ("insured", "policy", "vehicle", "driver", "policy_vehicle", "policy_driver"):
        result.rows[table] = connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
    result.audit_rows = connection.execute("SELECT count(*) FROM audit_log").fetchone()[0]
    result.set_aside = runner.list_dead_letters()
    decoded = db.query(
        "SELECT id, vin, make, model_name, model_year FROM vehicle WHERE make IS NOT NULL ORDER BY id LIMIT 1"
    )
    if decoded:
        result.vehicle = decoded[0]
        result.story = audit.entries(connection, table="vehicle", record=decoded[0]["id"])
