"""The stage of live chaos: a simulated exchange and a desk as processes of their own, in a folder of their own.

The exchange lives for the whole play and keeps the record; the desk comes and goes. The desk's config is the demo's,
trading more often, with the exchange named by its URLs as a real one would be.
"""

from __future__ import annotations

import contextlib
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import msgspec
import trio

from actors.chaos.evidence import copied, read
from actors.chaos.judge import Kept, Seen, Terms, ours
from actors.exchange import at_venue
from actors.orders.client_ids import PREFIX
from actors.settings import Settings
from actors.settings import read as read_settings
from supervisor.keeper import processes
from supervisor.keeper.processes import Process

READY_S = 30.0
# An orderly end may have to sell what is held.
END_S = 25.0
CONTROL_S = 20.0
ENGINE_LOG, VENUE_LOG, RESULT, RECORD = "engine.log", "venue.log", "result.json", "record.json"

DESK = """
[desk]
name = "chaos"
state_dir = "state"
on_stop = "flatten"

[venue]
account = "main"

[strategy.imbalance]
levels = 10
ratio = 1.3
exit_ratio = 0.8
notional = 100.0
max_hold_s = 4.0
cooldown_s = 0.3
refused_pause_s = 0.5
warmup_s = 0.5

[risk]
order_notional_max = "200"
position_notional_max = "400"
desk_notional_max = "1000"
# Play money: what a violent market takes must not end the play.
daily_loss_max = "5000"

[log]
format = "json"
"""

EXCHANGE = """
[simulated]
market = "generated"
seed = 7
create_keys = true
keys_dir = "keys"
requests_kept = 1000

# The generous limits of a test: a play is many starts in a few minutes, and every start reads the account.
[simulated.sockets]
connections_5m = 100_000

[simulated.venue.rate_limits]
request_weight_1m = 60_000
orders_10s = 1_000

[[simulated.venue.accounts]]
name = "main"
balances = { USDT = "100000" }

[[simulated.keys]]
name = "desk"
account = "main"
"""

EXCHANGE_SETTING = "simulated."


class Stage:
    """One play: `settings` are the desk's, pointed at the exchange. Made by `staged`."""

    def __init__(
        self, folder: Path, settings: Settings, overrides: Sequence[str], control: httpx.AsyncClient
    ):
        self.folder = folder
        self.settings = settings
        self.state_dir = settings.desk.state_dir
        self.engine_log = folder / ENGINE_LOG
        self.terms = _terms(settings)
        (strategy,) = settings.strategy.values()
        self.entry = Decimal(str(strategy["notional"]))
        """What one entry is worth, in quote."""
        self._overrides = overrides
        self._control = control

    @contextlib.asynccontextmanager
    async def engine(self) -> AsyncIterator[Process]:
        """A desk for the length of a block, its tree running when the block begins. Raises ProcessDied."""
        async with processes.started(
            "engine", self._command(), within_s=READY_S, output=self.engine_log
        ) as process:
            yield process

    async def end(self, process: Process) -> None:
        """The orderly end of a desk: what it holds is sold. It is killed if that takes too long."""
        await process.stop(END_S)

    async def fault(self, **fault: object) -> int:
        """Ask the exchange for a fault; gives its number."""
        answer = (await self._control.post("/control/faults", json=fault)).raise_for_status()
        return int(answer.json()["id"])

    async def heal(self) -> None:
        """End every fault of the exchange."""
        (await self._control.delete("/control/faults")).raise_for_status()

    async def record(self) -> dict[str, Any]:
        """Everything that the exchange recorded so far; it is kept in the folder too."""
        answer = (await self._control.get("/control/record")).raise_for_status()
        (self.folder / RECORD).write_bytes(answer.content)
        record: dict[str, Any] = msgspec.json.decode(answer.content)
        return record

    def ours(self, record: dict[str, Any]) -> Seen:
        return ours(record, self.settings.venue.account, PREFIX)

    def journal(self) -> Kept:
        """What the desk's journal holds now. Raises JournalRefused if it is damaged."""
        return read(copied(self.state_dir, self.folder / "evidence"))

    def _command(self) -> list[str]:
        # The engine itself and no keeper around it, which would bring back what is killed here.
        command = [sys.executable, "-m", "actors.engine_process", str(self.config)]
        return [*command, "--result", str(self.folder / RESULT), *self.sets()]

    @property
    def config(self) -> Path:
        return self.folder / "desk.toml"

    def sets(self) -> list[str]:
        """The `--set` arguments that point a desk at this stage's exchange."""
        arguments: list[str] = []
        venue = self.settings.venue
        for name in ("rest_url", "stream_url", "ws_api_url", "api_key", "api_secret"):
            arguments += ["--set", f"venue.{name}={getattr(venue, name)}"]
        for each in self._overrides:
            arguments += ["--set", each]
        return arguments


