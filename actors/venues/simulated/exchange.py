"""The simulated exchange behind one facade: calls in, answers and stream events out; time is an argument.

Pure: no trio, no clock, no global random, no I/O. Times are integers of microseconds since the epoch. The
same configuration, seed and calls at the same times give the same record, in any process.

Behaviour and field names are Binance spot's: binance-spot-api-docs rest-api.md, web-socket-api.md,
web-socket-streams.md, user-data-stream.md, filters.md, errors.md.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from decimal import Decimal

from actors.venues.simulated import list_trading, private, public, trading
from actors.venues.simulated.book import Book
from actors.venues.simulated.config import VenueConfig
from actors.venues.simulated.disturbances import Disturbances
from actors.venues.simulated.errors import VenueError
from actors.venues.simulated.history import History
from actors.venues.simulated.ledger import Ledger
from actors.venues.simulated.lifecycle import Lifecycle
from actors.venues.simulated.listing import Listing
from actors.venues.simulated.market import Levels, Market, MarketEvent
from actors.venues.simulated.pair import Pair
from actors.venues.simulated.parameters import Parameters
from actors.venues.simulated.publisher import Publisher, StreamEvent
from actors.venues.simulated.record import Record, RejectionEntry, TransferEntry
from actors.venues.simulated.shelf import Shelf
from actors.venues.simulated.venue_state import VenueState

__all__ = ["Exchange", "StreamEvent", "VenueError"]

_Public = Callable[[VenueState, Parameters, int], object]
_Private = Callable[[VenueState, str, Parameters, int], object]

_PUBLIC: dict[str, _Public] = {
    "ping": public.ping,
    "time": public.time,
    "exchangeInfo": public.exchange_info,
    "depth": public.depth,
    "trades.recent": public.trades_recent,
    "trades.historical": public.trades_historical,
    "trades.aggregate": public.trades_aggregate,
    "klines": public.klines,
    "uiKlines": public.klines,
    "avgPrice": public.average_price,
    "ticker": public.ticker_rolling,
    "ticker.24hr": public.ticker_24hr,
    "ticker.tradingDay": public.ticker_trading_day,
    "ticker.price": public.ticker_price,
    "ticker.book": public.ticker_book,
}

_PRIVATE: dict[str, _Private] = {
    "account.status": private.account_status,
    "account.commission": private.account_commission,
    "myTrades": private.my_trades,
    "myAllocations": private.nothing,
    "order.status": private.order_status,
    "openOrders.status": private.open_orders,
    "allOrders": private.all_orders,
    "orderList.status": private.list_status,
    "openOrderLists.status": private.open_lists,
    "allOrderLists": private.all_lists,
    "order.place": trading.place,
    "order.test": trading.test,
    "order.cancel": trading.cancel,
    "order.cancelReplace": trading.cancel_replace,
    "order.amend.keepPriority": trading.amend,
    "openOrders.cancelAll": trading.cancel_all,
    "orderList.place.oco": list_trading.place_oco,
    "orderList.place": list_trading.place_old_oco,
    "order.oco": list_trading.place_old_oco,
    "orderList.cancel": list_trading.cancel_list,
}


class Exchange:
    """A whole venue in memory: several accounts, all pairs of the configuration, one market behind them.

    `record` is the venue's own record (see record.py), `disturbances` breaks things on request
    (see disturbances.py). Neither is visible to clients.
    """

    record: Record
    disturbances: Disturbances

    def __init__(self, config: VenueConfig, market: Market, rng: random.Random, start_us: int) -> None:
        self._market = market
        self._now_us = start_us
        # A venue that starts again, as in a demo, must not give out ids that an earlier run has used: a
        # desk that remembers those would take new fills for old ones. No pair has a thousand events a
        # second for long.
        id_floor = start_us // 1000
        shelf = Shelf([symbol.symbol for symbol in config.symbols], rng, id_floor)
        self.disturbances = Disturbances(self._emit_raw, lambda: shelf.accepted)
        self._publisher = Publisher(self.disturbances, config.depth_interval_ms * 1000)
        first_books = market.begin(start_us)
        self._listings = {
            symbol.symbol: _list(Pair(symbol), market, config, id_floor) for symbol in config.symbols
        }
        self._ledger = Ledger(config.accounts, self._in_bnb, start_us)
        self.record = Record(self._ledger, config.record_max)
        life = Lifecycle(self._listings, self._ledger, shelf, self.record, self._publisher)
        self._state = VenueState(
            config, self._listings, self._ledger, shelf, self.record, life, self.disturbances
        )
        # What the background did while a pair was halted: its sizes then, applied when it opens again.
        self._held: dict[str, tuple[dict[int, int], dict[int, int]]] = {}
        for event in first_books:
            if isinstance(event, Levels):
                self._listings[event.symbol].book.open(event.bids, event.asks)
        for listing in self._listings.values():
            _open_price(listing, start_us)

    def call(
        self,
        method: str,
        account: str | None,
        params: Mapping[str, str],
        now_us: int,
        deadline_us: int | None = None,
    ) -> object:
        """Answer one request; the answer is a dict or list ready for JSON, shaped as Binance documents.

        `method` is the name in Binance's websocket API (order.place, openOrders.status, ticker.book, ...);
        REST paths map onto the same names. `account` is the account's name, or None for public data.
        `params` are strings as in a query string (arrays as JSON text, booleans "true"/"false"); timestamp,
        recvWindow, signature and apiKey are ignored here: the server has checked them. `deadline_us` is
        timestamp + recvWindow: past it the request is refused with -1021 before matching. The market is
        played up to `now_us` first. Raises VenueError for everything that Binance refuses.
        """
        self.advance(now_us)
        try:
            return self._answer(method, account, params, now_us, deadline_us)
        except VenueError as refusal:
            if account is not None:
                client_id = params.get("newClientOrderId") or params.get("origClientOrderId") or ""
                self.record.rejected(
                    RejectionEntry(
                        at_us=now_us,
                        account=account,
                        method=method,
                        symbol=params.get("symbol", ""),
                        client_id=client_id,
                        code=refusal.code,
                        message=refusal.message,
                    )
                )
            raise

    def transfer(self, account: str, coin: str, amount: Decimal, now_us: int) -> None:
        """Deposit money into an account, or withdraw it when negative (a balanceUpdate event follows).

        Raises KeyError for an account that does not exist, ValueError when that much is not free.
        """
        self.advance(now_us)
        self._state.floor.transfer(account, coin, amount, now_us)
        self.record.transferred(TransferEntry(now_us, account, coin, f"{amount:.8f}"))

    def advance(self, now_us: int) -> None:
        """Play the market up to and including `now_us`: trades, book changes, triggered stops, our fills.

        A time before the last one is taken as the last one: the venue's own clock never goes back.
        """
        while True:
            if self._held:
                self._reopen(self._now_us)
            due = self.next_event_us()
            if due is None or due > now_us:
                break
            at_us = self._now_us = max(due, self._now_us)
            market_us = self._market.next_us()
            publisher_us = self._publisher.next_us()
            if publisher_us is not None and publisher_us <= at_us:
                self._publisher.run(at_us)
            elif market_us is not None and market_us <= at_us:
                self._play(self._market.pop(), at_us)
        self._now_us = max(now_us, self._now_us)
        if self._held:
            self._reopen(self._now_us)

    def next_event_us(self) -> int | None:
        """When `advance` next has something to do; None when nothing is ever going to happen by itself."""
        times = (
            self._market.next_us(),
            self._publisher.next_us(),
            self.disturbances.next_us(self._now_us),
        )
        return min((time for time in times if time is not None), default=None)

    def drain(self) -> list[StreamEvent]:
        """The stream events since the last drain, in order. To be called often: they are kept until then."""
        return self._publisher.drain()

    def _answer(
        self,
        method: str,
        account: str | None,
        params: Mapping[str, str],
        now_us: int,
        deadline_us: int | None,
    ) -> object:
        if self.disturbances.in_maintenance(now_us):
            raise VenueError(-1016, "This service is no longer available.", 503)
        if deadline_us is not None and now_us > deadline_us:
            raise VenueError(-1021, "Timestamp for this request is outside of the recvWindow.")
        parameters = Parameters(params)
        open_to_all = _PUBLIC.get(method)
        if open_to_all is not None:
            answer = open_to_all(self._state, parameters, now_us)
        else:
            handler = _PRIVATE.get(method)
            if handler is None:
                raise VenueError(-1020, "This operation is not supported.")
            if account is None or account not in self._ledger.wallets:
                raise VenueError(-2015, "Invalid API-key, IP, or permissions for action.", 401)
            answer = handler(self._state, account, parameters, now_us)
        # Requests that change something have checked this before they did.
        parameters.done()
        return answer

    def _play(self, event: MarketEvent, now_us: int) -> None:
        if self.disturbances.is_quiet() or self.disturbances.status(event.symbol, now_us) == "TRADING":
            if isinstance(event, Levels):
                self._state.floor.on_levels(event, now_us)
            else:
                self._state.floor.on_print(event, now_us)
        elif isinstance(event, Levels):
            self._hold(event)

    def _hold(self, event: Levels) -> None:
        """A halted pair stands still; what the others do meanwhile counts when it opens."""
        book = self._listings[event.symbol].book
        bids, asks = self._held.setdefault(event.symbol, ({}, {}))
        if event.reset:
            bids.update(dict.fromkeys([*book.bids.background, *bids], 0))
            asks.update(dict.fromkeys([*book.asks.background, *asks], 0))
        bids.update(event.bids)
        asks.update(event.asks)

    def _reopen(self, now_us: int) -> None:
        for symbol in [s for s in self._held if self.disturbances.status(s, now_us) == "TRADING"]:
            bids, asks = self._held.pop(symbol)
            self._state.floor.on_levels(
                Levels(now_us, symbol, list(bids.items()), list(asks.items())), now_us
            )

    def _emit_raw(self, symbol: str, kind: str, raw: bytes) -> None:
        self._publisher.raw(symbol, kind, raw, self._now_us)

    def _in_bnb(self, coin: str) -> Decimal | None:
        """The price of one unit of a coin in BNB, directly or over USDT; None where no pair tells it."""
        if coin == "BNB":
            return Decimal(1)
        bnb = self._last("BNB" + coin)
        if bnb:
            return 1 / bnb
        bnb, other = self._last("BNBUSDT"), self._last(coin + "USDT")
        return other / bnb if bnb and other else None

    def _last(self, symbol: str) -> Decimal | None:
        listing = self._listings.get(symbol)
        return listing.pair.price(listing.history.last_price) if listing else None


def _list(pair: Pair, market: Market, config: VenueConfig, id_floor: int) -> Listing:
    book = Book(id_floor)
    history = History(pair, market.history(pair.symbol), config.trades_kept, config.klines_kept, id_floor)
    return Listing(pair, book, history)


def _open_price(listing: Listing, start_us: int) -> None:
    """A market without a past opens at the middle of its book."""
    bid, _, ask, _ = listing.book.top()
    if not listing.history.last_price:
        listing.history.last_price = (bid + ask) // 2 or bid or ask
    listing.history.roll(start_us)
