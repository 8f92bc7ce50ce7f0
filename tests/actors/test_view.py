"""The view shows what matters, in a terminal of a usual size, and never holds the desk."""

from __future__ import annotations

import io
from decimal import Decimal

import msgspec
import pytest
import trio
from rich.console import Console

from actors import messages as m
from actors import view
from actors.picture import Picture
from actors.view import BookLine, OrderLine, PositionLine, TreeLine, ViewModel, fitting, line, render, show
from supervisor.events import ChildCrashed
from supervisor.failover.messages import Leading
from supervisor.paging.messages import Page, Paged
from supervisor.report import NodeReport, TreeReport

BTC = "binance/BTCUSDT"
PASTE = "nightdesk chaos crash strategy/binance/BTCUSDT"

MODEL = ViewModel(
    name="demo",
    mode="running",
    role="leader, epoch 3",
    venue="the simulated exchange",
    up_s=3725,
    wall_ns=1_700_000_000_000_000_000,
    tree=(
        TreeLine("desk", 0, True, "running", 0),
        *(TreeLine(name, 1, True, "running", 0) for name in ("outside", "core", "venue/binance", "trading")),
        *(
            TreeLine(name, 2, False, "running", 0)
            for name in ("pages", "status", "lease", "journal", "rest/binance")
        ),
        *(
            TreeLine(name, 2, False, "running", 0)
            for name in ("trade/binance", f"feed/{BTC}", "market/binance")
        ),
        *(TreeLine(name, 2, False, "running", 0) for name in ("control", "portfolio", "orders", "risk")),
        TreeLine(f"strategy/{BTC}", 2, False, "backoff", 2),
    ),
    books=(BookLine(BTC, "41234.5", "1.25", "41234.6", "0.5", 2.61, None),),
    positions=(PositionLine(BTC, "0.0024 BTC", "41230.10", "+0.0106", "41100.00", True),),
    orders=(OrderLine(BTC, "SELL", "PROTECT", "open", "0.0024 BTC", "41100.00"),),
    pnl="+1.2345",
    fees="0.0012 BNB",
    fills=12,
    refusals={"position_limit": 4, "cooldown": 90},
    crashes=2,
    pages=1,
    last_page="strategy/binance/BTCUSDT crashed: ZeroDivisionError\nsince: ...",
    events=tuple(f"event {n}" for n in range(9)),
    paste=PASTE,
)


def drawn(model: ViewModel, width: int = 100, height: int = 30) -> list[str]:
    console = Console(width=width, height=height, file=io.StringIO(), color_system=None)
    with console.capture() as captured:
        console.print(render(model, height=height), end="")
    return [text.rstrip() for text in captured.get().splitlines()]


def test_at_100_by_30_everything_is_there_and_nothing_is_cut_off() -> None:
    screen = drawn(MODEL)
    text = "\n".join(screen)
    assert len(screen) == 30 and max(map(len, screen)) <= 100
    for shown in (
        "demo", "RUNNING", "leader, epoch 3", "up 1:02:05", "22:13:20 UTC", f"● strategy/{BTC}", "backoff", "↻2",
        "41234.5", "41234.6", "2.61", "0.0024 BTC", "stop 41100.00", "PROTECT", "+1.2345", "0.0012 BNB", "fills 12",
        "cooldown 90, position_limit 4", "strategy/binance/BTCUSDT crashed: ZeroDivisionError", "event 8", PASTE,
        "Ctrl-C",
    ):  # fmt: skip
        assert shown in text, shown
    assert text.count("●") == 13


def test_at_80_by_24_every_actor_and_the_line_to_paste_are_there() -> None:
    screen = drawn(MODEL, width=80, height=24)
    text = "\n".join(screen)
    assert len(screen) == 24 and text.count("●") == 13 and "more" not in text
    for shown in (
        "leader, epoch 3", "22:13:20 UTC", "the simulated exchange", "backoff ↻2", "stop 41100.00", "cooldown 90",
        PASTE, "Ctrl-C",
    ):  # fmt: skip
        assert shown in text, shown


