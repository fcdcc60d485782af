"""What is licensed, asked through the OpenFeature SDK."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import Reason

from edgekit import licensing, models
from edgekit.licensing.openfeature import Provider

if TYPE_CHECKING:
    from collections.abc import Iterator

    from openfeature.client import OpenFeatureClient

    from edgekit.db import Database

VALUES: dict[str, Any] = {
    "boolean": False, "integer": 7, "number": 1.5, "string": "blue", "json": {"sizes": [3]},
}  # fmt: skip


@pytest.fixture
def client(edge: Database) -> Iterator[OpenFeatureClient]:
    """A client of the real SDK; the file has a feature of each kind, licensed to the program AUTO."""
    with edge.change(reason="features"):
        models.Program.create(code="AUTO", name="Auto")
        models.User.create(username="maria", organization=1)
        kind = models.FeatureType.get(code="ANALYTICS")
        tier = models.LicenseTier.get(code="ENTERPRISE")
        for name in VALUES:
            models.Feature.create(
                code=name.upper(), name=name, feature_key=f"test.{name}", value_type=name, feature_type=kind,
                license_tier=tier,
            )  # fmt: skip
    for name, value in VALUES.items():
        licensing.grant(name.upper(), place="program:AUTO", value=value, quantity=3)
    api.set_provider(Provider())
    yield api.get_client()
    api.clear_providers()


AUTO = EvaluationContext(attributes={"program": "AUTO", "colour": "ignored"})


def test_each_kind_of_flag_has_its_value(client: OpenFeatureClient) -> None:
    assert client.get_boolean_value("BOOLEAN", True, AUTO) is False, "available, and its value is no"
    assert client.get_boolean_value("INTEGER", False, AUTO) is True
    assert client.get_integer_value("INTEGER", 0, AUTO) == 7
    assert client.get_float_value("NUMBER", 0.0, AUTO) == 1.5
    whole = client.get_float_value("INTEGER", 0.0, AUTO)
    assert (whole, type(whole)) == (7.0, float)
    assert client.get_string_value("test.string", "red", AUTO) == "blue"
    assert client.get_object_value("JSON", {}, AUTO) == {"sizes": [3]}
    assert asyncio.run(client.get_integer_value_async("INTEGER", 0, AUTO)) == 7


def test_an_answer_says_why(client: OpenFeatureClient) -> None:
    found = client.get_integer_details("INTEGER", 0, AUTO)
    assert (found.reason, found.variant) == (Reason.TARGETING_MATCH, "on")
    said = {"feature": "INTEGER", "feature_key": "test.integer", "reason": "license", "mode": "advise"}
    assert found.flag_metadata.items() >= (said | {"quantity": 3}).items()
    core = client.get_boolean_details("core.quote_creation", False)
    assert (core.value, core.reason) == (True, Reason.STATIC)


def test_what_is_not_licensed_is_off_and_leaves_the_default(client: OpenFeatureClient) -> None:
    off = client.get_boolean_details("INTEGER", True)
    assert (off.value, off.reason, off.variant, off.error_code) == (False, Reason.DISABLED, "off", None)
    assert off.flag_metadata["reason"] == "not_licensed"
    number = client.get_integer_details("INTEGER", 42)
    assert (number.value, number.reason) == (42, Reason.DISABLED)


def test_settings_stand_in_for_an_object_and_nothing_for_a_number(client: OpenFeatureClient) -> None:
    licensing.grant("API_INTEGRATIONS")
    assert client.get_object_value("API_INTEGRATIONS", {})["max_integrations"] == 5
    number = client.get_integer_details("API_INTEGRATIONS", 42)
    assert (number.value, number.reason) == (42, Reason.DEFAULT)


def test_the_context_is_the_place(client: OpenFeatureClient) -> None:
    licensing.assign_tier("ENTERPRISE", user="maria")
    assert client.get_boolean_value("INTEGER", False, EvaluationContext("maria"))
    assert client.get_boolean_value("INTEGER", False, EvaluationContext(attributes={"user": "maria"}))
    other = EvaluationContext("nobody", {"user": "maria"})
    assert client.get_boolean_value("INTEGER", False, other), "the attribute is the clearer word"
    program = models.Program.get(code="AUTO").id
    assert client.get_boolean_value("INTEGER", False, EvaluationContext(attributes={"program": program}))


def test_what_cannot_be_answered_gives_the_default_and_a_reason(client: OpenFeatureClient) -> None:
    cases: list[tuple[str, Any, ErrorCode]] = [
        ("NOPE", None, ErrorCode.FLAG_NOT_FOUND),
        ("NOPE", AUTO, ErrorCode.FLAG_NOT_FOUND),
        ("INTEGER", EvaluationContext("nobody"), ErrorCode.INVALID_CONTEXT),
        ("INTEGER", EvaluationContext(attributes={"program": ["AUTO"]}), ErrorCode.INVALID_CONTEXT),
        ("STRING", AUTO, ErrorCode.TYPE_MISMATCH),
    ]
    for flag, context, code in cases:
        found = client.get_integer_details(flag, 42, context)
        assert (found.value, found.reason, found.error_code) == (42, Reason.ERROR, code), flag
        assert found.error_message


def test_without_an_open_file_there_is_no_answer(client: OpenFeatureClient, edge: Database) -> None:
    edge.close()
    found = client.get_boolean_details("INTEGER", True)
    assert (found.value, found.error_code) == (True, ErrorCode.PROVIDER_NOT_READY)


def test_without_the_extra_it_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['openfeature'] = None\n"
        "from edgekit.errors import UnavailableError\n"
        "try: import edgekit.licensing.openfeature\n"
        "except UnavailableError as error: print(error.hint)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "edgekit[openfeature]" in done.stdout
