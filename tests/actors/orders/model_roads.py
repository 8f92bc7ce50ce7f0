"""The two roads to the model venue, in actors' clothes: requests arrive late or never, answers and the user
stream's words come late, twice or not at all.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from actors.messages import (
    CancelOrder,
    CancelOutcomeUnknown,
    NoSuchOrder,
    OrderNotSent,
    OrderOutcomeUnknown,
    PlaceOrder,
    QueryAccount,
    QueryFailed,
    QueryOrder,
    ReplaceOrder,
    RulesWanted,
    UserStreamDown,
    UserStreamUp,
)
from supervisor.actor import Actor
from supervisor.message import Down, Message
from tests.actors.orders.model_venue import ACCOUNT, RULES

if TYPE_CHECKING:
    from tests.actors.orders.orders_rig import Rig

S = 1_000_000_000


@dataclass
class Luck:
    """What goes wrong on the way to the venue and back; chances in [0, 1], times in seconds."""

    random: random.Random = field(default_factory=lambda: random.Random(0))
    delay_s: float = 0.005
    jitter_s: float = 0.0
    lose: float = 0.0  # a request never arrives
    mute: float = 0.0  # it arrives, and the answer is lost
    twice: float = 0.0  # a word is said twice
    stream_lose: float = 0.0  # a word of the user stream never comes
    query_lag_s: float = 0.0  # a query does not know an order younger than this
    rest_dead: bool = False
    answer_s: float = 0.5  # when the port gives up on an answer

    def wait_s(self) -> float:
        return self.delay_s + self.random.random() * self.jitter_s

    def happens(self, chance: float) -> bool:
        return chance > 0 and self.random.random() < chance


class Arrives(Message, frozen=True):
    request: Message
    sender: object
    signed_ns: int


class Said(Message, frozen=True):
    """A word on its way to orders."""

    word: Message
    answers: int = 0


class GiveUp(Message, frozen=True):
    answers: int
    words: tuple[Message, ...]


class Cable(Message, frozen=True):
    """The trade port's connection is cut, or stands again."""

    up: bool


class Carry(Message, frozen=True):
    """What the venue's user stream has said."""

    words: tuple[Message, ...]


