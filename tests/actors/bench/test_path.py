"""`nightdesk bench path` measures the whole work on both sides; how fast it is, is not these tests' business."""

from __future__ import annotations

import itertools
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import trio

from actors.bench import path, scene
from actors.bench.plain import PlainPath
from actors.orders.client_ids import parse
from actors.orders.journal_records import INTENT, Intent
from actors.venues.binance import weights
from supervisor.journal.messages import ReadBack
from supervisor.journal.store import SqliteStore

# What differs from one order to the next, whoever sends it.
OWN = ("newClientOrderId", "timestamp")


def without_own(params: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in params.items() if name not in OWN}


def plain_orders(folder: Path, count: int) -> list[dict[str, Any]]:
    plain, diffs = PlainPath(folder), scene.Diffs()
    plain.begin(diffs)
    asked = [json.loads(plain.after(plain.tick(scene.server_frame(diffs.payload())))) for _ in range(count)]
    plain.close()
    return asked


async def tree_orders(folder: Path, count: int, *, with_commit: bool = False) -> list[dict[str, Any]]:
    async with path.running(folder, with_commit) as bench:
        before = len(bench.venue.orders)
        took = await bench.ticks(count)
        assert all(each > 0 for each in took)
        return bench.venue.orders[before:]


def test_the_plain_function_and_the_tree_send_the_same_order(tmp_path: Path) -> None:
    plain = plain_orders(tmp_path / "plain", 3)
    tree = trio.run(tree_orders, tmp_path / "tree", 3)
    assert len(plain) == len(tree) == 3
    for ours, theirs in zip(tree, plain, strict=True):
        assert theirs["method"] == "order.place"
        assert list(ours) == list(theirs["params"])
        assert without_own(ours) == without_own(theirs["params"])
        # Same instance, same purpose, same epoch; and a number each.
        assert parse(ours["newClientOrderId"])[:3] == parse(theirs["params"]["newClientOrderId"])[:3]  # type: ignore[index]
    assert without_own(tree[0]) == {
        "newOrderRespType": "RESULT",
        "price": "60000.01",
        "quantity": "0.00166",
        "recvWindow": 300,
        "side": "BUY",
        "symbol": "BTCUSDT",
        "timeInForce": "IOC",
        "type": "LIMIT",
    }


def test_the_plain_function_leaves_the_same_traces_as_the_tree(tmp_path: Path) -> None:
    plain, diffs = PlainPath(tmp_path), scene.Diffs()
    plain.begin(diffs)
    for number in range(1, 4):
        plain.after(plain.tick(scene.server_frame(diffs.payload())))
        # The book is the diffs', the order and its end are journalled, its reservation is free again, the budget
        # has counted it, and the strategy may enter anew.
        assert plain.sync.update_id == diffs.last_id
        assert [record.kind for record in plain.store.records] == ["intent", "closed"] * number
        assert plain.risk.reservations.open_orders == 0 and not plain.desk.known.live
        assert plain.budget._account[weights.ORDERS_DAY + 3] == number
    intent = msgspec.msgpack.decode(plain.store.records[-2].body, type=Intent)
    assert (intent.size_lots, intent.price_ticks, intent.strategy) == (166, 6_000_001, "imbalance")
    plain.close()


def test_with_commit_every_order_that_left_is_on_disk(tmp_path: Path) -> None:
    orders = trio.run(lambda: tree_orders(tmp_path, 3, with_commit=True))
    store = SqliteStore(tmp_path / "journal.sqlite")
    kept = {one.key for one in store.read(ReadBack(kinds=(INTENT,))).records}
    store.close()
    assert {order["newClientOrderId"] for order in orders} <= kept


def test_every_diff_of_the_scene_changes_the_book_and_leaves_it_heavy_with_bids() -> None:
    diffs = scene.Diffs()
    sizes = []
    for _ in range(50):
        data = json.loads(diffs.payload())["data"]
        assert len(data["b"]) == len(data["a"]) == scene.LEVELS
        assert data["U"] == data["u"] == diffs.last_id
        bids, asks = (sum(Decimal(size) for _, size in data[side][:10]) for side in "ba")
        assert bids > Decimal("2.5") * asks
        sizes.append((data["b"], data["a"]))
    assert all(one != other for one, other in itertools.pairwise(sizes))


def test_measure_gives_every_figure_and_the_tree_is_no_multiple_of_a_function() -> None:
    result = path.measure(rounds=1, blocks=5)
    assert set(result) == {
        f"{side}_{part}_us"
        for side in ("without_commit", "with_commit", "plain_function")
        for part in ("p50", "p99")
    } | {"vs_plain_function"}
    assert all(value > 0 for value in result.values())
    # Loosely: what it is on a quiet machine is the bench's to say.
    assert result["vs_plain_function"] < 4
