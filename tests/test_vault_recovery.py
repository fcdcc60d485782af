"""The recovery kit opens what it says it opens: on a bare machine, on copies, on old backups."""

from __future__ import annotations

import json
import os
import shutil
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from test_vault_rotation import SECRET, WORDS, _locked, credential, filled, opened

from edgekit import clock, crypto, db, integrations, vault
from edgekit.errors import (
    ConflictError,
    CorruptError,
    DeniedError,
    InvalidError,
    NotFoundError,
    VaultLockedError,
)
from edgekit.file.backup import backup
from edgekit.file.drilling import drill
from edgekit.file.opening import open as open_file
from edgekit.file.restore import restore
from edgekit.file.verify import verify
from edgekit.vault import keys

if TYPE_CHECKING:
    from pathlib import Path

    from edgekit.db import Database
    from edgekit.finding import Finding

__all__ = ["_locked", "filled"]

PHRASE = "correct horse battery staple"


@pytest.fixture(autouse=True)
def _cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the passphrase of a kit cheap: what it costs is measured elsewhere."""
    monkeypatch.setattr(crypto, "SCRYPT_N", 2**10)
    monkeypatch.setattr(crypto.Scrypt.__init__, "__defaults__", _defaults())


def _defaults() -> tuple[Any, ...]:
    before = crypto.Scrypt.__init__.__defaults__
    assert before is not None
    return tuple(2**10 if value == 2**16 else value for value in before)


@pytest.fixture
def stick(tmp_path: Path) -> Path:
    """A place apart from the database."""
    folder = tmp_path / "stick"
    folder.mkdir()
    return folder / "kit.json"


def lose_everything(tmp_path: Path) -> None:
    """Be on a machine that has nothing else."""
    shutil.rmtree(tmp_path / "home")
    vault.lock()


def said(about: str, **options: Any) -> Finding:
    (found,) = [one for one in vault.doctor(**options) if about in one.what]
    return found


@pytest.mark.ledger("S1-48", "S4-91")
def test_the_kit_alone_restores_every_secret_on_a_bare_machine(
    filled: dict[tuple[str, str], int], edge: Database, tmp_path: Path, stick: Path
) -> None:
    before = opened(filled)
    vault.make_kit(stick, PHRASE)
    archive = backup(edge.path, tmp_path / "b.zip").path
    edge.close()
    lose_everything(tmp_path)
    with open_file(restore(archive, tmp_path / "elsewhere.db").path):
        with pytest.raises(VaultLockedError, match="No master key") as refusal:
            integrations.get_credential("cars", "api_key")
        assert "vault recover" in str(refusal.value.hint)
        done = vault.recover(stick, PHRASE)
        # besides the fields: the secret of an integration, and what a run kept
        assert (done.is_new, done.values, done.unreadable) == (False, len(filled) + 2, ())
        assert opened(filled) == before
        assert integrations.get_credential("cars", "api_key") == SECRET
        assert vault.status().problem is None
        again = vault.recover(stick, PHRASE)
        assert (again.is_new, again.location) == (False, done.location)


def test_the_kit_opens_keys_made_after_it_and_older_backups(
    filled: dict[tuple[str, str], int], edge: Database, tmp_path: Path, stick: Path
) -> None:
    old = backup(edge.path, tmp_path / "old.zip").path
    vault.rotate()
    vault.make_kit(stick, PHRASE)
    vault.rotate()  # the kit was made before this key
    assert drill(stick, PHRASE).holds
    before = opened(filled)
    lose_everything(tmp_path)
    vault.recover(stick, PHRASE)
    assert opened(filled) == before
    assert drill(stick, PHRASE, backup=old).holds
    edge.close()
    shutil.rmtree(tmp_path / "home")
    with open_file(restore(old, tmp_path / "old.db").path):
        vault.recover(stick, PHRASE)
        assert opened(filled) == before


def test_a_new_master_key_makes_the_kit_stale_and_it_says_so(
    edge: Database, tmp_path: Path, stick: Path
) -> None:
    vault.init()
    credential()
    assert said("no recovery kit").severity == "warning"
    vault.make_kit(stick, PHRASE)
    assert "tried" in said("Nobody has tried").what
    assert drill(stick, PHRASE).holds
    assert said("was tried on").severity == "ok"
    vault.rotate()
    assert said("was tried on").severity == "ok", "the kit holds the master key of the new one too"
    archive = backup(edge.path, tmp_path / "b.zip").path
    done = vault.rotate_master()
    assert done.needs_kit
    in_kit = [one.recovery_kit_at is not None for one in reversed(keys.data())]
    assert in_kit == [True, False, False], "the second was opened by the old master key, which is gone"
    stale = said("is stale")
    assert "recovery-kit" in stale.do
    failed = drill(stick, PHRASE)
    assert not failed.holds
    assert failed.lost_keys
    assert failed.unreadable
    assert drill(stick, PHRASE, backup=archive).holds, "what was made before it still opens"
    home, away = tmp_path / "home", tmp_path / "away"
    home.rename(away)
    vault.lock()
    with pytest.raises(VaultLockedError, match="before the master key was replaced"):
        vault.recover(stick, PHRASE)
    assert not home.exists(), "nothing was made"
    away.rename(home)
    vault.make_kit(stick.with_name("new.json"), PHRASE)
    assert drill(stick.with_name("new.json"), PHRASE).holds
    assert said("was tried on").severity == "ok"


def test_a_kit_nobody_tried_for_a_year_is_spoken_of(edge: Database, stick: Path) -> None:
    vault.init()
    credential()
    vault.make_kit(stick, PHRASE)
    drill(stick, PHRASE)
    assert said("last tried on", now=clock.now() + timedelta(days=400)).severity == "warning"
    old = [one for one in vault.doctor(now=clock.now() + timedelta(days=400)) if "has sealed" in one.what]
    assert [one.do for one in old] == ["Run: edgekit vault rotate"]


def test_a_passphrase_that_is_lost_is_replaced(
    edge: Database, tmp_path: Path, stick: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEKIT_MASTER_KEY", f"passphrase:{WORDS}")
    vault.init()
    credential()
    vault.make_kit(stick, PHRASE)
    monkeypatch.delenv("EDGEKIT_MASTER_KEY")
    vault.lock()
    done = vault.recover(stick, PHRASE)
    assert (done.is_new, done.values) == (True, 1)
    assert done.location.startswith(str(tmp_path / "home"))
    assert integrations.get_credential("cars", "api_key") == SECRET
    assert "stale" in said("recovery kit").what


def test_an_older_master_key_in_place_does_not_come_back(edge: Database, tmp_path: Path, stick: Path) -> None:
    vault.init()
    credential()
    new = vault.rotate_master()
    vault.make_kit(stick, PHRASE)
    (tmp_path / "home" / "keys" / f"{edge.site}.{new.master_fingerprint}.key").unlink()
    vault.lock()
    with pytest.raises(VaultLockedError, match="Wrong master key"):
        integrations.get_credential("cars", "api_key")
    done = vault.recover(stick, PHRASE)
    assert (done.is_new, done.master_fingerprint) == (False, new.master_fingerprint)
    assert integrations.get_credential("cars", "api_key") == SECRET


def test_a_key_named_by_a_variable_takes_over(
    edge: Database, tmp_path: Path, stick: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault.init()
    credential()
    vault.make_kit(stick, PHRASE)
    monkeypatch.setenv("EDGEKIT_MASTER_KEY", crypto.key_to_text(bytes(range(32))))
    vault.lock()
    done = vault.recover(stick, PHRASE)
    assert (done.is_new, done.location) == (True, "EDGEKIT_MASTER_KEY")
    assert integrations.get_credential("cars", "api_key") == SECRET


def test_a_kit_is_never_beside_the_database_nor_over_another_file(
    edge: Database, tmp_path: Path, stick: Path
) -> None:
    vault.init()
    with pytest.raises(InvalidError, match="beside the database"):
        vault.make_kit(edge.path.parent / "kit.json", PHRASE)
    stick.write_text("mine")
    with pytest.raises(ConflictError, match="already exists"):
        vault.make_kit(stick, PHRASE)
    assert stick.read_text() == "mine"
    with pytest.raises(InvalidError, match="shorter than 12"):
        vault.make_kit(stick.with_name("a"), "swordfish")
    with pytest.raises(NotFoundError, match="There is no folder"):
        vault.make_kit(stick.parent / "below" / "kit.json", PHRASE)
    assert not (stick.parent / "below").exists()
    assert db.query("SELECT max(recovery_kit_at) AS at FROM encryption_key") == [{"at": None}]


def test_a_kit_shows_nothing_and_is_for_its_owner_alone(edge: Database, tmp_path: Path, stick: Path) -> None:
    vault.init()
    made = vault.make_kit(stick, PHRASE)
    if os.name == "posix":
        assert stick.stat().st_mode & 0o777 == 0o600
    text = stick.read_text(encoding="utf-8")
    key = (tmp_path / "home" / "keys" / f"{edge.site}.key").read_text().strip()
    opened_kit = vault.read_kit(stick, PHRASE)
    for secret in (key, PHRASE, *map(crypto.key_to_text, opened_kit.by_uuid.values())):
        assert secret not in text + repr(made) + repr(opened_kit)
    assert "vault recover" in text, "who finds it is told what it is for"


@pytest.mark.parametrize("member", ["site", "made_at", "master_fingerprint", "sealed", "about"])
def test_a_kit_that_was_altered_is_refused(edge: Database, stick: Path, member: str) -> None:
    vault.init()
    vault.make_kit(stick, PHRASE)
    content = json.loads(stick.read_text())
    content[member] = content[member][:-6] + ("AAAAAA" if content[member][-6:] != "AAAAAA" else "BBBBBB")
    stick.write_text(json.dumps(content))
    with pytest.raises(CorruptError):
        vault.read_kit(stick, PHRASE)


def test_the_database_itself_is_never_opened_as_a_kit_or_key(
    edge: Database, tmp_path: Path, stick: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever closes it drops the locks SQLite holds on it in this process."""
    vault.init()
    credential()
    vault.make_kit(stick, PHRASE)
    link = tmp_path / "link"
    link.symlink_to(edge.path)
    touched = []

    def noted(self: Path, *given: Any, **named: Any) -> Any:
        touched.append(self.resolve())
        return type(self).__mro__[1].open(self, *given, **named)

    monkeypatch.setattr(type(link), "open", noted, raising=False)
    with pytest.raises(CorruptError, match="no recovery kit"):
        vault.recover(link, PHRASE)
    assert drill(stick, PHRASE, backup=link).holds
    monkeypatch.setenv("EDGEKIT_MASTER_KEY_FILE", str(link))
    vault.lock()
    with pytest.raises(VaultLockedError, match="is the database"):
        integrations.get_credential("cars", "api_key")
    assert touched
    assert edge.path.resolve() not in touched