def test_where_the_tree_does_not_fit_what_is_in_trouble_stays_and_the_rest_is_counted() -> None:
    lines, left_out = fitting(MODEL.tree, 5)
    assert [each.name for each in lines] == ["pages", "status", "lease", f"strategy/{BTC}"] and left_out == 9
    assert fitting(MODEL.tree, len(MODEL.tree)) == (list(MODEL.tree), 0)
    broken = (TreeLine("desk", 0, True, "gave_up", 0), *MODEL.tree[1:])
    assert fitting(broken, 3)[0][0].state == "gave_up"
    assert "and 9 more" in "\n".join(drawn(MODEL, height=14)), "5 rows of tree"


def test_a_position_without_a_stop_is_impossible_to_overlook() -> None:
    naked = msgspec.structs.replace(MODEL.positions[0], stop=None, is_covered=False)
    assert "NO STOP" in "\n".join(drawn(msgspec.structs.replace(MODEL, positions=(naked,))))
    partly = msgspec.structs.replace(MODEL.positions[0], is_covered=False)
    assert "NOT FOR ALL" in "\n".join(drawn(msgspec.structs.replace(MODEL, positions=(partly,))))


def test_an_empty_desk_a_crowded_one_and_a_small_terminal_are_drawn_too() -> None:
    empty = msgspec.structs.replace(
        MODEL, tree=(), books=(), positions=(), orders=(), refusals={}, pages=0, last_page="", events=()
    )
    text = "\n".join(drawn(empty))
    assert "flat" in text and "none so far" in text and "refused nothing" in text
    crowded = msgspec.structs.replace(MODEL, orders=MODEL.orders * 40)
    assert "and 28 more" in "\n".join(drawn(crowded, height=60))
    assert len(drawn(MODEL, width=60, height=20)) == 20


def test_one_line_says_where_the_desk_stands() -> None:
    assert line(MODEL) == (
        "22:13:20 running leader, epoch 3 | binance/BTCUSDT 41234.5/41234.6 | position 0.0024 BTC "
        "binance/BTCUSDT (stop 41100.00) | open orders 1 | fills 12 | net P&L +1.2345 | restarts 2 | pages 1"
    )


async def test_without_a_terminal_it_is_a_line_each_five_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    assert view.LINE_S == 5.0
    monkeypatch.setattr(view, "LINE_S", 0.1)
    stream = io.StringIO()
    with trio.move_on_after(0.35):
        await show(lambda: MODEL, stream=stream)
    lines = stream.getvalue().splitlines()
    assert 2 <= len(lines) <= 4 and set(lines) == {line(MODEL)}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


async def test_on_a_terminal_it_draws_and_leaves_the_screen_as_it_was() -> None:
    stream = Terminal()
    with trio.move_on_after(0.6):
        await show(lambda: MODEL, stream=stream)
    text = stream.getvalue()
    assert text.startswith("\x1b[?1049h") and "\x1b[?1049l" in text
    assert "nightdesk" in text


# --- The picture: what events make of it
# ---------------------------------------------------------------------


def report(size_lots: int) -> m.PortfolioReport:
    position = m.PositionReport(
        instrument=BTC,
        size_lots=size_lots,
        dust=Decimal(0),
        average_price=Decimal("41230.1"),
        mark=Decimal(41240),
        unrealised=Decimal("0.5"),
        realised=Decimal("-0.2"),
        fees=Decimal("0.1"),
    )
    return m.PortfolioReport(
        positions=(position,),
        fees_by_coin={"BNB": Decimal("0.00120")},
        fees_unvalued={},
        fills=3,
        adjustments=(),
        wall_ns=0,
    )


def protection(lots: int) -> m.ProtectionChanged:
    return m.ProtectionChanged(
        instrument=BTC,
        position_lots=24,
        stop_client_id="x" if lots else None,
        stop_ticks=4_110_000 if lots else None,
        protected_lots=lots,
        verified_ns=1,
    )


def order(state: m.OrderState, *, is_terminal: bool = False) -> m.OrderChanged:
    return m.OrderChanged(
        client_id="c1",
        intent_id=1,
        reservation_id=1,
        strategy="imbalance",
        instrument=BTC,
        side=m.Side.BUY,
        purpose=m.Purpose.OPEN,
        state=state,
        is_terminal=is_terminal,
        size_lots=24,
        filled_lots=0,
        price_ticks=4_123_000,
        stop_ticks=None,
    )


