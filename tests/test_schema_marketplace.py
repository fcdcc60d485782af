"""The marketplace in the file: columns, ways, what goes with what, the derived figures, and the indexes."""

from __future__ import annotations

import itertools
import json
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest
from catalogue import checks, columns, holds, references

from edgekit import models, rules, schema
from edgekit.errors import RuleError

if TYPE_CHECKING:
    from edgekit.db import Database

EARLY, TIME, LATE = "2026-01-31T23:59:59.000Z", "2026-02-01T00:00:00.000Z", "2026-02-28T00:00:00.000Z"
SIGNED = "status_id>status created_by>user updated_by?>user created_at updated_at"


@pytest.fixture(scope="module")
def catalogue() -> sqlite3.Connection:
    return schema.pristine()


@pytest.fixture
def market(shell: sqlite3.Connection) -> sqlite3.Connection:
    """Two clients (7, 8), a developer (2) with two modules (1, 2) and one (3) of the system user."""
    shell.executescript(
        """
        INSERT INTO organization(id, code, name) VALUES (7, 'SEVEN', 'Seven'), (8, 'EIGHT', 'Eight');
        INSERT INTO client(id, organization_id, client_name, client_status_id) VALUES (7, 7, 'Seven', 1), (8, 8, 'Eight', 1);
        INSERT INTO user(id, username) VALUES (2, 'dev'), (3, 'ann'), (4, 'bob');
        INSERT INTO marketplace_module(id, code, name, version, category_id, developer_id, pricing_model_id, created_at)
        VALUES (1, 'MAIL', 'Mail', '1.2.0', 1, 2, 1, '2026-01-01T00:00:00.000Z'),
          (2, 'SCAN', 'Scan', '1.0.0', 2, 2, 2, '2026-02-15T00:00:00.000Z'),
          (3, 'FLOW', 'Flow', '1.0.0', 3, 1, 3, '2026-02-15T00:00:00.000Z');
        """  # noqa: E501
    )
    return shell


def put(shell: sqlite3.Connection, table: str, **row: Any) -> int:
    sql = f"INSERT INTO {table}({', '.join(row)}) VALUES ({', '.join('?' * len(row))})"
    return shell.execute(sql, list(row.values())).lastrowid or 0


def installation(shell: sqlite3.Connection, status: str, **row: Any) -> int:
    values = {
        "client_id": 7,
        "module_id": 1,
        "installed_version": "1",
        "installation_status": status,
        "installed_at": None if status in {"pending", "failed"} else TIME,
        "uninstalled_at": TIME if status == "uninstalled" else None,
        **row,
    }
    return put(shell, "module_installation", **values)


def refused(shell: sqlite3.Connection, sql: str, *values: Any) -> RuleError:
    with pytest.raises(sqlite3.Error) as caught:
        shell.execute(sql, values)
    error = rules.translate(caught.value, shell)
    assert isinstance(error, RuleError)
    return error


@pytest.mark.ledger("S3-20", "S3-31", "C-84", "C-85")
def test_modules_and_their_shelves_have_their_columns(catalogue: sqlite3.Connection) -> None:
    holds(
        catalogue,
        "marketplace_module",
        "code name description? version module_kind category_id>marketplace_category developer_id>user"
        " pricing_model_id>pricing_model price currency feature_id?>feature"
        " integration_template_id?>integration_template deployment_template_id?>deployment_template "
        + SIGNED,
        ("code",),
    )
    holds(
        catalogue,
        "marketplace_category",
        "code name description? parent_marketplace_category_id?>marketplace_category sort_order " + SIGNED,
        ("code",),
    )
    kinds = checks("marketplace_module")["marketplace_module.module_kind.choice"]
    assert kinds == "module_kind IN ('module', 'integration_template', 'deployment_template')"


@pytest.mark.ledger("S3-21", "S3-23", "S3-91")
def test_installations_and_licences_have_their_columns(catalogue: sqlite3.Connection) -> None:
    holds(
        catalogue,
        "module_installation",
        "client_id>client module_id>marketplace_module installed_version installation_status installed_at?"
        " uninstalled_at? error_message? " + SIGNED,
    )
    holds(
        catalogue,
        "module_license",
        "uuid client_id>client module_id>marketplace_module license_key_ciphertext? license_key_hash?"
        " encryption_key_id?>encryption_key seats expires_at? " + SIGNED,
        ("client_id", "module_id"),
    )
    for table, column in (
        ("module_license", "license_key"),
        ("module_payment", "payment_method"),
        ("client_billing_info", "payment_method"),
    ):
        assert column not in columns(catalogue, table)
        assert columns(catalogue, table)[f"{column}_ciphertext"][0] == "BLOB"


