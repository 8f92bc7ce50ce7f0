"""The live view of a desk on a terminal: a pure `render`, and a task that draws it four times a second.

Drawn in a thread: a terminal that is held (Ctrl-S) or slow must not hold the desk. Without a terminal it is
one line each five seconds.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TextIO

import msgspec
import trio
from rich.console import Console, Group, RenderableType
from rich.layout import Layout
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

DRAW_S = 0.25
LINE_S = 5.0
# A desk with hundreds of instruments still fits: what is beyond is counted.
ROWS_MAX = 12
EVENTS_SHOWN = 4
# A terminal of 24 lines is what many open: every actor must be seen there, so some news has to go.
HEIGHT_USUAL = 30
EVENTS_SHOWN_LOW = 2

_STATE_STYLES = {
    "running": "green",
    "finished": "dim",
    "stopped": "dim",
    "starting": "yellow",
    "restarting": "yellow",
    "backoff": "yellow",
    "stopping": "yellow",
    "gave_up": "bold red",
    "halted": "bold red",
}
_MODE_STYLES = {"running": "bold green", "paused": "bold yellow", "killed": "bold white on red"}


class TreeLine(msgspec.Struct, frozen=True):
    """One branch or child; `depth` 0 is the root."""

    name: str
    depth: int
    is_branch: bool
    state: str
    restarts: int


class BookLine(msgspec.Struct, frozen=True):
    """The top of one book. `imbalance`: size of the first levels, bids over asks; None while there is no
    book."""

    instrument: str
    bid: str
    bid_size: str
    ask: str
    ask_size: str
    imbalance: float | None
    lost: str | None


class PositionLine(msgspec.Struct, frozen=True):
    """One position and the stop that stands for it at the venue; `stop` None: none is verified."""

    instrument: str
    size: str
    average: str
    unrealised: str
    stop: str | None
    is_covered: bool


class OrderLine(msgspec.Struct, frozen=True):
    """One order that is not at its end."""

    instrument: str
    side: str
    purpose: str
    state: str
    size: str
    price: str


class ViewModel(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the view shows, as text and plain numbers; also what `nightdesk status` gets."""

    name: str
    mode: str
    role: str
    venue: str
    up_s: float
    wall_ns: int
    tree: tuple[TreeLine, ...]
    books: tuple[BookLine, ...]
    positions: tuple[PositionLine, ...]
    orders: tuple[OrderLine, ...]
    pnl: str
    fees: str
    fills: int
    refusals: dict[str, int]
    crashes: int
    pages: int
    last_page: str
    """Empty: none so far."""
    events: tuple[str, ...]
    """Oldest first."""
    paste: str
    """The line that crashes an actor."""


async def show(model: Callable[[], ViewModel], *, stream: TextIO | None = None) -> None:
    """Draw until cancelled; `model` is called in the Trio thread."""
    stream = stream if stream is not None else sys.stdout
    if not stream.isatty():
        while True:
            await trio.to_thread.run_sync(_print, stream, line(model()), abandon_on_cancel=True)
            await trio.sleep(LINE_S)
    # The alternate screen: when it ends, the terminal is as it was, and the summary comes below what was
    # typed.
    live = Live(console=Console(file=stream), auto_refresh=False, screen=True)
    await trio.to_thread.run_sync(live.start)
    try:
        while True:
            now = model()
            await trio.to_thread.run_sync(_draw, live, now, abandon_on_cancel=True)
            await trio.sleep(DRAW_S)
    finally:
        with trio.move_on_after(1.0, shield=True):
            await trio.to_thread.run_sync(live.stop, abandon_on_cancel=True)


def _draw(live: Live, model: ViewModel) -> None:
    live.update(render(model, height=live.console.height), refresh=True)


def _print(stream: TextIO, text: str) -> None:
    stream.write(f"{text}\n")
    stream.flush()


