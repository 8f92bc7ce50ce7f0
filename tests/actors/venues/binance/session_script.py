"""A trade session driven by a test: its times, the venue's frames, and a budget that grants everything."""

from __future__ import annotations

import json
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from actors.messages import (
    OrderNotSent,
    UserStreamUp,
)
from actors.venues.binance.clock import VenueClock
from actors.venues.binance.config import BinanceConfig
from actors.venues.binance.errors import Trouble
from actors.venues.binance.order_requests import OrderRequest
from actors.venues.binance.signing import Ed25519Signer, Signer
from actors.venues.binance.trade_session import (
    Answered,
    Deed,
    Send,
    Told,
    TradeSession,
)
from actors.venues.binance.weights import Use
from supervisor.effects import Asker
from supervisor.flags import Flags
from supervisor.mailbox import Address
from supervisor.message import Message
from supervisor.secret import Secret

ORDERS = Asker(Address("orders"), 0)
SECOND = 10**9
WALL_NS = 1_723_161_600 * SECOND
KEY = Secret("the-api-key")


class CountingBudget:
    """Grants everything until told otherwise, and remembers what it was told."""

    def __init__(self) -> None:
        self.refuse: str | None = None
        self.taken: list[tuple[Use, int, int]] = []
        self.weights: list[int] = []
        self.orders: list[tuple[int, int]] = []
        self.latches: list[tuple[Trouble, int]] = []

    def take(self, use: Use, weight: int, orders: int, venue_ns: int) -> str | None:
        if self.refuse is None:
            self.taken.append((use, weight, orders))
        return self.refuse

    def saw_weight(self, used: int, sent_ns: int, venue_ns: int) -> None:
        self.weights.append(used)

    def saw_orders(self, length_ms: int, used: int, sent_ns: int, venue_ns: int) -> None:
        self.orders.append((length_ms, used))

    def latch(self, trouble: Trouble, until_ms: int, venue_ns: int) -> None:
        self.latches.append((trouble, until_ms))


class Script:
    """A session and its times; `now_ns` is moved by the test."""

    def __init__(self, signer: Signer | None = None, **config: Any) -> None:
        self.now_ns = SECOND
        self.budget = CountingBudget()
        self.clock = VenueClock()
        self.flags = Flags()
        self.signer = signer or Ed25519Signer(Ed25519PrivateKey.generate())
        self.session = TradeSession(BinanceConfig(**config), KEY, self.signer, self.clock, self.budget)

    @property
    def wall_ns(self) -> int:
        return WALL_NS + self.now_ns

    def say(self, **frame: Any) -> list[Deed]:
        return self.session.received(json.dumps(frame), self.now_ns, self.wall_ns)

    def event(self, event: dict[str, Any]) -> list[Deed]:
        return self.say(subscriptionId=0, event=event)

    def beat(self, after_s: float, reading: bool = True) -> list[Deed]:
        self.now_ns += int(after_s * SECOND)
        return self.session.beat(self.now_ns, self.wall_ns, reading)

    def request(self, request: OrderRequest) -> bytes | Answered:
        return self.session.prepare(request, ORDERS, self.flags, self.now_ns, self.wall_ns)

    def send(self, request: OrderRequest) -> dict[str, Any]:
        """The request as the venue reads it; it must have been granted."""
        data = self.request(request)
        assert isinstance(data, bytes)
        return dict(json.loads(data))

    def answer_time(self, deeds: list[Deed]) -> list[Deed]:
        [asked] = sent(deeds)
        assert asked["method"] == "time"
        self.now_ns += 2_000_000
        # The venue is 25 ms ahead of our wall clock.
        return self.say(
            id=asked["id"], status=200, result={"serverTime": (self.wall_ns - 1_000_000) // 10**6 + 25}
        )

    def open(self) -> list[Deed]:
        """From the opening to what follows the last measurement of the clock."""
        deeds = self.session.opened(self.now_ns, self.wall_ns)
        for _ in range(3):
            deeds = self.answer_time(deeds)
        return deeds

    def up(self) -> Script:
        deeds = self.open()
        if self.signer.logs_on:
            deeds = self.say(id=sent(deeds)[0]["id"], status=200, result={})
        deeds = self.say(id=sent(deeds)[0]["id"], status=200, result={"subscriptionId": 0})
        assert deeds == [Told(UserStreamUp(account="binance/main"))]
        return self


def sent(deeds: list[Deed]) -> list[dict[str, Any]]:
    return [json.loads(deed.data) for deed in deeds if isinstance(deed, Send)]


def answered(deeds: list[Deed]) -> list[Message]:
    return [message for deed in deeds if isinstance(deed, Answered) for message in deed.messages]


def not_sent_reason(outcome: bytes | Answered) -> str:
    assert isinstance(outcome, Answered)
    message = outcome.messages[-1]
    assert isinstance(message, OrderNotSent)
    return message.reason
