"""Takes secrets out of text that is about to be logged or paged. The last net: no secret should get this far.

Known secrets are registered with `hide`; besides, whatever looks like one is masked: passwords in URLs,
signatures and keys in query strings, JSON and headers, private keys in PEM, and everything after `scheme://`
where the scheme is not one of the web's (Apprise keeps tokens there).
"""

from __future__ import annotations

import re

MASK = "****"
# Shorter ones would mask half the text, and are no secrets.
SECRET_LENGTH_MIN = 6

_known: set[str] = set()
_NAMES = (
    r"signature|api_?key|secret|token|password|passphrase|listen_?key|x-mbx-apikey|authorization|private_?key"
)
_SCHEME = r"[a-z][a-z0-9+.-]*://"
_WEB = r"(?:https?|wss?|file)://"
_PATTERNS = (
    # scheme://user:password@host
    (re.compile(rf"(\b{_SCHEME})[^\s/@'\"]+@", re.IGNORECASE), rf"\1{MASK}@"),
    # tgram://TOKEN/CHAT and the like
    (re.compile(rf"\b(?!{_WEB})({_SCHEME})[^\s'\"]+", re.IGNORECASE), rf"\1{MASK}"),
    # name=value and name: value, quoted or not
    (
        re.compile(
            rf"(\b(?:{_NAMES})['\"]?\s*[=:]\s*(?:bearer\s+|basic\s+)?['\"]?)[^\s'\"&,;}}]+", re.IGNORECASE
        ),
        rf"\1{MASK}",
    ),
    (
        re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)", re.DOTALL),
        MASK,
    ),
)
# Most lines hold none of these, and pay only for this look.
_SUSPICIOUS = re.compile(rf"://|-----BEGIN|{_NAMES}", re.IGNORECASE)


def hide(secret: str) -> None:
    """Mask this text wherever it turns up from now on."""
    if len(secret) >= SECRET_LENGTH_MIN:
        _known.add(secret)


def redacted(text: str) -> str:
    """The text with `****` for whatever is, or looks like, a secret."""
    for secret in _known:
        if secret in text:
            text = text.replace(secret, MASK)
    if not _SUSPICIOUS.search(text):
        return text
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text