def line(model: ViewModel) -> str:
    """The desk in one line of plain text."""
    book = next(iter(model.books), None)
    top = f"{book.instrument} {book.bid}/{book.ask}" if book is not None else "no book"
    held = ", ".join(f"{each.size} {each.instrument} ({_stop_words(each)})" for each in model.positions)
    restarts = sum(each.restarts for each in model.tree if not each.is_branch)
    return (
        f"{_clock(model.wall_ns)} {model.mode} {model.role} | {top} | position {held or 'flat'} | "
        f"open orders {len(model.orders)} | fills {model.fills} | net P&L {model.pnl} | "
        f"restarts {restarts} | pages {model.pages}"
    )


def render(model: ViewModel, *, height: int = HEIGHT_USUAL) -> RenderableType:
    """The whole screen, `height` lines of it. Pure; at its best from 100 columns and 30 lines on."""
    events = EVENTS_SHOWN if height >= HEIGHT_USUAL else EVENTS_SHOWN_LOW
    bottom = events + 4
    screen = Layout()
    body = Layout(name="body")
    # Without the header, what is below, and the frame of the tree.
    tree = _tree(model, rows_max=max(1, height - 1 - bottom - 2))
    body.split_row(Layout(tree, ratio=9), Layout(_right(model), ratio=11))
    screen.split_column(Layout(_header(model), size=1), body, Layout(_bottom(model, events), size=bottom))
    return screen


def _header(model: ViewModel) -> RenderableType:
    row = Table.grid(expand=True)
    row.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    row.add_column(justify="right", no_wrap=True)
    left = Text.assemble(
        (" nightdesk ", "bold"),
        (f"{model.name}  ", "bold cyan"),
        (f" {model.mode.upper()} ", _MODE_STYLES.get(model.mode, "bold white on red")),
        f"  {model.role}",
    )
    hours, rest = divmod(int(model.up_s), 3600)
    row.add_row(left, f"up {hours}:{rest // 60:02}:{rest % 60:02}  {_clock(model.wall_ns)} UTC ")
    return row


def _tree(model: ViewModel, rows_max: int) -> RenderableType:
    rows = Table.grid(expand=True, padding=(0, 0, 0, 1))
    rows.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    rows.add_column(justify="right", no_wrap=True)
    shown, left_out = fitting(model.tree, rows_max)
    for each in shown:
        style = _STATE_STYLES.get(each.state, "red")
        name = Text(" " * each.depth)
        name.append("" if each.is_branch else "● ", style)
        name.append(each.name, "bold" if each.is_branch else "")
        # A green dot says "running" shorter.
        state = Text("" if each.state == "running" else each.state, style)
        state.append(f" ↻{each.restarts}" if each.restarts else "", "yellow")
        rows.add_row(name, state)
    if left_out:
        rows.add_row(Text(f"and {left_out} more", "dim"), "")
    return Panel(rows, title="tree, ↻ restarts", title_align="left", border_style="dim")


def fitting(tree: tuple[TreeLine, ...], rows_max: int) -> tuple[list[TreeLine], int]:
    """The lines that fit into `rows_max` rows, in the order of the tree, and how many are left out; where some
    are, the last row is for saying so. Headings go first, and what is in trouble goes last."""
    if len(tree) <= rows_max:
        return list(tree), 0
    lines = [each for each in tree if not each.is_branch or each.state != "running" or each.restarts]
    if len(lines) <= rows_max:
        return lines, 0
    by_trouble = sorted(range(len(lines)), key=lambda n: (lines[n].state == "running", -lines[n].restarts))
    kept = sorted(by_trouble[: rows_max - 1])
    return [lines[n] for n in kept], len(lines) - len(kept)


