"""Strategy: what the strategy actor needs of any strategy. Pure: time comes in, wishes go out."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Protocol

import msgspec

from actors.messages import (
    Book,
    CancelWanted,
    DeskMode,
    InstrumentRules,
    OrderChanged,
    OrderIntent,
    PositionChanged,
    RefusedOrder,
    TradeTick,
)

Wish = OrderIntent | CancelWanted


class Strategy(Protocol):
    """One strategy on one instrument. Inherit it: what a strategy does not care about is answered by nothing.

    `Config` is the struct of its own knobs, filled from `[strategy.<its file's name>]`. `now_ns` is monotonic
    nanoseconds, of the same clock as `received_ns` of a book.
    """

    Config: ClassVar[type[msgspec.Struct]]

    def on_book(self, book: Book, now_ns: int) -> list[Wish]:
        return []

    def on_trade(self, trade: TradeTick, now_ns: int) -> list[Wish]:
        return []

    def on_book_lost(self) -> None:
        """The feed no longer believes its book: nothing read from it holds."""

    def on_rules(self, rules: InstrumentRules) -> None:
        pass

    def on_mode(self, mode: DeskMode) -> None:
        pass

    def on_order(self, change: OrderChanged, now_ns: int) -> None:
        """A new state of an order that this strategy wished for, in this life or an earlier one."""

    def on_refused(self, refused: RefusedOrder, now_ns: int) -> None:
        pass

    def on_position(self, position: PositionChanged, now_ns: int) -> None:
        pass


StrategyMaker = Callable[[Callable[[], int]], Strategy]
"""Makes a strategy, given where its intent ids come from (each new one never used before)."""