def test_a_passphrase_of_a_few_characters_over_and_over_is_refused(edge: Database, stick: Path) -> None:
    vault.init()
    with pytest.raises(InvalidError, match="different characters"):
        vault.make_kit(stick, "aaaa aaaa aaaa aaaa")
    assert not stick.exists()


def test_what_is_no_kit_is_refused(edge: Database, stick: Path) -> None:
    vault.init()
    with pytest.raises(NotFoundError):
        vault.read_kit(stick, PHRASE)
    for text in ("", "{}", "[]", "null", '{"sealed": 1}', "\xff", "[" * 100_000):
        stick.write_text(text)
        with pytest.raises(CorruptError):
            vault.read_kit(stick, PHRASE)
    stick.unlink()
    vault.make_kit(stick, PHRASE)
    with pytest.raises(DeniedError, match="not the passphrase"):
        vault.read_kit(stick, PHRASE + "r")
    content = json.loads(stick.read_text())
    content["format"] = "edgekit-recovery-kit/9"
    stick.write_text(json.dumps(content))
    with pytest.raises(ConflictError, match="newer edgekit"):
        vault.read_kit(stick, PHRASE)


def test_the_kit_of_another_file_is_refused(
    edge: Database, tmp_path: Path, stick: Path, pattern_file: Path
) -> None:
    vault.init()
    vault.make_kit(stick, PHRASE)
    edge.close()
    other = tmp_path / "other" / "other.db"
    other.parent.mkdir()
    shutil.copyfile(pattern_file, other)
    with open_file(other):
        lose_everything(tmp_path)
        vault.init()
        with pytest.raises(VaultLockedError, match="kit of another file"):
            vault.recover(stick, PHRASE)


