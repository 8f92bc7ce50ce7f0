"""What approved OPEN orders may still add to positions: reserved at approval, given back exactly once.

A reservation counts lots that are not in the position yet. It shrinks in two ways only: portfolio has booked
a part of it into the position, or orders says that the order has ended and the rest will never fill. Orders
and portfolio speak through different mailboxes, so a fill may be heard of as an order's end before it is in
the position: until it is booked, its lots stay reserved, and no order of events leaves a gap between the two.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from actors.messages import OrderChanged, OrderIntent, PositionChanged, Purpose, Side

# After its `send_by_ns` an order that orders has not spoken of cannot leave any more. This much later, its
# silence is a fault, and the truth is asked for. The same for a fill that portfolio does not book.
SILENCE_NS = 5_000_000_000
# Orders whose fills were booked before orders spoke of them to us: remembered, the newest only.
EARLY_MAX = 256


class Reservation:
    """One approved OPEN order, in lots of its instrument."""

    __slots__ = (
        "booked_lots",
        "client_id",
        "ended_ns",
        "filled_lots",
        "instrument",
        "is_buy",
        "price_ticks",
        "reservation_id",
        "send_by_ns",
        "size_lots",
    )

    def __init__(
        self, reservation_id: int, instrument: str, side: Side, size_lots: int, price_ticks: int | None
    ) -> None:
        self.reservation_id = reservation_id
        self.instrument = instrument
        self.is_buy = side is Side.BUY
        self.size_lots = size_lots
        self.price_ticks = price_ticks
        self.client_id = ""
        self.send_by_ns = 0
        self.filled_lots = 0
        self.booked_lots = 0
        self.ended_ns: int | None = None

    @property
    def has_ended(self) -> bool:
        return self.ended_ns is not None

    @property
    def outstanding_lots(self) -> int:
        """What may still enter the position."""
        most = self.filled_lots if self.has_ended else self.size_lots
        return max(0, most - self.booked_lots)


class Reservations:
    """All that is reserved. Bounded by risk's own limit on open orders and by what the venue has open."""

    def __init__(self) -> None:
        self._all: dict[int | str, Reservation] = {}
        self._by_client: dict[str, Reservation] = {}
        self._booked_early: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[Reservation]:
        return iter(self._all.values())

    @property
    def open_orders(self) -> int:
        """Orders that have not ended."""
        count = 0
        for one in self._all.values():
            if one.ended_ns is None:
                count += 1
        return count

    def outstanding(self, instrument: str) -> tuple[int, int]:
        """(lots that may still be bought, lots that may still be sold)"""
        bought = sold = 0
        for one in self._all.values():
            if one.instrument == instrument:
                if one.is_buy:
                    bought += one.outstanding_lots
                else:
                    sold += one.outstanding_lots
        return bought, sold

    def dearest_ticks(self, instrument: str) -> int:
        """The highest limit price among them; 0 without any."""
        return max((one.price_ticks or 0 for one in self if one.instrument == instrument), default=0)

    def reserve(self, intent: OrderIntent, reservation_id: int, send_by_ns: int) -> Reservation:
        made = Reservation(
            reservation_id, intent.instrument, intent.side, intent.size_lots, intent.price_ticks
        )
        made.send_by_ns = send_by_ns
        self._all[reservation_id] = made
        return made

    def on_order(self, change: OrderChanged, now_ns: int) -> None:
        """Orders' word on an OPEN order. One that is not known here is reserved too: it may fill."""
        if change.purpose is not Purpose.OPEN:
            return
        one = self._all.get(change.reservation_id or change.client_id) or self._by_client.get(
            change.client_id
        )
        if one is None:
            if change.is_terminal:
                return
            one = self._adopt(change)
        if not one.client_id:
            one.client_id = change.client_id
            self._by_client[change.client_id] = one
        one.booked_lots = max(one.booked_lots, self._booked_early.pop(change.client_id, 0))
        one.filled_lots = max(one.filled_lots, change.filled_lots)
        if change.is_terminal and one.ended_ns is None:
            one.ended_ns = now_ns
        self._drop_if_done(one)

    def on_booked(self, position: PositionChanged) -> None:
        """Portfolio booked a fill into the position; from now on it counts there and not here."""
        one = self._by_client.get(position.client_id)
        if one is not None:
            one.booked_lots = max(one.booked_lots, position.booked_lots)
            self._drop_if_done(one)
        elif position.client_id:
            self._booked_early.pop(position.client_id, None)
            self._booked_early[position.client_id] = position.booked_lots
            if len(self._booked_early) > EARLY_MAX:
                del self._booked_early[next(iter(self._booked_early))]

    def rebuild(self, venue: str, open_orders: Iterable[OrderChanged], now_ns: int) -> None:
        """Orders' snapshot of one venue replaces what is known; its fills are in the position asked for next.

        What was approved a moment ago and has not been spoken of may be on its way to orders: it stays.
        """
        for one in list(self._all.values()):
            on_its_way = not one.client_id and now_ns <= one.send_by_ns + SILENCE_NS
            if one.instrument.startswith(f"{venue}/") and not on_its_way:
                self._drop(one)
        for change in open_orders:
            if change.purpose is Purpose.OPEN and not change.is_terminal:
                self._all.pop(change.reservation_id or change.client_id, None)
                self._adopt(change).booked_lots = change.filled_lots

    def silent(self, now_ns: int) -> bool:
        """Whether orders or portfolio owes a word on one of them for longer than it can take."""
        for one in self._all.values():
            since_ns = one.ended_ns if one.has_ended else None if one.client_id else one.send_by_ns
            if since_ns is not None and now_ns > since_ns + SILENCE_NS:
                return True
        return False

    def _adopt(self, change: OrderChanged) -> Reservation:
        one = Reservation(
            change.reservation_id, change.instrument, change.side, change.size_lots, change.price_ticks
        )
        one.client_id = change.client_id
        one.filled_lots = change.filled_lots
        self._all[change.reservation_id or change.client_id] = one
        self._by_client[change.client_id] = one
        return one

    def _drop_if_done(self, one: Reservation) -> None:
        if one.has_ended and one.booked_lots >= one.filled_lots:
            self._drop(one)

    def _drop(self, one: Reservation) -> None:
        self._all.pop(one.reservation_id or one.client_id, None)
        self._by_client.pop(one.client_id, None)