class Road(Actor):
    """What both ports have in common: requests arrive late or never, words come late, twice or never."""

    def __init__(self, rig: Rig, streams: bool) -> None:
        self._rig = rig
        self._streams = streams
        self._waiting: dict[int, bool] = {}
        self._count = 0

    def started(self) -> None:
        self.ready()
        if self._streams:
            self.watch(self._rig.orders)
            self._rig.stream_up = True
            self.tell(self._rig.orders, UserStreamUp(account=ACCOUNT))

    def on_down(self, message: Down) -> None:
        if self._rig.stream_up:
            self.tell(self._rig.orders, UserStreamUp(account=ACCOUNT))

    def on_cable(self, message: Cable) -> None:
        self._rig.stream_up = message.up
        self._rig.venue.stream.clear()
        word = UserStreamDown(account=ACCOUNT, reason="cable cut")
        self.tell(self._rig.orders, UserStreamUp(account=ACCOUNT) if message.up else word)

    def on_rules_wanted(self, message: RulesWanted) -> None:
        self.tell(self._rig.orders, RULES)

    def on_request(
        self, message: PlaceOrder | CancelOrder | ReplaceOrder | QueryOrder | QueryAccount
    ) -> None:
        rig, luck = self._rig, self._rig.luck
        rig.sent.append(message)
        place = message.place if isinstance(message, ReplaceOrder) else message
        if isinstance(place, PlaceOrder):
            late = self.now_ns > place.send_by_ns
            killed = place.opens and (self.flags["kill"] or self.flags["no_open"])
            if late or killed or (self._streams and not rig.stream_up):
                self.tell(
                    rig.orders, OrderNotSent(client_id=place.client_id, reason="late" if late else "down")
                )
                if isinstance(message, ReplaceOrder):
                    self.tell(
                        rig.orders,
                        CancelOutcomeUnknown(client_id=message.cancel_client_id, reason="not sent"),
                    )
                return
        self._count += 1
        self._waiting[self._count] = True
        words = given_up(message)
        self.after(luck.answer_s, GiveUp(answers=self._count, words=words))
        if luck.happens(luck.lose) or (luck.rest_dead and not self._streams):
            return
        self.after(luck.wait_s(), Arrives(request=message, sender=self._count, signed_ns=self.now_ns))

    def on_arrives(self, message: Arrives) -> None:
        rig, luck, request = self._rig, self._rig.luck, message.request
        venue = rig.venue
        venue.wall_ns = self.wall_ns
        venue.judge(self.now_ns)
        place = request.place if isinstance(request, ReplaceOrder) else request
        if isinstance(place, PlaceOrder) and self.now_ns > message.signed_ns + place.window_ms * 1_000_000:
            # Outside of the receive window: the venue refuses it without looking.
            said: tuple[Message, ...] = (venue._refuse(place, -1021, "outside of the recvWindow"),)
        elif isinstance(request, PlaceOrder):
            said = (venue.place(request),)
            rig.placed_ns[request.client_id] = self.now_ns
        elif isinstance(request, CancelOrder):
            said = (venue.cancel(request.client_id),)
        elif isinstance(request, ReplaceOrder):
            said = venue.replace(request.cancel_client_id, request.place)
            rig.placed_ns[request.place.client_id] = self.now_ns
        elif isinstance(request, QueryOrder):
            young = self.now_ns - rig.placed_ns.get(request.client_id, 0) < luck.query_lag_s * S
            said = (
                NoSuchOrder(client_id=request.client_id, asked_wall_ns=self.wall_ns)
                if young
                else venue.query(request.client_id),
            )
        else:
            began_ns = self.wall_ns - (self.now_ns - message.signed_ns)
            said = (venue.snapshot(request.trades_since, began_ns),)
        venue.judge(self.now_ns)
        words, venue.stream = venue.stream, []
        if self._streams:
            self.carry(words)
        else:
            self.tell(rig.trade, Carry(words=tuple(words)))
        if not luck.happens(luck.mute):
            for word in said:
                self.after(luck.wait_s(), Said(word=word, answers=message.sender))

    def on_said(self, message: Said) -> None:
        self._waiting.pop(message.answers, None)
        self.tell(self._rig.orders, message.word)
        if self._rig.luck.happens(self._rig.luck.twice):
            self.tell(self._rig.orders, message.word)

    def on_give_up(self, message: GiveUp) -> None:
        if self._waiting.pop(message.answers, None):
            for word in message.words:
                self.tell(self._rig.orders, word)

    def on_carry(self, message: Carry) -> None:
        self.carry(message.words)

    def carry(self, words: Iterable[Message]) -> None:
        """Words of the user stream, on their way."""
        luck = self._rig.luck
        for word in words if self._rig.stream_up else ():
            if not luck.happens(luck.stream_lose):
                self.after(luck.wait_s(), Said(word=word))


def given_up(request: Message) -> tuple[Message, ...]:
    if isinstance(request, PlaceOrder):
        return (OrderOutcomeUnknown(client_id=request.client_id, reason="no answer"),)
    if isinstance(request, CancelOrder):
        return (CancelOutcomeUnknown(client_id=request.client_id, reason="no answer"),)
    if isinstance(request, ReplaceOrder):
        return (
            CancelOutcomeUnknown(client_id=request.cancel_client_id, reason="no answer"),
            OrderOutcomeUnknown(client_id=request.place.client_id, reason="no answer"),
        )
    if isinstance(request, QueryOrder):
        return (QueryFailed(what="order", key=request.client_id, reason="no answer"),)
    return (QueryFailed(what="account", key=ACCOUNT, reason="no answer"),)
