"""The market and the venue of `nightdesk bench path`: depth diffs, a connection in memory, and a peer that plays
Binance by a script.

Each diff changes 20 levels a side near the touch and leaves the bids heavy, so that every book is a signal; the
peer answers every order with an IOC that expired unfilled, so that the next book may trade again.
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import trio
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, CloseConnection, Request, TextMessage

from actors.messages import (
    AccountSnapshot,
    Balance,
    DepthSnapshot,
    InstrumentRules,
    Level,
    QueryAccount,
    RulesWanted,
    SnapshotWanted,
)
from actors.risk.config import RiskConfig
from actors.settings import DeskConfig, InstrumentConfig, Settings
from actors.strategy.imbalance import ImbalanceConfig
from actors.venues.binance.budget import HostBudget
from actors.venues.binance.config import BinanceConfig
from actors.venues.binance.names import stream_names
from supervisor.port import PortLink

INSTRUMENT = "binance/BTCUSDT"
ACCOUNT = "binance/main"
LEVELS = 20
FIRST_ID = 1_000
# More than a bench can use: what is measured is drawing from the budget, not being refused.
PLENTY = 1 << 39
_TOUCH = 6_000_000  # the best bid, in ticks of 0.01


def settings(state_dir: Path) -> Settings:
    """The desk as it is by default, but that every book gives an order."""
    return Settings(
        desk=DeskConfig(name="bench", state_dir=state_dir),
        venue=BinanceConfig(
            rest_url="http://venue", stream_url="ws://venue", ws_api_url="ws://venue/ws-api/v3"
        ),
        instruments=(InstrumentConfig(symbol="BTCUSDT"),),
        strategy={"imbalance": {"cooldown_s": 0.0, "refused_pause_s": 0.0, "warmup_s": 0.0}},
        risk=RiskConfig(order_rate_max=1_000_000, order_rate_window_s=0.001),
    )


def strategy_config(config: Settings) -> ImbalanceConfig:
    return ImbalanceConfig(**config.strategy["imbalance"])


def rules() -> InstrumentRules:
    return InstrumentRules(
        instrument=INSTRUMENT,
        base="BTC",
        quote="USDT",
        tick=Decimal("0.01"),
        lot=Decimal("0.00001"),
        size_min=Decimal("0.00001"),
        size_max=Decimal(9000),
        notional_min=Decimal(5),
        algo_orders_max=5,
        status="TRADING",
        order_types=("LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS", "STOP_LOSS_LIMIT"),
    )


def snapshot(last_id: int, levels: int = 1000) -> DepthSnapshot:
    bids: list[Level] = [((_TOUCH - at) / 100, 5.0) for at in range(levels)]
    asks: list[Level] = [((_TOUCH + 1 + at) / 100, 1.0) for at in range(levels)]
    return DepthSnapshot(
        instrument=INSTRUMENT, last_id=last_id, bids=bids, asks=asks, received_ns=time.monotonic_ns()
    )


class Diffs:
    """Depth frames as Binance words them, their ids without a hole. Every third level comes and goes, the others
    change their size; the touch stays."""

    def __init__(self) -> None:
        self.last_id = FIRST_ID

    def payload(self) -> bytes:
        """The next one, without the websocket's header."""
        self.last_id += 1
        at = self.last_id
        bids = ",".join(_level(_TOUCH - i, _size(i, at, 5.0)) for i in range(LEVELS))
        asks = ",".join(_level(_TOUCH + 1 + i, _size(i, at, 1.0)) for i in range(LEVELS))
        return (
            f'{{"stream":"btcusdt@depth@100ms","data":{{"e":"depthUpdate","E":{time.time_ns() // 10**6},'
            f'"s":"BTCUSDT","U":{at},"u":{at},"b":[{bids}],"a":[{asks}]}}}}'
        ).encode()


def _size(level: int, at: int, most: float) -> float:
    if level and level % 3 == 0 and (level + at) % 2:
        return 0.0
    return most + (at * 7 + level * 13) % 100 / 1000


def _level(ticks: int, size: float) -> str:
    return f'["{ticks // 100}.{ticks % 100:02d}000000","{size:.8f}"]'


def server_frame(payload: bytes) -> bytes:
    """One whole text frame, as a server sends it."""
    size = len(payload)
    assert 125 < size < 65_536
    return bytes((0x81, 126)) + size.to_bytes(2, "big") + payload


def unmasked(frame: bytes) -> bytes:
    """The text of one frame of a client."""
    server = WSConnection(ConnectionType.SERVER)
    greeting = WSConnection(ConnectionType.CLIENT).send(Request(host="venue", target="/"))
    server.receive_data(greeting)
    list(server.events())
    server.send(AcceptConnection())
    server.receive_data(frame)
    (event,) = server.events()
    assert isinstance(event, TextMessage)
    return event.data.encode()


def lift(budget: HostBudget) -> None:
    """Raise the venue's limits out of the way."""
    budget.limit_weight(PLENTY)
    for length_ms in (10_000, 86_400_000):
        budget.limit_orders(length_ms, PLENTY)