def _right(model: ViewModel) -> RenderableType:
    parts: list[RenderableType] = [_books(model), Text(), _positions(model), Text(), _orders(model), Text()]
    style = "red" if model.pnl.startswith("-") else "green"
    parts.append(
        Text.assemble(("net P&L ", "bold"), (model.pnl, style), f"   fills {model.fills}\nfees {model.fees}")
    )
    refusals = ", ".join(f"{reason} {count}" for reason, count in _most(model.refusals))
    parts.append(Text.assemble(("refused ", "bold"), refusals or "nothing"))
    return Panel(Group(*parts), title=Text(f"desk at {model.venue}"), title_align="left", border_style="dim")


def _books(model: ViewModel) -> RenderableType:
    # Sizes below their prices: on 80 columns a price must not be cut off either.
    rows = _rows("book", "bid", "ask", "bids:asks")
    for each in model.books[:ROWS_MAX]:
        if each.lost is not None:
            rows.add_row(_short(each.instrument), Text("no book", "yellow"), Text(each.lost, "yellow"), "")
            continue
        imbalance = "" if each.imbalance is None else f"{each.imbalance:.2f}"
        rows.add_row(_short(each.instrument), Text(each.bid, "green"), Text(each.ask, "red"), imbalance)
        rows.add_row("", Text(each.bid_size, "dim"), Text(each.ask_size, "dim"), "")
    return rows


def _positions(model: ViewModel) -> RenderableType:
    # Two lines each: the stop is never what a narrow column cuts off.
    words = Text("position\n", "dim")
    for each in model.positions[:ROWS_MAX]:
        words.append(
            f"{_short(each.instrument)}  {each.size} at {each.average}, {each.unrealised}\n", "default"
        )
        words.append("  ")
        words.append(_stop_words(each), "green" if each.is_covered else "bold white on red")
        words.append(" at the venue\n" if each.stop is not None else "\n", "default")
    words.append("" if model.positions else "flat\n")
    words.rstrip()
    return words


def _orders(model: ViewModel) -> RenderableType:
    words = Text("open orders\n", "dim", no_wrap=True, overflow="ellipsis")
    for each in model.orders[:ROWS_MAX]:
        what = f"{_short(each.instrument)}  {each.side} {each.size} at {each.price}"
        words.append(f"{what}  {each.purpose} {each.state}\n", "default")
    if not model.orders:
        words.append("none")
    if len(model.orders) > ROWS_MAX:
        words.append(f"and {len(model.orders) - ROWS_MAX} more")
    words.rstrip()
    return words


def _bottom(model: ViewModel, events: int) -> RenderableType:
    lines = [Text(each) for each in model.events[-events:]]
    lines += [Text()] * (events - len(lines))
    page = model.last_page.partition("\n")[0]
    lines.append(
        Text.assemble((f"pages {model.pages} ", "bold"), (page or "none so far", "red" if page else "dim"))
    )
    lines.append(Text.assemble(("crash one: ", "bold"), (model.paste, "bold cyan")))
    for row in lines:
        row.no_wrap, row.overflow = True, "ellipsis"
    # In the frame, so that no long line of paste pushes it out.
    return Panel(
        Group(*lines),
        title="last",
        title_align="left",
        subtitle="Ctrl-C: end in order",
        subtitle_align="right",
        border_style="dim",
    )


def _rows(*titles: str) -> Table:
    rows = Table(expand=True, box=None, padding=(0, 1, 0, 0), header_style="dim")
    for number, title in enumerate(titles):
        rows.add_column(title, justify="left" if number == 0 else "right", no_wrap=True, overflow="ellipsis")
    return rows


def _short(instrument: str) -> str:
    """ "binance/BTCUSDT" as BTCUSDT: the venue is in the header."""
    return instrument.rpartition("/")[2]


def _stop_words(position: PositionLine) -> str:
    if position.stop is None:
        return "NO STOP"
    return f"stop {position.stop}" if position.is_covered else f"stop {position.stop} NOT FOR ALL"


def _most(counts: dict[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda pair: -pair[1])[:4]


def _clock(wall_ns: int) -> str:
    return f"{datetime.fromtimestamp(wall_ns / 1e9, UTC):%H:%M:%S}"