@contextlib.asynccontextmanager
async def staged(
    folder: Path, overrides: Sequence[str] = (), symbols: Sequence[str] = ("BTCUSDT",)
) -> AsyncIterator[Stage]:
    """An exchange for the length of a block, and everything that a desk needs to trade `symbols` on it.

    `overrides` are the config's, as of `--set`. Raises ConfigError before anything has started, ProcessDied after.
    """
    desk = DESK + "".join(f'\n[[instruments]]\nsymbol = "{symbol}"\n' for symbol in symbols)
    (folder / "desk.toml").write_text(desk)
    (folder / "exchange.toml").write_text(desk + EXCHANGE)
    both = read_settings(folder / "exchange.toml", overrides)
    command = [sys.executable, "-m", "actors", "venue", str(folder / "exchange.toml")]
    for each in overrides:
        command += ["--set", each]
    async with processes.started("venue", command, within_s=READY_S, output=folder / VENUE_LOG) as venue:
        settings = at_venue(both, int(venue.announced))
        async with httpx.AsyncClient(base_url=settings.venue.rest_url, timeout=CONTROL_S) as control:
            desks = [each for each in overrides if not each.startswith(EXCHANGE_SETTING)]
            yield Stage(folder, settings, desks, control)


@contextlib.contextmanager
def folder(keep: Path | None) -> Iterator[Path]:
    """A new folder that is removed after the block, or `keep`, which stays."""
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True, mode=0o700)
        yield keep.resolve()
        return
    made = Path(tempfile.mkdtemp(prefix="nightdesk-chaos-"))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


class LogTail:
    """The events of a desk's JSON log, as they come, from where it ended when this was made."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._at = path.stat().st_size if path.exists() else 0

    def events(self) -> list[dict[str, Any]]:
        """What came since the last call, whole lines only; each has "event" and "data" where it is one."""
        if not self._path.exists():
            return []
        with self._path.open("rb") as file:
            file.seek(self._at)
            text = file.read()
        whole = text[: text.rfind(b"\n") + 1]
        self._at += len(whole)
        return [found for line in whole.splitlines() if (found := _decoded(line)) is not None]

    async def until(self, event: str, within_s: float) -> dict[str, Any] | None:
        """The first event of that name; None if it does not come in time."""
        with trio.move_on_after(within_s):
            while True:
                for each in self.events():
                    if each.get("event") == event:
                        return each
                await trio.sleep(0.02)
        return None


def _decoded(line: bytes) -> dict[str, Any] | None:
    """None for what is not ours: the words of Python itself, when it ends badly."""
    with contextlib.suppress(msgspec.DecodeError):
        found = msgspec.json.decode(line)
        return found if isinstance(found, dict) else None
    return None


def _terms(settings: Settings) -> dict[str, Terms]:
    assert settings.simulated is not None
    traded = {each.symbol for each in settings.instruments}
    return {
        pair.symbol: Terms(pair.base, pair.step_size, pair.min_notional)
        for pair in settings.simulated.venue.symbols
        if pair.symbol in traded
    }