@pytest.mark.ledger("S3-07", "S3-32", "S3-02")
def test_the_basic_override_is_kept_and_extended(catalogue: sqlite3.Connection) -> None:
    holds(
        catalogue,
        "client_app_override",
        "client_id>client app_code override_settings? marketplace_module_id?>marketplace_module"
        " installation_id?>module_installation activation_status activation_metadata? " + SIGNED,
        ("client_id", "app_code"),
    )
    assert columns(catalogue, "client_app_override")["activation_status"][2] == "'pending'"


@pytest.mark.ledger("S3-49", "S3-50", "S3-54")
def test_an_override_outlives_its_module_and_goes_with_its_installation(market: sqlite3.Connection) -> None:
    found = references(market, "client_app_override")
    assert found["marketplace_module_id"] == ("marketplace_module", "SET NULL")
    assert found["installation_id"] == ("module_installation", "CASCADE")
    put(market, "client_app_override", id=1, client_id=7, app_code="a", marketplace_module_id=3)
    market.execute("DELETE FROM marketplace_module WHERE id = 3")
    assert market.execute("SELECT marketplace_module_id FROM client_app_override").fetchall() == [(None,)]
    key = installation(market, "active")
    put(market, "client_app_override", id=2, client_id=7, app_code="b", installation_id=key)
    market.execute("DELETE FROM module_installation WHERE id = ?", (key,))
    assert market.execute("SELECT id FROM client_app_override").fetchall() == [(1,)]
    logged = market.execute(
        "SELECT record_key, action FROM audit_entry WHERE table_name = 'client_app_override' ORDER BY seq"
    ).fetchall()
    assert [(int(key), action) for key, action in logged] == [(1, "I"), (1, "U"), (2, "I"), (2, "D")]


@pytest.mark.ledger("S3-22", "S3-24", "S3-25", "S3-26", "S3-27")
def test_reviews_payments_and_submissions_have_their_columns(catalogue: sqlite3.Connection) -> None:
    module = "module_id>marketplace_module "
    holds(
        catalogue,
        "module_review",
        module + "reviewed_by>user client_id?>client rating review_text? moderation_status " + SIGNED,
        ("module_id", "reviewed_by"),
    )
    holds(
        catalogue,
        "module_payment",
        module + "uuid client_id>client license_id?>module_license amount fee currency"
        " payment_status_id>payment_status payment_method_ciphertext? encryption_key_id?>encryption_key"
        " provider_reference? paid_at? " + SIGNED,
        ("provider_reference",),
    )
    holds(
        catalogue,
        "module_submission",
        module + "submitted_version submitted_by>user submission_status submitted_at decided_at? " + SIGNED,
    )
    submission = "submission_id>module_submission "
    holds(
        catalogue,
        "module_validation",
        submission + "check_name validation_status details? score? validated_at? " + SIGNED,
        ("submission_id", "check_name"),
    )
    holds(
        catalogue,
        "moderation_action",
        submission + "moderated_by>user action reason? moderated_at",
    )
    actions = checks("moderation_action")["moderation_action.action.choice"]
    assert actions == "action IN ('approve', 'reject', 'request_changes', 'suspend')"


@pytest.mark.ledger("S3-28")
def test_publishing_has_its_columns(catalogue: sqlite3.Connection) -> None:
    holds(
        catalogue,
        "publishing_pipeline",
        "submission_id>module_submission workflow_id?>orchestration_workflow publishing_status started_at?"
        " completed_at? error_message? " + SIGNED,
        ("submission_id",),
    )


@pytest.mark.ledger("S3-26")
def test_what_a_moderator_did_stays(market: sqlite3.Connection) -> None:
    put(market, "module_submission", id=1, module_id=1, submitted_version="1", submitted_by=2)
    put(market, "moderation_action", id=1, submission_id=1, moderated_by=3, action="approve")
    for sql in (
        "UPDATE moderation_action SET action = 'suspend', reason = 'r'",
        "DELETE FROM moderation_action",
        "REPLACE INTO moderation_action(id, submission_id, moderated_by, action) VALUES (1, 1, 4, 'approve')",
    ):
        assert refused(market, sql).code == "append_only"
    with pytest.raises(sqlite3.Error, match="no module_submission"):
        put(market, "moderation_action", submission_id=77, moderated_by=3, action="approve")


