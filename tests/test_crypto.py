import base64
import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit import crypto
from edgekit.errors import CorruptError, VaultLockedError

KEY = bytes(range(32))
PLACE = "integration_credential/6f1c/value_ciphertext"


@given(
    plaintext=st.binary(max_size=200), context=st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
)
@settings(max_examples=50, deadline=None)
def test_what_is_sealed_opens_in_its_place(plaintext: bytes, context: str) -> None:
    sealed = crypto.encrypt(KEY, plaintext, context=context)
    assert crypto.decrypt(KEY, sealed, context=context) == plaintext
    assert len(sealed) == len(plaintext) + crypto.OVERHEAD


def test_the_same_value_is_sealed_differently_each_time() -> None:
    first, second = (crypto.encrypt(KEY, b"swordfish-1984", context=PLACE) for _ in range(2))
    assert first != second
    assert b"swordfish" not in first + second


def test_every_changed_bit_is_noticed() -> None:
    sealed = crypto.encrypt(KEY, b"swordfish", context=PLACE)
    for position in range(len(sealed)):
        altered = bytearray(sealed)
        altered[position] ^= 1
        with pytest.raises((CorruptError, VaultLockedError)) as refusal:
            crypto.decrypt(KEY, bytes(altered), context=PLACE)
        assert "swordfish" not in str(refusal.value)


def test_a_value_does_not_open_in_another_place() -> None:
    sealed = crypto.encrypt(KEY, b"swordfish", context=PLACE)
    with pytest.raises(CorruptError, match="moved here from another row"):
        crypto.decrypt(KEY, sealed, context=PLACE.replace("6f1c", "6f1d"))


def test_another_key_is_told_from_an_altered_value() -> None:
    sealed = crypto.encrypt(KEY, b"swordfish", context=PLACE)
    other = crypto.random_key()
    with pytest.raises(VaultLockedError, match=crypto.fingerprint(other)):
        crypto.decrypt(other, sealed, context=PLACE)


@pytest.mark.parametrize(
    "sealed", [b"", b"\x01" * (crypto.OVERHEAD - 1), b"\x02" * crypto.OVERHEAD, b"plain text " * 9]
)
def test_bytes_that_were_never_sealed_are_refused(sealed: bytes) -> None:
    with pytest.raises(CorruptError):
        crypto.decrypt(KEY, sealed, context=PLACE)


def test_a_key_that_is_too_short_is_a_programming_error() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        crypto.encrypt(b"short", b"x", context=PLACE)


def test_a_fingerprint_is_stable_and_holds_nothing_of_the_key() -> None:
    assert crypto.fingerprint(KEY) == crypto.fingerprint(bytes(range(32)))
    assert crypto.fingerprint(KEY)[0] == "k"
    assert len(crypto.fingerprint(KEY)) == 9
    assert len({crypto.fingerprint(crypto.random_key()) for _ in range(200)}) == 200
    assert crypto.key_check(KEY) not in KEY


def test_a_passphrase_gives_the_published_key() -> None:
    # RFC 7914, section 12, third vector, cut to our length
    kdf = crypto.Scrypt(salt=b"SodiumChloride".hex(), n=16384, r=8, p=1)
    published = "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2"
    assert kdf.derive("pleaseletmein").hex() == published


def test_a_passphrase_typed_on_another_system_gives_the_same_key() -> None:
    kdf = crypto.Scrypt(n=16)
    assert kdf.derive("Müller & Söhne") == kdf.derive("Mu\u0308ller & So\u0308hne")
    assert kdf.derive("Müller & Söhne") != kdf.derive("Muller & Sohne")
    assert kdf.derive("Müller") != crypto.Scrypt(n=16).derive("Müller"), "the salt is new each time"


def test_the_stored_cost_is_read_back_and_is_the_agreed_one() -> None:
    kdf = crypto.Scrypt()
    assert crypto.Scrypt.from_dict(kdf.as_dict()) == kdf
    assert kdf.n == 2**16


@pytest.mark.parametrize(
    "change",
    [
        {"n": 2**40},
        {"n": 1000},
        {"n": 0},
        {"n": "65536"},
        {"n": True},
        {"r": 0},
        {"r": 2**20},
        {"p": 0},
        {"salt": "00"},
        {"salt": "zz" * 16},
        {"salt": 7},
        {"algorithm": "none"},
        {"more": 1},
    ],
)
def test_damaged_parameters_are_refused_before_they_cost_anything(change: dict[str, object]) -> None:
    with pytest.raises(CorruptError):
        crypto.Scrypt.from_dict({**crypto.Scrypt().as_dict(), **change})


def test_parameters_that_are_no_object_are_refused() -> None:
    with pytest.raises(CorruptError):
        crypto.Scrypt.from_dict(["scrypt"])


@given(st.binary(min_size=32, max_size=32))
@settings(max_examples=50, deadline=None)
def test_a_key_is_read_as_it_was_written(key: bytes) -> None:
    assert crypto.key_from_text(crypto.key_to_text(key)) == key
    as_openssl_writes_it = f"{base64.b64encode(key).decode()}\r\n"
    assert crypto.key_from_text(as_openssl_writes_it) == key


@pytest.mark.parametrize("text", ["", "hunter2", "x" * 42, "x" * 44, "é" * 43, "!" * 43, "=" * 43])
def test_text_that_is_no_key_is_told_apart(text: str) -> None:
    assert crypto.key_from_text(text) is None


def test_importing_the_door_does_not_open_it() -> None:
    script = "import sys, edgekit.crypto; sys.exit('cryptography' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_parameters_do_not_change_in_place() -> None:
    kdf = crypto.Scrypt()
    assert replace(kdf, n=2**17).salt == kdf.salt
