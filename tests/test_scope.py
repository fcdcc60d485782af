"""The chain: which links a place has, in which order, whatever is known of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgekit import scope
from edgekit.errors import ConflictError, InvalidError, NotFoundError

if TYPE_CHECKING:
    from edgekit.db import Database

ORGANIZATIONS = {1: None, 2: 1, 3: 2, 4: 1, 5: None}
PROGRAMS = {1: ("AUTO", 1), 2: ("AUTO", 3), 3: ("HOME", 3), 4: ("LIFE", 5)}
PRODUCERS = {1: ("P1", 1), 2: ("P3", 3), 3: ("P1", 5)}
ENTITIES = {  # organization, program, producer
    51: (None, None, None), 52: (3, 2, 2), 53: (3, None, 2), 54: (None, 3, None), 55: (5, 4, None),
    56: (1, 1, 1),
}  # fmt: skip
USERS = {51: None, 52: 1, 53: 3}


@pytest.fixture
def world(edge: Database) -> Database:
    """Three generations of organizations and two apart, with what belongs to them."""
    with edge.change():
        run = edge.connection().execute
        for key, parent in ORGANIZATIONS.items():
            if key > 1:
                run("INSERT INTO organization(id, code, name, parent_organization_id) VALUES (?, ?, 'x', ?)",
                    (key, f"O{key}", parent))  # fmt: skip
        for table, rows in (("program", PROGRAMS), ("producer", PRODUCERS)):
            for key, (code, owner) in rows.items():
                run(f"INSERT INTO {table}(id, code, name, organization_id) VALUES (?, ?, 'x', ?)",
                    (key, code, owner))  # fmt: skip
        for key, owned in ENTITIES.items():
            run("INSERT INTO entity(id, code, name, entity_type_id, organization_id, program_id, producer_id)"
                " VALUES (?, ?, 'x', 1, ?, ?, ?)", (key, f"E{key}", *owned))  # fmt: skip
        for key, owner in USERS.items():
            run("INSERT INTO user(id, username, organization_id) VALUES (?, ?, ?)", (key, f"u{key}", owner))
    return edge


def labels(**place: Any) -> list[str]:
    return [link.label for link in scope.chain(**place)]


@pytest.mark.ledger("S0-32", "S0-65", "S0-67")
def test_an_entity_brings_its_program_and_producer_and_the_organizations_above(world: Database) -> None:
    assert labels(entity="E52", user="u53") == [
        "system", "organization MAIN", "organization O2", "organization O3", "program AUTO", "producer P3",
        "entity E52", "user u53",
    ]  # fmt: skip
    found = scope.chain(entity="E52", user="u53")
    assert [link.level for link in found] == ["SYSTEM"] * 4 + ["PROGRAM", "PRODUCER", "ENTITY", "USER"]
    assert [link.scope_id for link in found] == [None] * 4 + [2, 2, 52, 53]
    assert [link.organization_id for link in found] == [None, 1, 2, 3, 3, 3, 3, 3]
    assert scope.describe(found[:2]) == "system > organization MAIN"


@pytest.mark.ledger("S0-66")
def test_what_is_not_known_drops_out(world: Database) -> None:
    assert labels(entity="E53")[-2:] == ["producer P3", "entity E53"]
    assert labels(entity="E54")[-2:] == ["program HOME", "entity E54"]
    assert labels(entity="E51", program=None, user=None) == ["system", "organization MAIN", "entity E51"]
    assert all(link.scope_id is not None or link.rank == 1 for link in scope.chain(entity="E51"))
    assert labels() == labels(organization="main") == ["system", "organization MAIN"]


def test_a_code_that_two_organizations_have_needs_one_of_them(world: Database) -> None:
    with pytest.raises(ConflictError, match="Several organizations have a program AUTO"):
        scope.chain(program="AUTO")
    assert scope.chain(program="auto", organization="O3")[-1].scope_id == 2
    assert scope.chain(program="AUTO", user="u53")[-2].scope_id == 2
    assert scope.chain(program="AUTO", producer="P3")[-2].scope_id == 2
    assert scope.chain(program=2) == scope.chain(program="2")


def test_what_does_not_belong_together_is_refused(world: Database) -> None:
    with pytest.raises(InvalidError, match="The program LIFE does not belong to the organization O3"):
        scope.chain(program="LIFE", organization="O3")
    with pytest.raises(InvalidError, match="The entity E52 belongs to the program AUTO, not to HOME"):
        scope.chain(entity="E52", program="HOME")
    for place, hint in (
        ({"program": "HOMME"}, "HOME"),
        ({"user": "u59"}, "u53"),
        ({"entity": 77}, "E51|See"),
    ):
        with pytest.raises(NotFoundError, match=f"There is no {next(iter(place))}") as caught:
            scope.chain(**place)
        assert caught.value.hint
        assert any(part in caught.value.hint for part in hint.split("|"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("progam:AUTO", "Did you mean program:AUTO"),
        ("program", "Write program:CODE"),
        ("system:X", "Write: system"),
        ("", "program:AUTO"),
    ],
)
def test_a_place_is_a_level_and_a_code(text: str, words: str) -> None:
    with pytest.raises(InvalidError) as caught:
        scope.parse(text)
    assert words in str(caught.value.hint)


def test_a_place_is_found_for_writing_as_its_own_organization_has_it(world: Database) -> None:
    assert str(scope.parse(" Program:HOME ")) == "program:HOME"
    for text, row, owner in (
        ("system", None, None), ("organization", None, 1), ("organization:O3", None, 3),
        ("program:HOME", 3, 3), ("producer:P3", 2, 3),
        ("entity:E51", 51, None), ("user:u51", 51, None), ("user:u53", 53, 3),
    ):  # fmt: skip
        link = scope.find(text)
        assert (link.scope_id, link.organization_id) == (row, owner), text
    assert scope.find("entity:E51", organization="O3").organization_id == 3
    assert scope.find("program:AUTO", organization="O3").scope_id == 2
    assert scope.find("system", organization="O3") == scope.find("organization:O3")


def test_a_level_of_ones_own_takes_its_place_and_a_retired_one_none(world: Database) -> None:
    with world.change():
        run = world.connection().execute
        run(
            "INSERT INTO scope_type(code, name, hierarchy_level, table_name)"
            " VALUES ('DESK', 'Desk', 9, 'user')"
        )
        run("UPDATE scope_type SET status_id = 2 WHERE code = 'PROGRAM'")
    assert labels(program="HOME", user="u53")[-2:] == ["user u53", "desk u53"]
    assert not [label for label in labels(program="HOME") if "HOME" in label]
    with pytest.raises(InvalidError, match="switched off"):
        scope.find("program:HOME")
    with world.change():
        world.connection().execute("UPDATE scope_type SET status_id = 2 WHERE table_name IS NULL")
    for ask in (scope.chain, lambda: scope.find("system"), lambda: scope.find("organization")):
        with pytest.raises(InvalidError, match="SYSTEM is switched off"):
            ask()


def expected(place: dict[str, int]) -> list[tuple[str, int | None, int | None]] | None:
    """Say what the chain is by the words of the rules, None where it is refused."""
    entity = ENTITIES.get(place.get("entity", 0), (None, None, None))
    program, producer = place.get("program", entity[1]), place.get("producer", entity[2])
    if entity[1] not in {None, program} or entity[2] not in {None, producer}:
        return None
    owners = [
        place.get("organization"), PROGRAMS[program][1] if program else None,
        PRODUCERS[producer][1] if producer else None, entity[0],
    ]  # fmt: skip
    owner = next((o for o in [*owners, USERS.get(place.get("user", 0))] if o is not None), 1)
    if any(o not in {None, owner} for o in owners):
        return None
    line: list[int] = []
    above: int | None = owner
    while above is not None:
        line.insert(0, above)
        above = ORGANIZATIONS[above]
    links: list[tuple[str, int | None, int | None]] = [("SYSTEM", None, None)]
    links += [("SYSTEM", None, one) for one in line]
    links += [("PROGRAM", program, owner)] if program else []
    links += [("PRODUCER", producer, owner)] if producer else []
    links += [("ENTITY", place["entity"], entity[0] or owner)] if "entity" in place else []
    links += [("USER", place["user"], USERS[place["user"]] or owner)] if "user" in place else []
    return links


KNOWN = {
    "organization": ORGANIZATIONS, "program": PROGRAMS, "producer": PRODUCERS, "entity": ENTITIES,
    "user": USERS,
}  # fmt: skip


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(
    place=st.fixed_dictionaries({}, optional={k: st.sampled_from(list(rows)) for k, rows in KNOWN.items()})
)
def test_every_place_has_the_chain_the_rules_say(world: Database, place: dict[str, int]) -> None:
    wanted = expected(place)
    if wanted is None:
        with pytest.raises(InvalidError):
            scope.chain(**place)  # type: ignore[arg-type]
        return
    found = scope.chain(**place)  # type: ignore[arg-type]
    assert [(link.level, link.scope_id, link.organization_id) for link in found] == wanted
    assert [link.rank for link in found] == sorted(link.rank for link in found)