INSTALLATION_STATES = ("pending", "active", "inactive", "failed", "uninstalled")
INSTALLATION_WAYS = {
    ("pending", "active"), ("pending", "inactive"), ("pending", "failed"), ("pending", "uninstalled"),
    ("failed", "pending"), ("failed", "uninstalled"), ("active", "inactive"), ("active", "uninstalled"),
    ("inactive", "active"), ("inactive", "uninstalled"),
}  # fmt: skip


@pytest.mark.ledger("S3-21", "S3-59")
@pytest.mark.parametrize(("old", "new"), [*itertools.product(INSTALLATION_STATES, repeat=2)])
def test_an_installation_changes_its_state_along_its_ways_only(
    market: sqlite3.Connection, old: str, new: str
) -> None:
    key = installation(market, old)
    times = (TIME, TIME if new == "uninstalled" else None)
    change = (
        "UPDATE module_installation SET installation_status = ?, installed_at = ?, uninstalled_at = ?"
        " WHERE id = ?"
    )
    swap = (
        "REPLACE INTO module_installation(installation_status, installed_at, uninstalled_at, id, client_id,"
        " module_id, installed_version) VALUES (?, ?, ?, ?, 7, 1, '2')"
    )
    for sql in (change, swap):
        if old == new or (old, new) in INSTALLATION_WAYS:
            market.execute("BEGIN")
            market.execute(sql, (new, *times, key))
            market.execute("ROLLBACK")
        else:
            assert refused(market, sql, new, *times, key).code == "transition"


ACTIVATION_WAYS = {
    ("pending", "active"), ("pending", "failed"), ("pending", "inactive"), ("active", "inactive"),
    ("active", "failed"), ("failed", "pending"), ("failed", "inactive"), ("inactive", "pending"),
}  # fmt: skip


@pytest.mark.ledger("S3-32", "S3-59")
@pytest.mark.parametrize(
    ("old", "new"), [*itertools.product(("pending", "active", "failed", "inactive"), repeat=2)]
)
def test_an_application_is_activated_out_of_pending(market: sqlite3.Connection, old: str, new: str) -> None:
    put(market, "client_app_override", client_id=7, app_code="a", activation_status=old)
    change = "UPDATE client_app_override SET activation_status = ?"
    swap = "REPLACE INTO client_app_override(activation_status, client_id, app_code) VALUES (?, 7, 'A')"
    for sql in (change, swap):
        if old == new or (old, new) in ACTIVATION_WAYS:
            market.execute("BEGIN")
            market.execute(sql, (new,))
            market.execute("ROLLBACK")
        else:
            assert refused(market, sql, new).code == "transition"


PUBLISHING_WAY = ("pending", "validating", "moderating", "publishing", "published")


@pytest.mark.ledger("S3-28")
def test_a_module_is_published_stage_by_stage(market: sqlite3.Connection) -> None:
    put(market, "module_submission", id=1, module_id=1, submitted_version="1", submitted_by=2)
    put(market, "publishing_pipeline", submission_id=1)
    change = (
        "UPDATE publishing_pipeline SET publishing_status = ?, started_at = '2026-01-01T00:00:00.000Z',"
        " completed_at = CASE WHEN ? THEN '2026-01-02T00:00:00.000Z' END"
    )
    for stage, following in itertools.pairwise(PUBLISHING_WAY):
        for other in PUBLISHING_WAY:
            if other not in {stage, following} and (stage, other) != ("moderating", "validating"):
                assert refused(market, change, other, other == "published").code == "transition", other
        market.execute(change, (following, following == "published"))
    for other in ("failed", "cancelled", "rejected", "publishing"):
        assert refused(market, change, other, other != "publishing").code == "transition"


@pytest.mark.ledger("S3-21")
def test_a_client_has_a_module_once_and_may_install_it_again(market: sqlite3.Connection) -> None:
    first = installation(market, "failed")
    with pytest.raises(sqlite3.Error) as caught:
        installation(market, "pending")
    error = rules.translate(caught.value, market)
    assert isinstance(error, RuleError)
    assert error.code == "unique"
    installation(market, "pending", client_id=8)
    market.execute(
        "UPDATE module_installation SET installation_status = 'uninstalled', uninstalled_at = ? WHERE id = ?",
        (TIME, first),
    )
    installation(market, "pending")
    installation(market, "uninstalled")


