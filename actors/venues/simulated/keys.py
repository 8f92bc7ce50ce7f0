"""Key files of the simulated venue: reading them, and making new ones for tests and demos.

Files per key NAME: NAME.api_key (64 letters and digits), NAME.secret (HMAC) or NAME.public.pem and, on the
client's side, NAME.private.pem (ED25519, RSA).
"""

from __future__ import annotations

import os
import secrets
import string
from collections.abc import Iterable
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from actors.venues.simulated.auth import ApiKey, KeyKind, KeyRing
from actors.venues.simulated.server_config import KeyConfig

_LETTERS = string.ascii_letters + string.digits


class NewKey:
    """A fresh key pair: `client_secret` signs (HMAC secret or private PEM), `verify_with` checks."""

    def __init__(self, kind: KeyKind) -> None:
        self.kind: KeyKind = kind
        self.api_key = "".join(secrets.choice(_LETTERS) for _ in range(64))
        if kind == "HMAC":
            self.client_secret = self.verify_with = "".join(secrets.choice(_LETTERS) for _ in range(64))
            return
        private = Ed25519PrivateKey.generate() if kind == "ED25519" else generate_private_key(65537, 2048)
        self.client_secret = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        self.verify_with = (
            private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        )

    def __repr__(self) -> str:
        return f"NewKey({self.api_key[:4]}..., kind={self.kind!r})"


def load_keys(configs: Iterable[KeyConfig], folder: Path, create: bool) -> KeyRing:
    """Read the files of every key; with `create`, make those of a key that has none.

    Raises ValueError naming the file that is missing or unreadable.
    """
    return KeyRing(_load(config, folder, create) for config in configs)


def _load(config: KeyConfig, folder: Path, create: bool) -> ApiKey:
    name_file = folder / f"{config.name}.api_key"
    secret_file = folder / f"{config.name}{'.secret' if config.kind == 'HMAC' else '.public.pem'}"
    if create and not name_file.exists() and not secret_file.exists():
        _write(config, folder, name_file, secret_file)
    try:
        api_key = name_file.read_text().strip()
        verify_with = secret_file.read_text().strip()
    except OSError as error:
        raise ValueError(
            f"venue: key {config.name}: cannot read {error.filename}: {error.strerror}; "
            "make it, or set create_keys = true"
        ) from error
    return ApiKey(
        api_key,
        config.account,
        config.kind,
        verify_with,
        config.permissions,
        ip_restricted=config.ip_restricted,
        withdrawals=config.withdrawals,
    )


def _write(config: KeyConfig, folder: Path, name_file: Path, secret_file: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    new = NewKey(config.kind)
    _private(name_file, new.api_key)
    _private(secret_file, new.verify_with)
    if config.kind != "HMAC":
        _private(folder / f"{config.name}.private.pem", new.client_secret)


def _private(path: Path, text: str) -> None:
    # Created unreadable for others from the first moment, not made so afterwards.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text + "\n")
