"""An encrypted backup tells nothing, and opens with the master key or with the recovery kit."""

from __future__ import annotations

import io
import shutil
from typing import TYPE_CHECKING

import pytest
from test_vault_recovery import PHRASE, _cheap, stick
from test_vault_rotation import SECRET, _locked, credential

from edgekit import crypto, integrations, vault
from edgekit.errors import CorruptError, InvalidError, MigrationNeededError, VaultLockedError
from edgekit.file import encrypting
from edgekit.file.backup import backup, read_manifest
from edgekit.file.drilling import drill
from edgekit.file.opening import open as open_file
from edgekit.file.restore import restore
from edgekit.file.verify import read_anchor

if TYPE_CHECKING:
    from pathlib import Path

    from edgekit.db import Database

__all__ = ["_cheap", "_locked", "stick"]


@pytest.mark.ledger("S3-92")
def test_an_encrypted_backup_opens_with_the_master_key_or_the_kit(
    edge: Database, tmp_path: Path, stick: Path
) -> None:
    vault.init()
    credential()
    vault.make_kit(stick, PHRASE)
    folder = tmp_path / "backups"
    folder.mkdir()
    made = backup(edge.path, folder, encrypted=True)
    assert made.path.name.endswith(encrypting.SUFFIX)
    assert [path.name for path in folder.iterdir()] == [made.path.name], "nothing that can be read is left"
    content = made.path.read_bytes()
    for readable in (b"SQLite format 3", b"PK\x03\x04", b"Test Agency", b"manifest"):
        assert readable not in content
    with pytest.raises(InvalidError, match="is encrypted"):
        read_manifest(made.path)
    with pytest.raises(InvalidError, match="is encrypted"):
        read_anchor(made.path)
    assert drill(stick, PHRASE, backup=made.path).holds
    edge.close()
    restored = restore(made.path, tmp_path / "with-key.db")
    assert restored.manifest is not None
    assert restored.findings == []
    shutil.rmtree(tmp_path / "home")
    with pytest.raises(VaultLockedError, match="which is not here") as refusal:
        restore(made.path, tmp_path / "without.db")
    assert "--kit" in str(refusal.value.hint)
    assert not (tmp_path / "without.db").exists()
    kit = vault.read_kit(stick, PHRASE)
    with open_file(restore(made.path, tmp_path / "with-kit.db", kit=kit).path):
        vault.recover(stick, PHRASE)
        assert integrations.get_credential("cars", "api_key") == SECRET


def test_without_a_vault_nothing_is_encrypted(edge: Database, tmp_path: Path) -> None:
    with pytest.raises(VaultLockedError, match="no key yet"):
        backup(edge.path, tmp_path / "b.sealed", encrypted=True)
    assert not (tmp_path / "b.sealed").exists()


@pytest.mark.ledger("S3-92")
def test_what_was_altered_or_cut_off_is_refused(edge: Database, tmp_path: Path) -> None:
    vault.init()
    whole = backup(edge.path, tmp_path / "b.sealed", encrypted=True).path.read_bytes()
    bad = tmp_path / "bad.sealed"
    header = whole.index(b"}", whole.index(b"content_key")) + 1
    for place in (header - 3, header + 100, len(whole) - 1):
        bad.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(CorruptError):
            restore(bad, tmp_path / "x.db")
    for end in (30, header + 5, len(whole) - 20, len(whole) - 1):
        bad.write_bytes(whole[:end])
        with pytest.raises(CorruptError):
            restore(bad, tmp_path / "x.db")
    site = edge.site.encode()
    for wrong in (b"5" + b" " * 37, b"[" * 38):  # as long as what stood there, and no text
        bad.write_bytes(whole.replace(b'"' + site + b'"', wrong, 1))
        with pytest.raises(CorruptError):
            restore(bad, tmp_path / "x.db")
    bad.write_bytes(whole.replace(b"backup/1", b"backup/9", 1))
    with pytest.raises(MigrationNeededError):
        restore(bad, tmp_path / "x.db")
    assert not (tmp_path / "x.db").exists()


@pytest.mark.parametrize("size", [0, 1, 16, 1023, 1024, 1025, 4096])
def test_a_stream_comes_back_whole_or_not_at_all(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crypto, "_CHUNK_SIZE", 1024)
    key, plain = bytes(range(32)), bytes(number % 251 for number in range(size))
    sealed, back = io.BytesIO(), io.BytesIO()
    crypto.seal_stream(key, io.BytesIO(plain), sealed, context=b"c")
    crypto.open_stream(key, io.BytesIO(sealed.getvalue()), back, context=b"c")
    assert back.getvalue() == plain
    content = sealed.getvalue()
    step = 1024 + 16
    wrong = [content[:-1], content + b"x", b""]
    if size > 1024:
        wrong += [content[:step], content[step:], content[step:] + content[:step]]
    for other in wrong:
        with pytest.raises(CorruptError):
            crypto.open_stream(key, io.BytesIO(other), io.BytesIO(), context=b"c")
    with pytest.raises(CorruptError):
        crypto.open_stream(key, io.BytesIO(content), io.BytesIO(), context=b"d")
