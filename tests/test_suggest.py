"""Suggestions: what is proposed for real data, why, what is left over; and one record followed through."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from edgekit import db, integrations, jsonpath
from edgekit.cli import root
from edgekit.errors import InvalidError
from edgekit.mapping.suggest import Column, suggest
from edgekit.mapping.values import look
from edgekit.models import Insured

if TYPE_CHECKING:
    from edgekit.db import Database

BOOK = (
    "PolicyRef;Inception;Expiry;Annual Premium;Ccy;Status;Client ID;Agent\n"
    "P-1;01.02.2026;01.02.2027;$1,200.50;USD;In Force;C1;A\n"
    "P-2;15.03.2026;15.03.2027;$900.00;USD;Cancelled;C2;B\n"
)
PEOPLE = [
    {"cust_no": "C1", "full_name": "Ann Smith",
     "contact": {"e_mail": "ann@example.org", "tel": "(212) 555-0101",
     "addr": {"street": "1 Main Street", "town": "Albany", "st": "NY", "zip": "10001"}}, "odometer": 5},
]  # fmt: skip


def data(name: str) -> Path:
    """Find a file of the shared data, or skip the test."""
    named = os.environ.get("EDGEKIT_TEST_DATA")
    folders = [Path(named)] if named else [p / "shared" / "data" for p in Path(__file__).resolve().parents]
    for folder in folders:
        if (folder / name).is_file():
            return folder / name
    pytest.skip(f"{name} is not at hand")


def targets(found: Any) -> dict[str, str]:
    return {one.source_path: one.target_path for one in found.proposals}


def test_a_book_of_policies_is_understood(edge: Database, tmp_path: Path) -> None:
    (tmp_path / "book.csv").write_text(BOOK)
    with db.change(reason="customers"):
        for number in ("C1", "C2"):
            Insured.create(customer_number=number, name=number)
    found = integrations.suggest_mappings(sample=str(tmp_path / "book.csv"), table="policy")
    assert targets(found) == {
        "$.PolicyRef": "policy_number", "$.Inception": "effective_date", "$.Expiry": "expiration_date",
        "$['Annual Premium']": "annual_premium", "$.Ccy": "currency", "$.Status": "policy_state",
        "$['Client ID']": "insured_id",
    }  # fmt: skip
    by = {one.target_path: one for one in found.proposals}
    assert by["effective_date"].transformation_rules == {"type": "date", "format": "%d.%m.%Y"}
    assert by["annual_premium"].target_data_type == "money"
    assert by["policy_state"].transformation_rules == {
        "type": "map", "values": {"Cancelled": "cancelled", "In Force": "in_force"},
    }  # fmt: skip
    assert by["insured_id"].transformation_rules == {
        "type": "lookup", "table": "insured", "match": "customer_number",
    }  # fmt: skip
    assert "100% of the values are a customer_number of insured" in by["insured_id"].reason
    assert by["policy_number"].is_required
    assert not by["currency"].is_required, "it has a default"
    assert [one["source_path"] for one in found.unmatched_sources] == ["$.Agent"]
    assert {one["target_path"] for one in found.unmatched_targets} == {
        "program_id",
        "producer_id",
        "quote_id",
    }


def test_nested_fields_are_found_and_what_tells_of_a_person_is_masked(edge: Database, tmp_path: Path) -> None:
    (tmp_path / "people.json").write_text(json.dumps(PEOPLE))
    found = integrations.suggest_mappings(sample=str(tmp_path / "people.json"), table="insured")
    assert targets(found) == {
        "$.cust_no": "customer_number", "$.full_name": "name", "$.contact.e_mail": "email",
        "$.contact.tel": "phone",
        "$.contact.addr.street": "address", "$.contact.addr.town": "city", "$.contact.addr.st": "state",
        "$.contact.addr.zip": "postal_code",
    }  # fmt: skip
    assert "ann@example.org" not in str(found)
    assert [one["source_path"] for one in found.unmatched_sources] == ["$.odometer"]
    (tmp_path / "leute.json").write_text(json.dumps([{"Telefon": "+49 30 1", "Kennwort": "geheim"}]))
    german = str(integrations.suggest_mappings(sample=str(tmp_path / "leute.json"), table="insured"))
    assert "+49 30 1" not in german
    assert "geheim" not in german
    users = integrations.suggest_mappings(sample=str(tmp_path / "people.json"), table="user")
    assert "password_hash" not in {one["target_path"] for one in users.unmatched_targets}, "it is secret"


def test_the_table_s_name_in_a_column_hides_no_field(edge: Database, tmp_path: Path) -> None:
    integrations.create_table("vehicle_model", {"model": "text"}, key=["model"])
    (tmp_path / "models.json").write_text(json.dumps([{"Model_Name": "Roadster", "Make_Name": "TESLA"}]))
    found = integrations.suggest_mappings(sample=str(tmp_path / "models.json"), table="vehicle_model")
    assert targets(found) == {"$.Model_Name": "model"}


def test_the_real_vin_decoder_is_understood(edge: Database, tmp_path: Path) -> None:
    answer = json.loads(data("vpic/decode-vin-batch.json").read_text(encoding="utf-8"))
    (tmp_path / "answer.json").write_text(json.dumps(answer["content"]["Results"]))
    found = integrations.suggest_mappings(sample=str(tmp_path / "answer.json"), table="vehicle")
    assert targets(found) == {
        "$.VIN": "vin", "$.ModelYear": "model_year", "$.Make": "make", "$.Model": "model_name",
        "$.Trim": "trim_name",
        "$.BodyClass": "body_class", "$.VehicleType": "vehicle_type", "$.FuelTypePrimary": "fuel_type",
    }  # fmt: skip
    assert len(found.unmatched_sources) > 100, "what is not proposed is listed"


def test_the_real_exposure_data_gives_nothing_wrong(edge: Database) -> None:
    accounts = str(data("oed/property_account.csv"))
    right = {"PolNumber": "policy_number", "PolInceptionDate": "effective_date",
             "PolExpiryDate": "expiration_date",
             "AccCurrency": "currency", "PolStatus": "policy_state"}  # fmt: skip
    found = integrations.suggest_mappings(sample=accounts, table="policy")
    assert {source[2:]: target for source, target in targets(found).items()} == right
    assert all(one.confidence < 0.75 for one in found.proposals if "no value" in one.reason)
    places = integrations.suggest_mappings(sample=str(data("oed/property_location.csv")), table="insured")
    assert targets(places) == {"$.PostalCode": "postal_code", "$.StreetAddress": "address", "$.City": "city"}


def test_one_target_has_one_source_and_doubts_are_said() -> None:
    records = [{"Zip": "10001", "PostalCode": "10001", "start": "01/02/2026", "weight_lbs": 5}]
    columns = [Column("postal_code", "text"), Column("start_date", "date"), Column("weight_kg", "integer"),
               Column("vin", "text")]  # fmt: skip
    found = suggest(records, columns, table="place")
    assert len({one.target_path for one in found.proposals}) == len(found.proposals)
    by = {one.target_path: one for one in found.proposals}
    assert "the other way round (%d/%m/%Y)" in by["start_date"].reason
    assert "weight_kg" not in by or "units differ" in by["weight_kg"].reason
    assert [one["target_path"] for one in found.unmatched_targets if one["target_path"] == "vin"]


POLICY = [
    Column("policy_number", "text"), Column("effective_date", "date"), Column("expiration_date", "date"),
    Column("annual_premium", "money"), Column("currency", "text"),
    Column("insured_id", "integer", references="insured", codes={"customer_number": frozenset({"C9"})}),
    Column("policy_state", "text", choices=frozenset({"in_force", "open"})),
    Column("fuel_type", "text"), Column("model_year", "integer"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("record", "found"),
    [
        (
            {"Versicherungsscheinnummer": "V-1", "VersicherungsBeginn": "13.02.2026",
             "Versicherungsende": "13.02.2027",
             "Jahrespr\u00e4mie": "1.200,50 \u20ac", "W\u00e4hrung": "EUR"},
            ["policy_number", "effective_date", "expiration_date", "annual_premium", "currency"],
        ),
        (
            {"N\u00famero de Po\u0301liza": "P-1", "Fecha de Inicio": "13/02/2026",
             "Fecha de Vencimiento": "13/02/2027", "Prima Anual": "900,00", "Moneda": "EUR"},
            ["policy_number", "effective_date", "expiration_date", "annual_premium", "currency"],
        ),
        ({"Certificate No.": "X", "Incept Dt": "2026-02-01", "Voucher No.": "1"},
         ["policy_number", "effective_date", None]),
        ({"Policy #": "X", "Fuel": "Gas", "Yr": "2011"}, ["policy_number", "fuel_type", "model_year"]),
        ({"Kraftstoffart": "Benzin", "Modelljahr": "2011"}, ["fuel_type", "model_year"]),
        ({"policy": {"status": "Open", "policyNumber": "P"}}, ["policy_state", "policy_number"]),
    ],
)  # fmt: skip
def test_other_tongues_and_shapes_are_understood(record: dict[str, Any], found: list[str]) -> None:
    made = suggest([record], POLICY, table="policy")
    by = {one.source_path: one for one in made.proposals if one.confidence >= 0.75}
    paths = [jsonpath.find(path, record) for path in by]
    assert all(paths)
    assert {one.target_path for one in by.values()} == {name for name in found if name}
    money = [one for one in made.proposals if one.target_path == "annual_premium"]
    assert all(one.transformation_rules == {"type": "money", "decimal": ","} for one in money)


def test_a_lookup_that_finds_nothing_is_not_sure() -> None:
    columns = [one for one in POLICY if one.references]
    (name,) = suggest([{"Insured": "Ann"}], columns, table="policy").proposals
    assert name.confidence < 0.75
    (number,) = suggest([{"Customer No": "C1"}], columns, table="policy").proposals
    assert number.confidence > 0.75, "it is called what it is looked up by"


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["1HGCM82633A004352"], "vin"), (["a@b.co"], "email"), (["(212) 555-0101"], "phone"),
        (["CA", "NY"], "state"),
        (["$1,200.50"], "money"), (["1.200,50", "\u20ac9,00"], "money"), (["1,200"], "text"),
        (["yes", "no"], "boolean"), (["2011"], "year"), ([5, 7.5], "number"),
        (["2026-01-02T03:04:05Z"], "datetime"),
        (["02139"], "postal_code"), ([{"a": 1}], "json"), ([], "none"),
        (["x", "2011"], "text"), (["007"], "text"),
    ],
)  # fmt: skip
def test_values_are_known_by_their_looks(values: list[Any], kind: str) -> None:
    assert look(values).kind == kind


def test_what_is_sure_is_applied_and_left_alone_afterwards(edge_file: Path, tmp_path: Path) -> None:
    def say(*words: str) -> Any:
        return CliRunner().invoke(root.edgekit, ["--db", str(edge_file), *words], prog_name="edgekit")

    book = tmp_path / "book.csv"
    book.write_text(BOOK)
    say("integrations", "create", "book", "--template", "csv-import", "--set", f"path={book}",
        "--set", "table=policy", "--set", "key=policy_number")  # fmt: skip
    shown = say("mappings", "suggest", "book", "--sample", str(book), "--apply")
    assert "Fields without a column (1, 0 of them empty here): $.Agent" in shown.output
    again = json.loads(say("mappings", "suggest", "book", "--ask", "--json").output)
    assert again["proposals"] == []
    assert len(json.loads(say("mappings", "list", "book", "--json").output)) == 7
    told = json.loads(
        say("mappings", "preview", "book", "--record", str(book), "--number", "2", "--json").output
    )
    by = {one["target_path"]: one for one in told["fields"]}
    assert by["effective_date"]["steps"] == [{"step": "date", "value": "2026-03-15", "refused": None}]
    assert by["insured_id"]["outcome"] == "set_aside"
    assert told["set_aside"]["message"] == "there is no insured with that customer_number"
    assert told["unmapped"] == ["Agent"]
    assert "It would be set aside at write" in say("mappings", "preview", "book", "--sample").output
    assert say("mappings", "suggest", "book").exit_code == 4


def test_a_preview_says_what_each_step_does_and_hides_secrets(edge: Database) -> None:
    rules = {"type": "steps", "steps": [{"type": "trim"}, {"type": "upper"}]}
    integrations.create(
        "cars", template="csv-import", settings={"path": "c.csv", "table": "vehicle", "key": "vin"},
        customizations={"mappings": [
            {"source_path": "VIN", "target_path": "vin", "transformation_rules": rules},
            {"source_path": "Year", "target_path": "model_year", "target_data_type": "integer",
             "validation_rules": {"minimum": 1900}},
            {"source_path": "api_key", "target_path": "make",
             "validation_rules": {"source": {"max_length": 3}}},
            {"source_path": "Trim", "target_path": "trim_name", "default_value": "base"},
            {"source_path": "Body", "target_path": "body_class", "error_handling": "skip",
             "validation_rules": {"max_length": 2}},
        ]},
    )  # fmt: skip
    record = {"VIN": " 1hg ", "Year": "1800", "api_key": "s3cr3t-value", "Body": "coupe", "extra": 1}
    found = integrations.preview_mappings("cars", record=record)
    by = {one["target_path"]: one for one in found.fields}
    assert [step["value"] for step in by["vin"]["steps"]] == ["1hg", "1HG"]
    assert by["model_year"]["steps"][-1]["refused"] == "range: is less than 1900"
    assert "s3cr3t" not in str(found)
    assert (by["trim_name"]["outcome"], by["trim_name"]["result"]) == ("default", "base")
    assert by["body_class"]["outcome"] == "left_out"
    assert found.set_aside is not None
    assert found.set_aside["error_code"] == "range"
    assert found.unmapped == ("extra",)
    with pytest.raises(InvalidError, match="Give a record"):
        integrations.preview_mappings("cars")