@pytest.mark.ledger("S3-105")
def test_a_module_has_many_installations_and_an_installation_many_overrides(
    market: sqlite3.Connection,
) -> None:
    first = installation(market, "active")
    installation(market, "active", client_id=8)
    for code in ("mail", "mail-archive"):
        put(market, "client_app_override", client_id=7, app_code=code, installation_id=first)
    counts = (
        "SELECT (SELECT count(*) FROM module_installation WHERE module_id = 1), count(*)"
        " FROM client_app_override WHERE installation_id = ?"
    )
    assert market.execute(counts, (first,)).fetchone() == (2, 2)
    for table, key in (("marketplace_module", 1), ("client", 7)):
        error = refused(market, f"DELETE FROM {table} WHERE id = ?", key)
        assert error.code in {"reference", "referenced"}


def review(shell: sqlite3.Connection, module: int, by: int, rating: int, status: str = "approved") -> None:
    put(
        shell, "module_review", module_id=module, reviewed_by=by, rating=rating, moderation_status=status,
        created_at=TIME,
    )  # fmt: skip


def payment(shell: sqlite3.Connection, module: int, amount: int, state: str, **row: Any) -> None:
    number = shell.execute("SELECT count(*) FROM module_payment").fetchone()[0]
    (state_id,) = shell.execute("SELECT id FROM payment_status WHERE code = ?", (state,)).fetchone()
    values = {"uuid": f"{number:036d}", "client_id": 7, "module_id": module, "amount": amount}
    put(shell, "module_payment", **values, payment_status_id=state_id, **row)


@pytest.mark.ledger("S3-20", "S3-22")
def test_ratings_and_counts_are_derived_and_cannot_drift(market: sqlite3.Connection) -> None:
    def stat(module: int) -> tuple[Any, ...]:
        sql = (
            "SELECT rating_average, review_count, install_count FROM marketplace_module_stat"
            " WHERE module_id = ?"
        )
        return tuple(market.execute(sql, (module,)).fetchone())

    assert stat(1) == (None, 0, 0)
    installation(market, "active")
    installation(market, "inactive", client_id=8)
    installation(market, "uninstalled")
    installation(market, "pending", module_id=2)
    review(market, 1, 3, 5)
    review(market, 1, 4, 2)
    review(market, 1, 1, 1, "pending")
    assert (stat(1), stat(2)) == ((3.5, 2, 2), (None, 0, 0))
    market.execute("UPDATE module_review SET moderation_status = 'approved'")
    market.execute("DELETE FROM module_review WHERE rating = 5")
    market.execute("UPDATE module_installation SET installation_status = 'inactive'  WHERE module_id = 1 AND uninstalled_at IS NULL")  # noqa: E501  # fmt: skip
    assert stat(1) == (1.5, 2, 2)
    assert not {"rating_average", "install_count"} & set(columns(market, "marketplace_module"))


@pytest.mark.ledger("S3-30", "S3-29")
def test_revenue_and_developers_are_told_by_the_month(market: sqlite3.Connection) -> None:
    payment(market, 1, 1000, "PAID", fee=100, paid_at=EARLY)
    payment(market, 1, 500, "PAID", fee=50, paid_at=TIME)
    payment(market, 1, 250, "PAID", paid_at=LATE)
    payment(market, 2, 700, "PAID", currency="EUR", paid_at=TIME)
    payment(market, 1, 9999, "PENDING")
    payment(market, 1, 8888, "REFUNDED", paid_at=TIME)
    installation(market, "active")
    installation(market, "uninstalled", module_id=2)
    review(market, 1, 3, 5)
    review(market, 2, 3, 2)
    revenue = "SELECT module_id, period, gross, fee, net, currency FROM revenue_analytics ORDER BY 1, 2"
    assert market.execute(revenue).fetchall() == [
        (1, "2026-01", 1000, 100, 900, "USD"),
        (1, "2026-02", 750, 50, 700, "USD"),
        (2, "2026-02", 700, 0, 700, "EUR"),
    ]
    stats = market.execute(
        "SELECT period, module_count, install_count, rating_average, revenue FROM developer_stat"
        " WHERE developer_id = 2 ORDER BY period"
    ).fetchall()
    assert [(*row[:4], json.loads(row[4])) for row in stats] == [
        ("2026-01", 1, 0, None, {"USD": 900}),
        ("2026-02", 2, 2, 3.5, {"EUR": 700, "USD": 700}),
    ]