RULES = m.InstrumentRules(
    instrument=BTC,
    base="BTC",
    quote="USDT",
    tick=Decimal("0.01"),
    lot=Decimal("0.0001"),
    size_min=Decimal("0.0001"),
    size_max=Decimal(100),
    notional_min=Decimal(5),
    algo_orders_max=5,
    status="TRADING",
)


def seen(*events: m.Message) -> ViewModel:
    picture = Picture("demo", "somewhere", PASTE)
    for event in events:
        picture(event)
    return picture.view(None, up_s=1, wall_ns=0)


def test_a_position_is_shown_with_the_stop_that_covers_it() -> None:
    (position,) = seen(RULES, report(24), protection(24)).positions
    assert position.is_covered and position.stop == "41100.00" and position.size == "0.0024 BTC"
    assert seen(RULES, report(24), protection(20)).positions[0].is_covered is False
    assert seen(RULES, report(24), protection(0)).positions[0].stop is None
    assert seen(report(0)).positions == ()
    assert seen(report(24)).positions[0].size == "24 lots", "without rules it is still told"


def test_net_profit_and_fees_come_from_the_portfolio() -> None:
    model = seen(report(24))
    assert model.pnl == "+0.3000" and model.fees == "0.0012 BNB"


def test_an_order_is_shown_until_its_end() -> None:
    assert seen(RULES, order(m.OrderState.OPEN)).orders[0].price == "41230.00"
    assert seen(order(m.OrderState.OPEN), order(m.OrderState.FILLED, is_terminal=True)).orders == ()


def test_the_book_is_shown_with_its_imbalance_until_it_is_lost() -> None:
    book = m.Book(
        instrument=BTC,
        update_id=1,
        bids=((100.0, 3.0), (99.0, 2.0)),
        asks=((101.0, 1.0), (102.0, 1.0)),
        venue_ns=0,
        received_ns=0,
    )
    (shown,) = seen(book).books
    assert (shown.bid, shown.ask, shown.imbalance) == ("100", "101", 2.5)
    assert seen(book, m.BookLost(instrument=BTC, reason="gap")).books == ()


def test_role_mode_crash_page_and_refusals_are_kept() -> None:
    crash = ChildCrashed(
        name="orders",
        incarnation=1,
        error="KeyError: 1",
        traceback_text="",
        message_type=None,
        restarts=0,
        wall_ns=0,
    )
    page = Page(page_id=1, key="k", title="orders crashed", text="since: now", count=1)
    refused = m.RefusedOrder(
        intent_id=1, strategy="s", instrument=BTC, purpose=m.Purpose.OPEN, reason="position_limit"
    )
    mode = m.ModeChanged(mode=m.DeskMode.KILLED, by="operator", reason="test", wall_ns=1)
    model = seen(Leading(store_id="x", epoch=4), crash, Paged(page=page, channels=0), refused, refused, mode)
    assert (model.role, model.mode, model.crashes, model.pages) == ("leader, epoch 4", "killed", 1, 1)
    assert model.refusals == {"position_limit": 2} and model.last_page.startswith("orders crashed")
    assert any("orders crashed" in event for event in model.events)


def test_the_tree_is_shown_with_its_states_and_restarts() -> None:
    def node(name: str, kind: str, *children: NodeReport, restarts: int = 0) -> NodeReport:
        counts = dict.fromkeys(("done", "depth", "high_water", "refused", "dropped", "conflated"), 0)
        return NodeReport(
            name=name,
            kind=kind,  # type: ignore[arg-type]
            state="running",
            since_s=0,
            incarnation=1,
            restarts=restarts,
            last_error=None,
            children=children,
            **counts,
        )

    root = node("desk", "branch", node("core", "branch", node("lease", "port", restarts=3)))
    tree = TreeReport(at_ns=0, root=root, flags=(), dead_letters={})
    lines = Picture("demo", "x", PASTE).view(tree, up_s=0, wall_ns=0).tree
    assert [(each.name, each.depth, each.is_branch, each.restarts) for each in lines] == [
        ("desk", 0, True, 0),
        ("core", 1, True, 0),
        ("lease", 2, False, 3),
    ]
