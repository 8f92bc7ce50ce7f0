"""What is read over and over: the venue's clock, and the rules of the instruments with the limits that
hold."""

from __future__ import annotations

from collections.abc import Sequence

import trio

from actors.messages import ClockMeasured, InstrumentRules, RulesWanted, VenueTrouble
from actors.venues.binance import answers, rest_codec
from actors.venues.binance.budget import HostBudget
from actors.venues.binance.clock import VenueClock
from actors.venues.binance.config import BinanceConfig
from actors.venues.binance.names import symbol_of
from actors.venues.binance.order_codec import NotUnderstood
from actors.venues.binance.order_requests import Call
from actors.venues.binance.rest_client import NoAnswer, NotSent, RestClient
from actors.venues.binance.weights import Use
from supervisor.effects import Asker
from supervisor.errors import Halt
from supervisor.mailbox import Address
from supervisor.message import Message
from supervisor.port import PortLink

TIME = Call("time", "GET", "/api/v3/time", 1, 0)
EXCHANGE_INFO = Call("exchangeInfo", "GET", "/api/v3/exchangeInfo", 20, 0)

SAMPLES_FIRST, SAMPLES = 5, 3
RETRY_MIN_S, RETRY_MAX_S = 1.0, 30.0
# Readings of the rules that failed in a row before the listeners are told.
FAILURES_TOLD = 3
EARLY_MAX = 256
_BAD_SYMBOL = -1121


class Reference:
    """For one life of the REST port."""

    def __init__(
        self,
        config: BinanceConfig,
        clock: VenueClock,
        budget: HostBudget,
        instruments: Sequence[str],
        consumers: Sequence[Address],
        listeners: Sequence[Address],
        clock_to: Sequence[Address],
    ) -> None:
        self._config = config
        self._clock = clock
        self._budget = budget
        self._instruments = tuple(instruments)
        self._consumers = tuple(consumers)
        self._listeners = tuple(listeners)
        self._clock_to = tuple(clock_to)
        self._rules: dict[str, InstrumentRules] = {}
        self._asked_early: list[tuple[Asker, RulesWanted]] = []

    async def keep_clock(self, link: PortLink, client: RestClient) -> None:
        wanted = SAMPLES_FIRST
        while True:
            for _ in range(wanted):
                await self._sample(link, client)
            if self._clock.measured:
                wanted = SAMPLES
                measured = ClockMeasured(
                    venue=self._config.name,
                    offset_ms=self._clock.offset_ms(),
                    uncertainty_ms=self._clock.uncertainty_ms(link.now_ns),
                )
                self._tell_all(link, self._clock_to, measured)
                link.publish(measured)
            await trio.sleep(self._config.clock_every_s if self._clock.measured else RETRY_MIN_S)

    async def _sample(self, link: PortLink, client: RestClient) -> None:
        sent_ns = 0

        def began() -> None:
            nonlocal sent_ns
            sent_ns = link.now_ns

        try:
            reply = await client.ask(
                TIME, [], use=Use.ROUTINE, timeout_s=self._config.read_timeout_s, last_check=began
            )
        except (NotSent, NoAnswer):
            return
        venue_ms = answers.server_time(reply.result) if reply.ok else None
        if venue_ms is not None:
            self._clock.sample(sent_ns, link.now_ns, venue_ms, link.wall_ns)

    async def keep_rules(self, link: PortLink, client: RestClient) -> None:
        """Raises Halt if the venue does not know an instrument at the first reading."""
        failures = 0
        while True:
            reason = await self._read_rules(link, client)
            failures = 0 if reason is None else failures + 1
            if failures == FAILURES_TOLD:
                words = f"the rules cannot be read: {reason}"
                trouble = VenueTrouble(
                    venue=self._config.name, kind="unreachable", words=words, until_wall_ns=link.wall_ns
                )
                link.publish(trouble)
                self._tell_all(link, self._listeners, trouble)
            retry_s = min(RETRY_MIN_S * 2 ** min(max(0, failures - 1), 16), RETRY_MAX_S)
            await trio.sleep(self._config.rules_every_s if reason is None else retry_s)

    def wanted(self, link: PortLink, asker: Asker, wish: RulesWanted) -> None:
        """Answer with the rules of each wanted instrument: now, or once they have been read."""
        if not self._rules and len(self._asked_early) < EARLY_MAX:
            self._asked_early.append((asker, wish))
            return
        for instrument in wish.instruments:
            if instrument in self._rules and asker.address is not None:
                link.tell(asker.address, self._rules[instrument])

    async def _read_rules(self, link: PortLink, client: RestClient) -> str | None:
        """None when they were read; else why not."""
        symbols = ",".join(f'"{symbol_of(instrument)}"' for instrument in self._instruments)
        try:
            reply = await client.ask(
                EXCHANGE_INFO,
                [("symbols", f"[{symbols}]")],
                use=Use.SAFETY if not self._rules else Use.ROUTINE,
                timeout_s=self._config.read_timeout_s,
            )
            if not reply.ok:
                if reply.code == _BAD_SYMBOL and not self._rules:
                    raise Halt(
                        f"{self._config.name}: the venue does not know one of {', '.join(self._instruments)}"
                        f" ({reply.words}); correct the config's instruments"
                    )
                return f"{reply.code if reply.code is not None else reply.status}: {reply.words}"
            rules, limits = rest_codec.exchange_info(bytes(reply.result), self._config.name)
        except (NotSent, NoAnswer, NotUnderstood) as error:
            return str(error)
        for limit in limits:
            if limit.kind == "REQUEST_WEIGHT" and limit.length_ms == 60_000:
                self._budget.limit_weight(limit.used)
            elif limit.kind == "ORDERS":
                self._budget.limit_orders(limit.length_ms, limit.used)
        for rule in rules:
            if self._rules.get(rule.instrument) != rule:
                self._rules[rule.instrument] = rule
                self._tell_all(link, self._consumers, rule)
        early, self._asked_early = self._asked_early, []
        for asker, wish in early:
            self.wanted(link, asker, wish)
        return None

    def _tell_all(self, link: PortLink, addresses: Sequence[Address], message: Message) -> None:
        for address in addresses:
            link.tell(address, message)