@pytest.mark.ledger("S3-05", "C-75")
def test_what_belongs_to_one_client_is_not_mixed_with_another(market: sqlite3.Connection) -> None:
    key = installation(market, "active")
    for row in ({"client_id": 8}, {"client_id": 7, "marketplace_module_id": 2}):
        with pytest.raises(sqlite3.Error, match="another client or module"):
            put(market, "client_app_override", app_code="a", installation_id=key, **row)
    put(
        market, "client_app_override", client_id=7, app_code="a", installation_id=key, marketplace_module_id=1
    )
    error = refused(market, "UPDATE module_installation SET module_id = 2 WHERE id = ?", key)
    assert (error.code, error.message) == ("immutable", "An installation stays with its client and module.")


@pytest.mark.ledger("C-71", "C-72")
def test_a_purchase_and_a_permission_are_two_rows(catalogue: sqlite3.Connection) -> None:
    assert references(catalogue, "marketplace_module")["feature_id"] == ("feature", "NO ACTION")
    assert columns(catalogue, "module_license")["seats"] == ("INTEGER", 1, "1")
    assert columns(catalogue, "feature_license")["licensed_quantity"] == ("INTEGER", 1, "1")
    assert "feature_id" not in columns(catalogue, "module_license")


QUERIES = [
    pytest.param(
        "SELECT * FROM client_app_override WHERE marketplace_module_id = ?",
        "client_app_override_marketplace_module (marketplace_module_id=?)",
        marks=pytest.mark.ledger("S3-73"),
    ),
    pytest.param(
        "SELECT * FROM client_app_override WHERE installation_id = ?",
        "client_app_override_installation (installation_id=?)",
        marks=pytest.mark.ledger("S3-74"),
    ),
    pytest.param(
        "SELECT * FROM client_app_override WHERE activation_status = ?",
        "client_app_override_activation_status (activation_status=?)",
        marks=pytest.mark.ledger("S3-75"),
    ),
    (
        "SELECT count(*) FROM module_installation WHERE client_id = ? AND installation_status = 'active'",
        "module_installation_client (client_id=? AND installation_status=?)",
    ),
    (
        (
            "SELECT * FROM module_installation WHERE client_id = ? AND module_id = 1"
            " AND installation_status <> 'uninstalled'"
        ),
        "module_installation_live (client_id=? AND module_id=?)",
    ),
    (
        (
            "SELECT * FROM module_submission WHERE submission_status = 'pending' AND submitted_at < ?"
            " ORDER BY submitted_at"
        ),
        "module_submission_open (submitted_at<?)",
    ),
]


@pytest.mark.parametrize(("sql", "index"), QUERIES)
def test_a_query_uses_its_index(catalogue: sqlite3.Connection, sql: str, index: str) -> None:
    (plan,) = catalogue.execute("EXPLAIN QUERY PLAN " + sql, ("x",)).fetchall()
    assert plan[3].split("INDEX ")[-1] == index


def test_figures_of_one_module_are_looked_up(catalogue: sqlite3.Connection) -> None:
    sql = "EXPLAIN QUERY PLAN SELECT * FROM marketplace_module_stat WHERE module_id = ?"
    found = [row[3] for row in catalogue.execute(sql, (1,)) if row[3].startswith(("SEARCH", "SCAN"))]
    assert found[0].startswith("SEARCH m USING INTEGER PRIMARY KEY")
    assert not [line for line in found if line.startswith("SCAN")]
    assert any("module_review_rating" in line for line in found)
    assert any("COVERING INDEX module_installation_module" in line for line in found)


@pytest.mark.ledger("S3-31")
def test_a_new_file_has_shelves_and_ways_to_pay(edge: Database) -> None:
    assert {row.code for row in models.PricingModel.select()} == {
        "FREE", "ONE_TIME", "SUBSCRIPTION", "USAGE",
    }  # fmt: skip
    assert [row.code for row in models.PaymentStatus.select().where(models.PaymentStatus.is_paid)] == ["PAID"]
    assert {"PENDING", "FAILED", "REFUNDED"} <= {row.code for row in models.PaymentStatus.select()}
    shelves = [row.code for row in models.MarketplaceCategory.select().order_by(models.MarketplaceCategory.sort_order)]  # noqa: E501  # fmt: skip
    assert shelves[0] == "INTEGRATION"
    assert len(shelves) == 7
