"""Taps of Singer as sources: real processes, the quick one of `singer_tap.py`, well behaved and not."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from connector_contract import ConnectorContract, DestinationContract, pages, records

from edgekit import tracing
from edgekit.connectors import Outgoing, singer_process, singer_target
from edgekit.connectors.singer import SingerConnector
from edgekit.errors import InvalidError, NotFoundError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from edgekit.connectors import Delivery, Page

TAP = [sys.executable, str(Path(__file__).with_name("singer_tap.py"))]
SECRET = "pa55-of-the-tap"
VAULT = {"tap_password": SECRET}


def settings(batch_size: int = 2, *, extra: dict[str, Any] | None = None, **config: Any) -> dict[str, Any]:
    told = {"password": {"vault": "tap_password"}, **config}
    return {"tap": TAP, "stream": "people", "config": told, "batch_size": batch_size, **(extra or {})}


def read(config: dict[str, Any], state: dict[str, Any] | None = None) -> list[Page]:
    return pages(SingerConnector(), config, state, secrets=VAULT)


def read_until_it_breaks(config: dict[str, Any]) -> tuple[list[Page], UnavailableError]:
    found = []
    with pytest.raises(UnavailableError) as caught:
        for page in SingerConnector().read(config, state={}, inputs=None, secrets=VAULT):
            found.append(page)  # noqa: PERF402 - what came before the error is wanted
    return found, caught.value


def folders() -> set[str]:
    return {path.name for path in Path(tempfile.gettempdir()).glob("edgekit-singer-*")}


class TestTap(ConnectorContract):
    secrets: Mapping[str, str] = VAULT

    @pytest.fixture
    def connector(self) -> SingerConnector:
        return SingerConnector()

    @pytest.fixture
    def config(self) -> dict[str, Any]:
        return settings()

    @pytest.fixture
    def broken_config(self) -> dict[str, Any]:
        return settings(mode="crash", count=2)


@pytest.fixture
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary folder of the test's own, to see what is left in it."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


class TestPages:
    def test_a_page_ends_at_a_state_and_says_where_the_tap_goes_on(self) -> None:
        found = read(settings(3, every=2, count=7))
        assert [[record["id"] for record in page.records] for page in found] == [
            [1, 2],
            [3, 4],
            [5, 6, 7],
            [],
        ]
        assert [page.state for page in found] == [
            {"cursor": {"next": 3}, "record": 2},
            {"cursor": {"next": 5}, "record": 4},
            {"cursor": {"next": 8}, "record": 7},
            {"done": True, "cursor": {"next": 8}},
        ]
        assert [place for page in found for place in page.positions][-1] == "record 7"

    def test_records_behind_the_last_state_are_read_again(self) -> None:
        found = read(settings(2, every=5, count=7))
        assert [page.state.get("cursor") for page in found] == [
            None,
            None,
            {"next": 6},
            {"next": 8},
            {"next": 8},
        ]
        assert found[1].state == {"record": 0}
        again = read(settings(2, every=5, count=7), found[1].state)
        assert [record["id"] for record in records(again)] == [1, 2, 3, 4, 5, 6, 7]

    def test_the_last_state_is_where_the_next_pass_begins(self) -> None:
        state = read(settings(count=4))[-1].state
        assert [record["id"] for record in records(read(settings(count=6), state))] == [5, 6]
        nothing = read(settings(count=4), state)
        assert [(page.records, page.state) for page in nothing] == [([], state)]

    def test_the_tap_says_its_key_and_types(self) -> None:
        described = read(settings())[0].description
        assert described is not None
        assert described.key == ("id",)
        assert described.types == {
            "id": "integer", "name": "text", "is_new": "boolean", "price": "float", "tags": "json",
            "token": "text",
        }  # fmt: skip

    def test_batches_of_files_are_read(self, tmp_path: Path) -> None:
        found = read(settings(3, mode="batch", folder=str(tmp_path), count=0))
        assert [record["id"] for record in records(found)] == [1, 2, 3, 4]

    def test_a_batch_elsewhere_or_of_another_kind_is_refused(self, tmp_path: Path) -> None:
        from edgekit.connectors.singer_messages import Pages

        def take(manifest: str, form: str = "jsonl") -> None:
            reader = Pages({}, {}, left_out=frozenset(), masked=str)
            message = {"type": "BATCH", "stream": "a", "encoding": {"format": form}, "manifest": [manifest]}
            list(reader.take(json.dumps(message).encode()))

        for drive in (r"C:\batches\one.jsonl", "C:/batches/one.jsonl"):  # its letter is no scheme
            with pytest.raises(InvalidError, match="cannot be read"):
                take(drive)
        with pytest.raises(InvalidError, match="no local file"):
            take("s3://bucket/part.jsonl")
        with pytest.raises(InvalidError, match="batches as parquet"):
            take("file:///part", "parquet")
        with pytest.raises(InvalidError, match="cannot be read"):
            take((tmp_path / "absent.jsonl").as_uri())

    def test_what_is_not_as_the_tap_says_is_set_aside_if_asked_for(self) -> None:
        from edgekit.connectors.singer_messages import Pages

        reader = Pages({"check_schema": True}, {}, left_out=frozenset(), masked=str)
        for message in (
            {"type": "SCHEMA", "stream": "a", "schema": {"properties": {"id": {"type": "integer"}}}},
            {"type": "RECORD", "stream": "a", "record": {"id": "one"}},
            {"type": "RECORD", "stream": "a", "record": {"id": 2}},
            {"type": "RECORD", "stream": "a", "record": 3},
        ):
            assert list(reader.take(json.dumps(message).encode())) == []
        page = reader.last()
        assert page.records == [{"id": 2}]
        assert [reject.position for reject in page.rejects] == ["line 2", "line 4"]


class TestWhatTapsDo:
    def test_a_crash_gives_what_came_before_and_its_last_words_without_secrets(self) -> None:
        found, error = read_until_it_breaks(settings(10, mode="crash", count=7))
        assert [[record["id"] for record in page.records] for page in found] == [[1, 2, 3]]
        assert found[0].state == {"cursor": {"next": 3}, "record": 2}
        assert error.message.startswith("python" if os.name != "nt" else "")
        assert (
            "failed with exit code 3. It said: logging in with password=*** as *** | it broke"
            in error.message
        )

    def test_silence_ends_it(self) -> None:
        begun = time.monotonic()
        found, error = read_until_it_breaks(settings(10, mode="hang", extra={"silence_seconds": 0.5}))
        assert "said nothing for 0.5 seconds" in error.message
        assert len(found[0].records) == 3
        assert time.monotonic() - begun < 10

    def test_garbage_is_set_aside_line_by_line(self) -> None:
        found = read(settings(100, mode="garbage", count=1))
        assert [record["id"] for record in records(found)] == [1]
        assert [(reject.position, reject.raw) for reject in found[0].rejects] == [
            ("line 2", "Loading …"), ("line 3", "[1, 2]"), ("line 4", "{"),
        ]  # fmt: skip

    @pytest.mark.parametrize("megabytes", [2, pytest.param(100, marks=pytest.mark.slow)])
    def test_a_line_too_long_is_set_aside_and_never_held(self, megabytes: int) -> None:
        import tracemalloc

        config = settings(100, mode="long", megabytes=megabytes, extra={"max_record_bytes": 1_000_000})
        tracemalloc.start()
        found = read(config)
        assert tracemalloc.get_traced_memory()[1] < 8_000_000
        tracemalloc.stop()
        assert len(records(found)) == 7
        (reject,) = [reject for page in found for reject in page.rejects]
        assert reject.code == "too_long"
        assert len(reject.raw) == 2000

    def test_a_full_standard_error_stops_nothing(self) -> None:
        assert len(records(read(settings(mode="noise", count=20)))) == 20

    def test_a_stream_it_has_not_is_named(self) -> None:
        with pytest.raises(NotFoundError, match="no stream cows; it gave people, towns"):
            read(settings(extra={"stream": "cows"}))

    def test_a_program_that_is_not_there_is_one_line(self) -> None:
        with pytest.raises(NotFoundError, match="no program tap-of-nobody"):
            read(settings(extra={"tap": "tap-of-nobody"}))

    def test_closing_ends_it_with_every_process_it_started(self, tmp_path: Path) -> None:
        beats = tmp_path / "beats"
        source = SingerConnector().read(
            settings(mode="hang", child=str(beats)), state={}, inputs=None, secrets=VAULT
        )
        next(source)
        until = time.monotonic() + 10
        while not beats.exists() and time.monotonic() < until:
            time.sleep(0.02)
        source.close()
        size = beats.stat().st_size
        time.sleep(0.2)
        assert 0 < beats.stat().st_size <= size + 1


class TestSecrets:
    def test_they_go_into_a_file_of_its_own_and_nowhere_else(
        self, tmp_path: Path, own_folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("EDGEKIT_MASTER_KEY", "the key of all keys")
        told = tmp_path / "told.json"
        with tracing.under("mine"):
            read(settings(told=str(told)), {"cursor": {"next": 7}, "record": 6})
        heard = json.loads(told.read_text(encoding="utf-8"))
        assert heard["config"]["password"] == SECRET
        assert heard["mode"] == ("0o600" if os.name != "nt" else heard["mode"])
        assert SECRET not in " ".join(heard["arguments"])
        assert not any(name.startswith("EDGEKIT_") for name in heard["environment"])
        told_of = heard["environment"]["TRACEPARENT"].split("-")[1]
        assert told_of == tracing.trace_id("mine")
        assert list(own_folder.iterdir()) == []

    def test_nothing_is_left_of_a_tap_that_breaks(self, own_folder: Path) -> None:
        read_until_it_breaks(settings(mode="crash"))
        assert list(own_folder.iterdir()) == []

    def test_what_a_killed_process_left_is_taken_away(self, own_folder: Path) -> None:
        old, young = own_folder / "edgekit-singer-old", own_folder / "edgekit-singer-young"
        for folder in (old, young):
            folder.mkdir()
            (folder / "config.json").write_text(SECRET, encoding="utf-8")
        os.utime(old, (0, 0))
        with singer_process.private_folder() as mine:
            os.utime(mine, (0, 0))
            with singer_process.private_folder():  # another run sees that this one lives
                assert mine.exists()
                assert not old.exists()
        assert list(own_folder.iterdir()) == [young]

    def test_one_that_is_not_stored_is_named(self) -> None:
        with pytest.raises(NotFoundError, match="The secret tap_password is not stored"):
            pages(SingerConnector(), settings())


class TestCatalog:
    def test_fields_left_out_do_not_come_even_if_the_tap_gives_them(self, tmp_path: Path) -> None:
        from edgekit.connectors import singer_catalog

        found = SingerConnector().discover(settings(), secrets=VAULT)
        chosen = singer_catalog.select(found, "people", exclude=["token", "tags"])
        told = tmp_path / "told.json"
        page = read(settings(told=str(told), extra={"catalog": chosen}))[0]
        assert set(page.records[0]) == {"id", "name", "is_new", "price"}
        assert page.description is not None
        assert set(page.description.types) == set(page.records[0])
        (given,) = json.loads(json.loads(told.read_text(encoding="utf-8"))["catalog"])["streams"]
        selected = {tuple(m["breadcrumb"]): m["metadata"]["selected"] for m in given["metadata"]}
        assert selected[()] is True
        assert selected["properties", "name"] is True
        assert selected["properties", "token"] is False
        assert given["schema"]["properties"]["token"] == {"type": ["null", "string"]}

    def test_older_taps_are_told_by_their_own_option(self, tmp_path: Path) -> None:
        from edgekit.connectors import singer_catalog

        found = SingerConnector().discover(settings(), secrets=VAULT)
        chosen = singer_catalog.select(found, "people", fields=["name"], legacy=True)
        told = tmp_path / "told.json"
        read(settings(told=str(told), extra={"catalog": chosen, "catalog_option": "properties"}))
        assert "--properties" in json.loads(told.read_text(encoding="utf-8"))["arguments"]
        schema = singer_catalog.unpacked(chosen)["streams"][0]["schema"]
        assert schema["selected"] is True
        assert {name for name, kind in schema["properties"].items() if kind["selected"]} == {"id", "name"}


TARGET = [sys.executable, str(Path(__file__).with_name("singer_target.py"))]


def target(path: Path, mode: str = "at once", **extra: Any) -> dict[str, Any]:
    config = {"path": str(path), "mode": mode, "password": {"vault": "tap_password"}}
    return {"target": TARGET, "stream": "people", "key": "id", "config": config, **extra}


class TestTarget(DestinationContract):
    write_secrets: Mapping[str, str] = VAULT

    @pytest.fixture
    def destination(self) -> SingerConnector:
        return SingerConnector()

    @pytest.fixture
    def write_config(self, tmp_path: Path) -> dict[str, Any]:
        return target(tmp_path / "out.json")

    @pytest.fixture
    def broken_write_config(self, tmp_path: Path) -> dict[str, Any]:
        return target(tmp_path / "out.json", "broken")

    @pytest.fixture
    def content(self, tmp_path: Path) -> Callable[[], list[Any]]:
        path = tmp_path / "out.json"
        return lambda: (
            [row["id"] for row in json.loads(path.read_text(encoding="utf-8")).values()]
            if path.exists()
            else []
        )


class TestWhatTargetsDo:
    def send(self, config: dict[str, Any], *batches: list[dict[str, Any]]) -> list[Delivery]:
        found = []
        with SingerConnector().open(config, state={}, secrets=VAULT) as writer:
            for batch in batches:
                going = [Outgoing(record, "k", "i", f"row {n}") for n, record in enumerate(batch, 1)]
                found.append(writer.send(going))
            writer.finish()
        return found

    def test_one_that_confirms_at_its_end_is_run_for_each_batch(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(singer_target, "_FIRST_WAIT_SECONDS", 0.05)
        path = tmp_path / "out.json"
        with SingerConnector().open(target(path, "end"), state={}, secrets=VAULT) as writer:
            for number in (1, 2):
                delivery = writer.send([Outgoing({"id": number}, "k", "i", "row 1")])
                assert len(json.loads(path.read_text(encoding="utf-8"))) == number
        assert delivery.state == {"sent": 2}

    def test_the_schema_is_told_first_and_again_when_there_is_more_to_say(self, tmp_path: Path) -> None:
        path = tmp_path / "out.json"
        self.send(target(path), [{"id": 1, "size": 1}], [{"id": 2}], [{"id": 3, "size": 1.5, "tags": []}])
        told = [json.loads(line) for line in Path(f"{path}.log").read_text(encoding="utf-8").splitlines()]
        assert [schema["properties"] for schema in told] == [
            {"id": {"type": ["integer"]}, "size": {"type": ["integer", "null"]}},
            {
                "id": {"type": ["integer"]}, "size": {"type": ["number", "null"]},
                "tags": {"type": ["array", "null"]},
            },
        ]  # fmt: skip

    def test_a_record_without_its_key_is_refused_alone(self, tmp_path: Path) -> None:
        (delivery,) = self.send(target(tmp_path / "out.json"), [{"id": 1}, {"name": "nobody"}])
        assert [answer.error is None for answer in delivery.answers] == [True, False]
        assert delivery.state == {"sent": 1}

    @pytest.mark.parametrize(
        ("mode", "said"),
        [
            ("broken", "failed with exit code 1. It said: cannot log in with password=***"),
            ("crash", "failed with exit code 1. It said: the disk is full"),
            pytest.param("deaf", "does not end, 0.3 seconds after all was sent.", marks=pytest.mark.slow),
            pytest.param("forgets", "ended without confirming all it was given.", marks=pytest.mark.slow),
        ],
    )
    def test_what_goes_wrong_is_said(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str, said: str
    ) -> None:
        monkeypatch.setattr(singer_target, "_FIRST_WAIT_SECONDS", 0.05)
        with pytest.raises(UnavailableError) as caught:
            self.send(target(tmp_path / "out.json", mode, silence_seconds=0.3), [{"id": 1}])
        assert said in caught.value.message
        assert SECRET not in caught.value.message


def test_a_secret_in_a_state_is_kept_as_its_key(tmp_path: Path) -> None:
    tap = tmp_path / "tap.py"
    tap.write_text(
        "import json, sys\n"
        "given = {w: json.load(open(sys.argv[sys.argv.index(w) + 1])) for w in sys.argv if w[:2] == '--'}\n"
        "token = given['--config']['password']\n"
        "assert given.get('--state') in (None, {'seen': ['of ' + token]})\n"
        "print(json.dumps({'type': 'SCHEMA', 'stream': 'people', 'schema': {}, 'key_properties': []}))\n"
        "print(json.dumps({'type': 'STATE', 'value': {'seen': ['of ' + token]}}))\n",
        encoding="utf-8",
    )
    config = settings(extra={"tap": [sys.executable, str(tap)]})
    (page,) = read(config)
    assert page.state == {"done": True, "cursor": {"seen": ["of {vault:tap_password}"]}}
    assert read(config, page.state)[0].state == page.state


def test_a_secret_is_masked_before_a_long_line_is_cut(tmp_path: Path) -> None:
    tap = tmp_path / "tap.py"
    tap.write_text(
        f"import sys\nsys.stderr.write('x' * 3000 + {SECRET!r} + 'y' * 492)\n"
        f"sys.stdout.write('z' * 1995 + {SECRET!r} + '\\n')\nsys.exit(1)\n",
        encoding="utf-8",
    )
    config = settings(extra={"tap": [sys.executable, str(tap)]})
    found, error = read_until_it_breaks(config)
    assert error.message.endswith("***" + "y" * 492)
    (reject,) = found[0].rejects
    assert reject.raw == "z" * 1995 + "***"
