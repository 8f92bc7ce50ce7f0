"""Secrets: where they come from, and that they do not get out."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

import msgspec
import pytest

from supervisor.secret import Secret, SecretError

VALUE = "hunter2-hunter2"


def test_no_way_of_printing_shows_the_secret() -> None:
    secret = Secret(VALUE)
    for text in (str(secret), repr(secret), f"{secret}", f"{secret!r:>40}", "%s" % secret, str([secret])):  # noqa: UP031
        assert "hunter2" not in text
        assert "****" in text
    assert secret.reveal() == VALUE


def test_msgspec_pickle_and_copy_refuse_it() -> None:
    class Holder(msgspec.Struct):
        key: Secret

    for encode in (msgspec.json.encode, msgspec.msgpack.encode, msgspec.to_builtins):
        with pytest.raises(TypeError) as error:
            encode(Holder(key=Secret(VALUE)))
        assert "hunter2" not in str(error.value)
    for way in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            way(Secret(VALUE))


def test_equal_by_value_and_not_hashable() -> None:
    assert Secret(VALUE) == Secret(VALUE)
    assert Secret(VALUE) != Secret("other")
    assert Secret(VALUE) != VALUE
    with pytest.raises(TypeError):
        hash(Secret(VALUE))


def test_from_a_file_only_its_owner_can_read(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text(f"  {VALUE}\n")
    path.chmod(0o600)
    assert Secret.load(f"file:{path}").reveal() == VALUE


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_file_that_others_can_read_is_refused_with_what_to_do(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "key"
    path.write_text(VALUE)
    path.chmod(mode)
    with pytest.raises(SecretError, match=f"{mode:04o}.*chmod 600") as error:
        Secret.load(f"file:{path}")
    assert "hunter2" not in str(error.value)


def test_from_the_environment_and_from_systemds_credentials(tmp_path: Path) -> None:
    assert Secret.load("env:KEY", environ={"KEY": VALUE}) == Secret(VALUE)
    (tmp_path / "binance").write_text(VALUE)
    # systemd hands them over with a mode of its own choice.
    (tmp_path / "binance").chmod(0o440)
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert Secret.load("credential:binance", environ=environ) == Secret(VALUE)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("env:MISSING", "no variable MISSING"),
        ("env:EMPTY", "empty"),
        ("file:/nonexistent/key", "cannot be opened"),
        ("file:/tmp", "not a regular file"),
        ("credential:x", "LoadCredential"),
        (VALUE, "never write the secret itself"),
        ("file:", "must be credential:NAME"),
    ],
)
def test_a_bad_source_says_why_and_never_repeats_a_value(source: str, words: str) -> None:
    with pytest.raises(SecretError, match=words) as error:
        Secret.load(source, environ={"EMPTY": "  "})
    assert "hunter2" not in str(error.value)


def test_a_credential_name_cannot_leave_its_folder(tmp_path: Path) -> None:
    with pytest.raises(SecretError, match="not a path"):
        Secret.load("credential:../key", environ={"CREDENTIALS_DIRECTORY": str(tmp_path)})


def test_binary_and_huge_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.touch(mode=0o600)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SecretError, match="not text"):
        Secret.load(f"file:{path}")
    path.write_bytes(b"x" * 100_000)
    with pytest.raises(SecretError, match="not a key"):
        Secret.load(f"file:{path}")
