"""What a market says about a desk that is to trade on it: a recording holds one pair, a live one has any."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import msgspec

from actors.replay.recording import RecordingError, records
from actors.settings import InstrumentConfig, Settings
from supervisor.config import ConfigError

# Both files of a pair name it within their first lines; a file that has not by then is another kind of file.
LINES_MAX = 500
_STREAM = re.compile(rb'"stream"\s*:\s*"([a-z0-9]+)@')


def narrowed(settings: Settings) -> Settings:
    """With market = "recording": the same settings, desk and exchange both trading just the recording's pair.
    With market = "live": an exchange that lists the desk's instruments, unless the config names its pairs.

    Raises ConfigError for a recording that cannot be read, names no pair, or one that the exchange does not list.
    """
    simulated = settings.simulated
    if simulated is not None and simulated.listed is None:
        symbols = tuple(entry.symbol for entry in settings.instruments)
        live = msgspec.structs.replace(simulated, upstream_symbols=symbols)
        return msgspec.structs.replace(settings, simulated=live)
    if simulated is None or simulated.market != "recording" or simulated.recording is None:
        return settings
    symbol = pair_of(Path(simulated.recording))
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


def pair_of(recording: Path) -> str:
    """The symbol that a recording of one pair is about, from the names of its streams."""
    try:
        for record in itertools.islice(records(recording), LINES_MAX):
            found = _STREAM.search(record.raw)
            if found is not None:
                return found[1].decode().upper()
    except OSError as error:
        raise ConfigError(
            [
                f"{recording}: cannot be read ({error.strerror}); give a recording with --recording FILE, or name the "
                "folder that holds it in the environment variable NIGHTDESK_DATA"
            ]
        ) from error
    except RecordingError as error:
        raise ConfigError([f"{error}; give a recording of Binance streams"]) from error
    raise ConfigError(
        [f"{recording}: its first {LINES_MAX} lines name no pair; give a recording of Binance streams"]
    )
