"""What a bundle may say, on the workstation and on the recorder alike; and its signature."""

from __future__ import annotations

import base64
import json
import os
import random
import subprocess
import time

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from ecotf_recorder.releases.bundle import ReleaseError, check_files, check_signature, read_bundle
from ecotf_recorder.releases.signature import read_public_key, verify

from deploy.flash.bundles import open_bundle, sign_bundle
from ecotf.errors import ConfigError, DataError

# RFC 8032, section 7.1: public key, message, signature.
VECTORS = [
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe2465"
        "5141438e7a100b",
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb0"
        "0d291612bb0c00",
    ),
    (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc0"
        "27beceea1ec40a",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("key", "message", "signature"), VECTORS)
def test_signatures_of_the_rfc(key, message, signature):
    public, text, signed = map(bytes.fromhex, (key, message, signature))
    assert verify(public, text, signed)
    assert not verify(public, text + b"x", signed)
    for at in (0, 31, 32, 63):
        changed = bytearray(signed)
        changed[at] ^= 1
        assert not verify(public, text, bytes(changed))


def test_signatures_agree_with_the_library():
    drawn = random.Random(8032)
    for _ in range(12):
        key = Ed25519PrivateKey.from_private_bytes(drawn.randbytes(32))
        public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        message = drawn.randbytes(drawn.randrange(300))
        assert verify(public, message, key.sign(message))
        assert not verify(public, message, drawn.randbytes(64))
        assert not verify(drawn.randbytes(32), message, key.sign(message))


def test_a_signature_has_one_form():
    """S and S + order are the same number to the curve; only the smaller one is accepted, as the RFC demands."""
    order = 2**252 + 27742317777372353535851937790883648493
    key, message, signature = (bytes.fromhex(part) for part in VECTORS[1])
    larger = int.from_bytes(signature[32:], "little") + order
    assert not verify(key, message, signature[:32] + larger.to_bytes(32, "little"))
    assert not verify(key, message, signature[:63]) and not verify(key[:31], message, signature)


def test_verifying_is_quick_enough_for_a_small_board():
    key, message, signature = (bytes.fromhex(part) for part in VECTORS[1])
    began = time.process_time()
    verify(key, message, signature)
    assert time.process_time() - began < 0.5


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"format": 2}, "format 2; this version reads format 1"),
        ({"id": "0123456789ab"}, "is not the beginning of the checksum"),
        ({"id": 7}, "id 7 is not"),
        ({"files": {}}, "no model.tflite among its files"),
        ({"files": []}, "are not listed as name"),
        ({"files": {"model.tflite": "x"}}, "are not listed as name"),
        ({"files": {"model.tflite": {"sha256": "ab", "bytes": 1}}}, "is not 64 hexadecimal digits"),
        (
            {"files": {"model.tflite": {"sha256": "a" * 64, "bytes": True}}},
            "the bytes of model.tflite are not a number",
        ),
        ({"files": {"model.tflite": {"sha256": "a" * 64, "bytes": -1}}}, "the bytes of model.tflite are not a number"),
    ],
)
def test_a_manifest_that_cannot_be(make_bundle, change, reason):
    folder = make_bundle()
    path = folder / "bundle.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(ReleaseError) as refused:
        read_bundle(folder)
    assert reason in str(refused.value)


@pytest.mark.parametrize(
    "name",
    ["../model.tflite", "/kept/model", "a/b", "..", ".bashrc", "", "a\\b", "x.part", "bundle.json", "bundle.json.sig",
     "new\nline", "-rf", "a" * 101, "naïve"],
)  # fmt: skip
def test_names_that_leave_the_folder(make_bundle, name):
    folder = make_bundle()
    path = folder / "bundle.json"
    said = json.loads(path.read_text())
    said["files"][name] = {"sha256": "a" * 64, "bytes": 1}
    path.write_text(json.dumps(said))
    with pytest.raises(ReleaseError, match="is no plain file name; refused"):
        read_bundle(folder)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[1]", b"null", b"\xff\xfe", b'{"format": 1}', b" " * (1 << 20) + b"{}"]
)
def test_a_manifest_that_is_none(make_bundle, content):
    folder = make_bundle()
    (folder / "bundle.json").write_bytes(content)
    with pytest.raises(ReleaseError):
        read_bundle(folder)
    with pytest.raises(DataError):
        open_bundle(folder)


