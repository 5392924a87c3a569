"""Keys, fingerprints, signatures and the signed study."""

import base64
import os
import stat
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from atoll.errors import NotPermitted, OperatorError, StudyError
from atoll.governance.signatures import (
    SignedStudy,
    fingerprint,
    make_key,
    new_key,
    public_bytes,
    read_key,
    read_or_make_key,
    sign,
    sign_study,
    verify,
)
from atoll.study.form import FINGERPRINT
from atoll.study.protocol import SiteEntry, read
from tests.unit.studies import STUDY

KEY = new_key()
PUBLIC = public_bytes(KEY)


def pinned_study():
    study = read(STUDY)
    return replace(study, sites={name: SiteEntry(fingerprint(public_bytes(new_key()))) for name in study.sites})


SIGNED = sign_study(pinned_study(), KEY)


def test_a_key_file_belongs_to_its_owner_alone(tmp_path):
    path = tmp_path / "keys" / "mine.pem"
    key = make_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert public_bytes(read_key(path)) == public_bytes(key)
    assert [entry.name for entry in path.parent.iterdir()] == ["mine.pem"]


def test_a_key_file_is_0600_whatever_the_umask_is(tmp_path):
    before = os.umask(0)
    try:
        make_key(tmp_path / "mine.pem")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "mine.pem").stat().st_mode) == 0o600


def test_a_key_is_never_replaced(tmp_path):
    make_key(tmp_path / "mine.pem")
    content = (tmp_path / "mine.pem").read_bytes()
    with pytest.raises(
        OperatorError, match=r"exists already\. Use it, or choose another name; a key is never replaced"
    ):
        make_key(tmp_path / "mine.pem")
    assert (tmp_path / "mine.pem").read_bytes() == content
    assert len(list(tmp_path.iterdir())) == 1


def test_a_key_is_made_once(tmp_path):
    first, made = read_or_make_key(tmp_path / "mine.pem")
    again, made_again = read_or_make_key(tmp_path / "mine.pem")
    assert (made, made_again) == (True, False)
    assert public_bytes(first) == public_bytes(again)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_key_that_others_can_read_is_refused(tmp_path, mode):
    make_key(tmp_path / "mine.pem")
    (tmp_path / "mine.pem").chmod(mode)
    with pytest.raises(NotPermitted, match=r"can be read by other users of this machine.*chmod 600"):
        read_key(tmp_path / "mine.pem")


def test_what_is_no_key_is_refused_with_a_sentence(tmp_path):
    path = tmp_path / "mine.pem"
    with pytest.raises(NotPermitted, match=r"cannot be read: No such file or directory\. Give the path"):
        read_key(path)
    path.touch(0o600)
    with pytest.raises(NotPermitted, match="holds no private key that Atoll can read"):
        read_key(path)
    path.write_bytes(
        X25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    with pytest.raises(NotPermitted, match="not an Ed25519 key"):
        read_key(path)


def test_a_fingerprint_is_eight_groups_that_can_be_read_aloud():
    assert FINGERPRINT.fullmatch(fingerprint(PUBLIC))
    letters = fingerprint(bytes(32)).removeprefix("SHA256:").replace("-", "")
    assert base64.b32decode(letters).hex() == "66687aadf862bd776c8fc18b8e9f8e2008971485"  # SHA-256 of 32 zero bytes
    assert fingerprint(PUBLIC) != fingerprint(public_bytes(new_key()))


@given(body=st.binary(max_size=200), other=st.binary(max_size=200))
def test_a_signature_holds_for_its_bytes_alone(body, other):
    signature = sign(KEY, "study", body)
    verify(PUBLIC, "study", body, signature)
    if other != body:
        with pytest.raises(NotPermitted, match="The signature under this study is not that of the key SHA256:"):
            verify(PUBLIC, "study", other, signature)


def test_a_signature_for_one_purpose_is_none_for_another():
    signature = sign(KEY, "share", b"body")
    with pytest.raises(NotPermitted, match="The signature under this study"):
        verify(PUBLIC, "study", b"body", signature)
    with pytest.raises(ValueError, match="not a short lower-case word"):
        sign(KEY, "study\0", b"body")


@given(noise=st.binary(max_size=100))
def test_noise_is_refused_as_a_key_and_as_a_signature(noise):
    with pytest.raises(NotPermitted):
        verify(noise, "study", b"body", bytes(64))
    with pytest.raises(NotPermitted):
        verify(PUBLIC, "study", b"body", noise)


def test_a_signed_study_survives_its_file():
    again = SignedStudy.from_bytes(SIGNED.to_bytes())
    assert again == SIGNED
    assert again.study().investigator.key == again.fingerprint == fingerprint(PUBLIC)
    assert again.hash == again.study().hash


@given(at=st.integers(0, len(SIGNED.to_bytes()) - 1), flip=st.integers(1, 255))
def test_one_changed_byte_of_a_signed_study_is_refused(at, flip):
    content = bytearray(SIGNED.to_bytes())
    content[at] ^= flip
    with pytest.raises(NotPermitted, match=r"[Tt]his is not a signed study|signed study is|signature under this study"):
        SignedStudy.from_bytes(bytes(content))


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[1]", b"null", b"[" * 100_000, b'{"format": "atoll signed study 1"}']
)
def test_what_is_no_signed_study_is_refused(content):
    with pytest.raises(NotPermitted, match=r"not a signed study|is damaged"):
        SignedStudy.from_bytes(content)


def test_a_study_without_the_keys_of_its_hospitals_cannot_be_signed():
    with pytest.raises(StudyError, match=r"gives no key for north, river\. Write each hospital's fingerprint under"):
        sign_study(read(STUDY), KEY)


def test_only_the_investigator_whom_the_study_names_can_sign_it():
    other = fingerprint(public_bytes(new_key()))
    study = pinned_study()
    named = replace(study, investigator=replace(study.investigator, key=other))
    with pytest.raises(NotPermitted, match=f"names the investigator's key {other}, but yours is"):
        sign_study(named, KEY)
    forged = SignedStudy(named.canonical(), PUBLIC, sign(KEY, "study", named.canonical()))
    with pytest.raises(NotPermitted, match=f"names the investigator's key {other}, but SHA256:.* signed it"):
        forged.study()
