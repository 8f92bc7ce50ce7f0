"""The summary of one run: what `--summary` writes and the end of every run prints.

Our own counts stand beside the venue's, and `agrees` says whether they tell the same story, to the last fill and fee.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from actors.messages import ProtectionChanged, TradingStopped
from actors.tally import Tally, compare
from supervisor.report import NodeReport, TreeReport

S = 1_000_000_000


class PositionLine(msgspec.Struct, frozen=True):
    """One instrument at the end: whole lots held, dust in coins, and the stop that stands for it at the venue."""

    lots: int
    dust: Decimal
    stop: str | None
    stop_ticks: int | None
    protected_lots: int


class Summary(msgspec.Struct, frozen=True):
    """Counts of one run; money as decimal strings, fees by the coin they were paid in, P&L in quote and net of fees."""

    messages: int
    books: int
    intents: int
    refusals: dict[str, int]
    orders: dict[str, int]
    fills: int
    fees: dict[str, Decimal]
    pnl: Decimal
    position: dict[str, PositionLine]
    unprotected_s: float
    crashes: dict[str, int]
    restarts: int
    pages: int
    venue: dict[str, Any] | None
    """The venue's own counts (orders by status, fills, balances, fees); None where it keeps none for us."""
    agrees: bool | list[str] | None
    """True, or every difference in words; None where there is no venue's record to compare with."""


def summarise(
    tally: Tally,
    tree: TreeReport | None,
    *,
    pages: int,
    account: str,
    prefix: str,
    record: Mapping[str, Any] | None,
    counts: dict[str, Any] | None,
    missing: str = "",
) -> Summary:
    """`record` and `counts`: the venue's record and its summary of `account`; `prefix` begins our client ids.
    `missing`: why there is none though there should be, which is a difference too."""
    differences = (
        compare(tally, record, account, prefix) if record is not None else ([missing] if missing else None)
    )
    portfolio = tally.portfolio
    return Summary(
        messages=_done(tree.root) if tree is not None else 0,
        books=tally.books,
        intents=len(tally.intents),
        refusals=dict(sorted(tally.refusals.items())),
        orders=tally.orders_by_state(),
        fills=len(tally.fills),
        fees=tally.fees(),
        pnl=sum((each.realised + each.unrealised for each in portfolio.positions), Decimal(0))
        if portfolio is not None
        else Decimal(0),
        position={
            each.instrument: _line(each.size_lots, each.dust, tally.protections.get(each.instrument))
            for each in (portfolio.positions if portfolio is not None else ())
        },
        unprotected_s=max((each.unprotected_ns for each in tally.protections.values()), default=0) / S,
        crashes=dict(sorted(tally.crashes.items())),
        restarts=tally.restarts,
        pages=pages,
        venue=counts,
        agrees=None if differences is None else (differences or True),
    )


def _line(lots: int, dust: Decimal, protection: ProtectionChanged | None) -> PositionLine:
    if protection is None or not lots:
        return PositionLine(lots, dust, None, None, 0)
    return PositionLine(
        lots, dust, protection.stop_client_id, protection.stop_ticks, protection.protected_lots
    )


def _done(node: NodeReport) -> int:
    return node.done + sum(_done(child) for child in node.children)


def words(summary: Summary, stopped: TradingStopped | None) -> str:
    """The end of a run, for a person."""
    fees = ", ".join(f"{fee.normalize():f} {coin}" for coin, fee in summary.fees.items()) or "none"
    lines = [
        f"fills {summary.fills}, fees {fees}, P&L after fees {summary.pnl:+.4f}",
        f"orders: {_counts(summary.orders)}; refused: {_counts(summary.refusals)}",
        f"crashes {sum(summary.crashes.values())}, restarts {summary.restarts}, pages {summary.pages}, "
        f"seconds without a stop beyond the first 3: {summary.unprotected_s:g}",
    ]
    for instrument, line in summary.position.items():
        stop = f"stop {line.stop} at tick {line.stop_ticks}" if line.stop else "no stop"
        held = f"{line.lots} lots, {stop}" if line.lots else "flat"
        lines.append(f"{instrument}: {held}, dust {line.dust.normalize():f}")
    if stopped is None:
        lines.append("trading was not stopped in order: what stands at the venue stands under its stop")
    match summary.agrees:
        case True:
            lines.append("the venue's own record agrees, to the last fill and fee")
        case list() as differences:
            lines.append(f"the venue's own record DISAGREES in {len(differences)} places:")
            lines += [f"  {each}" for each in differences[:20]]
        case _:
            pass
    return "\n".join(lines) + "\n"


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items()) or "none"
