"""What a market says about a desk that is to trade on it: a recording holds one pair, a live one has any."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

from actors.replay.recording import RecordingError, records
from actors.settings import InstrumentConfig, Settings
from supervisor.config import ConfigError

# Both files of a pair name it within their first lines; a file that has not by then is another kind of file.
LINES_MAX = 500
# So many lines are looked through before anything starts, a second for each 250,000; what is torn further on is
# noted by the exchange when it gets there.
SCAN_LINES_MAX = 1_000_000
_STREAM = re.compile(rb'"stream"\s*:\s*"([a-z0-9]+)@')
_is_json = msgspec.json.Decoder(msgspec.Raw).decode

Warn = Callable[[str], None]


def to_stderr(words: str) -> None:
    sys.stderr.write(f"{words}\n")


def narrowed(settings: Settings, warn: Warn | None = None) -> Settings:
    """With market = "recording": the same settings, desk and exchange both trading just the recording's pair.
    With market = "live": an exchange that lists the desk's instruments, unless the config names its pairs.

    With `warn` the recording is looked through, and `warn` told of what is torn in it, where, and how much is usable.
    Raises ConfigError for a recording that cannot be read, names no pair or several, or one that the exchange does
    not list.
    """
    simulated = settings.simulated
    if simulated is not None and simulated.listed is None:
        symbols = tuple(entry.symbol for entry in settings.instruments)
        live = msgspec.structs.replace(simulated, upstream_symbols=symbols)
        return msgspec.structs.replace(settings, simulated=live)
    if simulated is None or simulated.market != "recording" or simulated.recording is None:
        return settings
    symbol = pair_of(Path(simulated.recording), warn)
    listed = {pair.symbol: pair for pair in simulated.venue.symbols}
    if symbol not in listed:
        raise ConfigError(
            [
                f"{simulated.recording}: holds {symbol}, which the simulated venue does not list; "
                "add its tick and lot to [[simulated.venue.symbols]]"
            ]
        )
    venue = msgspec.structs.replace(simulated.venue, symbols=(listed[symbol],))
    return msgspec.structs.replace(
        settings,
        instruments=(InstrumentConfig(symbol=symbol),),
        simulated=msgspec.structs.replace(simulated, venue=venue),
    )


def pair_of(recording: Path, warn: Warn | None = None) -> str:
    """The symbol that a recording of one pair is about, from the names of its streams. Raises ConfigError."""
    unusable: list[RecordingError] = []
    pairs: set[str] = set()
    usable = 0
    try:
        for record in records(recording, unusable=unusable.append):
            usable += 1
            found = _STREAM.search(record.raw, 0, 200)
            if found is not None:
                pairs.add(found[1].decode().upper())
            if warn is not None and _is_torn(record.raw):
                words = "the message is no JSON: torn, or of another kind"
                unusable.append(RecordingError(recording, record.line, usable - 1, words))
            if (usable >= LINES_MAX or unusable) and not pairs:
                break
            if usable >= (SCAN_LINES_MAX if warn is not None else LINES_MAX):
                break
    except OSError as error:
        raise ConfigError(
            [
                f"{recording}: cannot be read ({error.strerror or error}); give a recording with --recording FILE, or "
                "name the folder that holds it in the environment variable NIGHTDESK_DATA"
            ]
        ) from error
    if not pairs:
        if unusable:
            raise ConfigError([f"{unusable[0]}; give a recording of Binance streams"])
        raise ConfigError(
            [f"{recording}: its first {usable} lines name no pair; give a recording of Binance streams"]
        )
    if len(pairs) > 1:
        raise ConfigError(
            [f"{recording}: holds {', '.join(sorted(pairs))}; only a recording of one pair can be traded on"]
        )
    if unusable and warn is not None:
        more = f" and {len(unusable) - 1} further lines" if len(unusable) > 1 else ""
        warn(f"{unusable[0]}{more}: the exchange plays the {usable} lines that it can read")
    return pairs.pop()


def _is_torn(raw: bytes) -> bool:
    try:
        _is_json(raw)
    except msgspec.DecodeError:
        return True
    return False