@pytest.mark.skipif(os.name != "posix", reason="access rights of this kind are POSIX")
def test_the_doctor_names_a_key_file_others_can_read_or_that_lies_beside(
    edge: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault.init()
    path = edge.path.parent / "master.key"
    shutil.copyfile(next((edge.path.parent / "home" / "keys").iterdir()), path)
    path.chmod(0o644)
    monkeypatch.setenv("EDGEKIT_MASTER_KEY_FILE", str(path))
    vault.lock()
    warnings = [one.what for one in vault.doctor() if one.severity == "warning"]
    assert any("can be read by others" in one for one in warnings)
    assert any("beside the database" in one for one in warnings)


def test_the_doctor_names_a_missing_and_a_wrong_key(
    edge: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert [one.severity for one in vault.doctor()] == ["ok"]
    vault.init()
    credential()
    shutil.rmtree(tmp_path / "home")
    vault.lock()
    assert "recover" in said("No master key").do
    monkeypatch.setenv("EDGEKIT_MASTER_KEY", crypto.key_to_text(bytes(range(32))))
    assert said("Wrong master key").severity == "error"
    assert keys.held().by_id == {}


def test_a_backup_without_any_key_proves_nothing(edge: Database, tmp_path: Path, stick: Path) -> None:
    bare = backup(edge.path, tmp_path / "bare.zip").path
    vault.init()
    credential()
    vault.make_kit(stick, PHRASE)
    assert not drill(stick, PHRASE, backup=bare).holds


def test_when_all_is_lost_secrets_are_stored_anew_and_a_kit_may_still_turn_up(
    filled: dict[tuple[str, str], int], edge: Database, tmp_path: Path, stick: Path
) -> None:
    with pytest.raises(ConflictError, match="nothing was given up"):
        vault.start_over()
    vault.make_kit(stick, PHRASE)
    before = opened(filled)
    lose_everything(tmp_path)
    done = vault.start_over()
    assert len(done.unreadable) == len(filled) + 2
    assert done.lost_keys == tuple(one.id for one in keys.read(db.connection()) if one.retired_at is not None)
    credential("other", "a new one")
    assert integrations.get_credential("cars", "other") == "a new one"
    with pytest.raises(VaultLockedError, match="a key this file does not have"):
        integrations.get_credential("cars", "api_key")
    assert "vault recover" in " ".join(one.do for one in vault.doctor())
    back = vault.recover(stick, PHRASE)
    assert (back.is_new, back.values, back.unreadable) == (False, len(filled) + 3, ())
    assert opened(filled) == before
    assert integrations.get_credential("cars", "api_key") == SECRET
    assert verify(edge.path) == []