class Pipe(trio.abc.Stream):
    """One end of a connection in memory. It writes as a socket does: at once, and one checkpoint afterwards."""

    def __init__(self) -> None:
        self.peer: Pipe
        self.arrived_ns = 0
        """When the last bytes came in."""
        self._inbox: deque[bytes] = deque()
        self._is_over = False
        self._reader: trio.lowlevel.Task | None = None

    @staticmethod
    def pair() -> tuple[Pipe, Pipe]:
        one, other = Pipe(), Pipe()
        one.peer, other.peer = other, one
        return one, other

    def put(self, data: bytes) -> None:
        """Bytes from the other end."""
        self.arrived_ns = time.perf_counter_ns()
        self._inbox.append(data)
        self._wake()

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await trio.lowlevel.checkpoint_if_cancelled()
        if self._is_over or self.peer._is_over:
            raise trio.BrokenResourceError
        self.peer.put(bytes(data))
        await trio.lowlevel.cancel_shielded_checkpoint()

    async def wait_send_all_might_not_block(self) -> None:
        await trio.lowlevel.checkpoint()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        while not self._inbox:
            if self._is_over or self.peer._is_over:
                await trio.lowlevel.checkpoint()
                return b""
            self._reader = trio.lowlevel.current_task()
            await trio.lowlevel.wait_task_rescheduled(self._abort)
        return self._inbox.popleft()

    async def aclose(self) -> None:
        self._is_over = True
        self._wake()
        self.peer._wake()
        await trio.lowlevel.checkpoint()

    def _wake(self) -> None:
        if self._reader is not None:
            task, self._reader = self._reader, None
            trio.lowlevel.reschedule(task)

    def _abort(self, _: object) -> trio.lowlevel.Abort:
        self._reader = None
        return trio.lowlevel.Abort.SUCCEEDED


class Venue:
    """The far end of both connections. `market` and `trade` are its ends once they stand."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self._nursery = nursery
        self.market: Pipe | None = None
        self.orders: list[dict[str, object]] = []
        self.order_ns = 0
        """When the bytes of the last order came in."""

    def connect_market(self) -> Pipe:
        ours, self.market = Pipe.pair()
        self._nursery.start_soon(self._serve, self.market, None)
        return ours

    def connect_trade(self) -> Pipe:
        ours, theirs = Pipe.pair()
        self._nursery.start_soon(self._serve, theirs, theirs)
        return ours

    async def _serve(self, pipe: Pipe, trade: Pipe | None) -> None:
        server = WSConnection(ConnectionType.SERVER)
        while data := await pipe.receive_some():
            arrived_ns = pipe.arrived_ns
            server.receive_data(data)
            for reply in self._replies(server, arrived_ns):
                await pipe.send_all(reply)

    def _replies(self, server: WSConnection, arrived_ns: int) -> Iterator[bytes]:
        for event in server.events():
            if isinstance(event, Request):
                yield server.send(AcceptConnection())
            elif isinstance(event, TextMessage):
                asked = json.loads(event.data)
                if asked["method"] == "order.place":
                    self.order_ns = arrived_ns
                    self.orders.append(asked["params"])
                yield server.send(TextMessage(data=answer(asked)))
            elif isinstance(event, CloseConnection):
                yield server.send(event.response())


def answer(asked: dict[str, object]) -> str:
    """What the venue says to one request, on either connection."""
    method = asked["method"]
    result: object = {}
    if method == "LIST_SUBSCRIPTIONS":
        return json.dumps({"id": asked["id"], "result": stream_names(INSTRUMENT)})
    if method == "time":
        result = {"serverTime": time.time_ns() // 10**6}
    elif method == "userDataStream.subscribe":
        result = {"subscriptionId": 0}
    elif method == "order.place":
        result = expired(asked["params"])
    return json.dumps({"id": asked["id"], "status": 200, "result": result, "rateLimits": []})


def expired(params: object) -> dict[str, object]:
    """An IOC that met nobody."""
    assert isinstance(params, dict)
    return {
        "symbol": params["symbol"],
        "orderId": 1,
        "clientOrderId": params["newClientOrderId"],
        "price": params["price"],
        "origQty": params["quantity"],
        "executedQty": "0.00000000",
        "status": "EXPIRED",
        "type": params["type"],
        "side": params["side"],
        "transactTime": params["timestamp"],
    }


class ScriptedRest:
    """The REST port's place: rules, snapshots and an account that holds nothing but quote."""

    async def run(self, link: PortLink) -> None:
        link.ready()
        while True:
            message = await link.receive()
            if isinstance(message, RulesWanted):
                link.reply(rules())
            elif isinstance(message, SnapshotWanted):
                # Follows the very first diff; later ones find the first snapshot still good.
                link.reply(snapshot(FIRST_ID + 1, message.levels))
            elif isinstance(message, QueryAccount):
                link.reply(
                    AccountSnapshot(
                        account=message.account,
                        open_orders=(),
                        balances=(Balance(coin="USDT", free=Decimal(10_000), locked=Decimal(0)),),
                        fills=(),
                        wall_ns=link.wall_ns,
                    )
                )