def test_files_that_are_not_as_stated(make_bundle, tmp_path):
    folder = make_bundle("good 1")
    model = folder / "model.tflite"
    model.write_text("good 2")
    with pytest.raises(ReleaseError, match="its checksum is not the one"):
        check_files(read_bundle(folder))
    model.write_text("good")
    with pytest.raises(ReleaseError, match="4 bytes instead of 6"):
        check_files(read_bundle(folder))
    model.unlink()
    with pytest.raises(ReleaseError, match=r"model\.tflite: missing"):
        check_files(read_bundle(folder))
    (tmp_path / "elsewhere").write_text("good 1")
    os.symlink(tmp_path / "elsewhere", model)
    with pytest.raises(ReleaseError, match="a link or a folder where a file should be"):
        check_files(read_bundle(folder))


def test_files_that_nobody_named(make_bundle):
    folder = make_bundle()
    (folder / ".DS_Store").write_text("")
    check_files(read_bundle(folder))
    with pytest.raises(ReleaseError, match=r"\.DS_Store: not named in bundle\.json"):
        check_files(read_bundle(folder), only_these=True)


def test_a_folder_that_is_no_bundle(tmp_path):
    with pytest.raises(ConfigError, match="no such folder"):
        open_bundle(tmp_path / "none")
    with pytest.raises(DataError, match=r"bundle\.json: missing"):
        open_bundle(tmp_path)


def test_signing(make_bundle, tmp_path, monkeypatch):
    folder, trusted, keys = make_bundle(), tmp_path / "trusted", tmp_path / "keys"
    trusted.mkdir()
    keys.mkdir()
    for name, password in (("plain", ""), ("locked", "open sesame")):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", password, "-f", keys / name], check=True)
    assert check_signature(read_bundle(folder), trusted) is None, "no key, nothing to check"
    monkeypatch.setattr("getpass.getpass", lambda prompt: "open sesame")
    for name in ("plain", "locked"):
        (trusted / f"{name}.pub").write_bytes((keys / f"{name}.pub").read_bytes())
        sign_bundle(open_bundle(folder), keys / name)
        assert check_signature(read_bundle(folder), trusted) == name
    assert len(base64.b64decode((folder / "bundle.json.sig").read_text())) == 64
    (folder / "bundle.json.sig").write_text("not base64!")
    with pytest.raises(ReleaseError, match="not a signature"):
        check_signature(read_bundle(folder), trusted)


def test_keys_that_are_none(make_bundle, tmp_path, monkeypatch):
    bundle = open_bundle(make_bundle())
    subprocess.run(["ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", tmp_path / "ecdsa"], check=True)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "right", "-f", tmp_path / "locked"], check=True)
    (tmp_path / "text").write_text("hello")
    monkeypatch.setattr("getpass.getpass", lambda prompt: "wrong")
    for name, reason in (
        ("ecdsa", "not an ed25519 key"), ("text", "no OpenSSH private key"), ("none", "No such file"),
        ("locked", "the password is wrong"),
    ):  # fmt: skip
        with pytest.raises(ConfigError, match=reason):
            sign_bundle(bundle, tmp_path / name)
    for text in ("", "ssh-ed25519", "ssh-ed25519 !!!", "ssh-ed25519 AAAA x", "ssh-rsa AAAAB3NzaC1yc2E= me"):
        (tmp_path / "key.pub").write_text(text)
        with pytest.raises(ValueError, match="key"):
            read_public_key(tmp_path / "key.pub")
