"""What a row of crashes comes to: for every child how it came back, who fell with it, and what it cost at the venue.

Pure. A trial answers for everything from its crash to the next one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from actors.chaos import cover, judge
from actors.chaos.judge import Kept, Seen, Terms
from actors.chaos.rounds import Condition

PROBLEMS_MAX = 50
# Half of the trials hold a position, a fifth have an order on its way.
HELD_MIN, IN_FLIGHT_MIN = 0.5, 0.2
FOREVER_US = 2**62


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """One crash, as the desk, its venue's clock and its pager tell it."""

    victim: str
    wanted: Condition
    at_us: int
    back_s: float | None
    """None: it did not come back in time."""
    paged_s: float | None
    pages: tuple[str, ...]
    """Titles of all that was paged between this crash and the next look."""
    others: tuple[str, ...]
    """Who restarted, and by the tree should not have."""
    down: tuple[str, ...]
    """Who does not run afterwards."""

    @property
    def words(self) -> str:
        back = f"back after {self.back_s:.2f} s" if self.back_s is not None else "NOT BACK"
        extra = "".join(f"; {name} restarted too" for name in self.others)
        return f"{self.victim} ({self.wanted}) {back}, {len(self.pages)} page(s){extra}"


class OfChild(msgspec.Struct, frozen=True, kw_only=True):
    """All crashes of one child."""

    crashes: int
    back_max_s: float
    pages: int
    others_restarted: tuple[str, ...]
    unprotected_s: float
    stop_gap_max_s: float
    """The longest time without a stop, the time that placing a first one took included."""
    doubled: int
    lost: int


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What `chaos live crashes` says; `ok` when nothing was lost and every trial was what it should be."""

    ok: bool
    trials: int
    held: int
    """Trials in which the venue's record shows a position at the crash."""
    in_flight: int
    """Trials in which it shows an order on its way: journalled before the crash, accepted after it."""
    orders: int
    fills: int
    pages: int
    pages_max_s: float
    back_max_s: float
    traded_again_max_s: float
    others_restarted: int
    unprotected_s: float
    stop_first_max_s: float
    """The longest that placing the first stop took."""
    stop_gap_max_s: float
    """The longest that a stop was gone which had stood."""
    doubled: int
    """Client ids accepted twice, fills booked twice, and positions beyond one entry's size."""
    lost: int
    """Orders that no journal knows, fills that it lacks or invents, and orders still working at the end."""
    oversold: int
    position_off: dict[str, str]
    by_child: dict[str, OfChild]
    problems: tuple[str, ...]


def verdict(
    trials: Sequence[Trial],
    seen: Seen,
    kept: Kept,
    record: Mapping[str, Any],
    *,
    account: str,
    terms: Mapping[str, Terms],
    entry_max: Decimal,
    until_us: int,
) -> Verdict:
    """`kept`: the journal after the end. `entry_max`: what one entry may be worth, in quote."""
    case = _Case(seen, kept, terms, entry_max, until_us)
    ends = (*(trial.at_us for trial in trials[1:]), FOREVER_US)
    windows = list(zip(trials, ends, strict=False))
    off = judge.position_off(kept.fills, record, account, terms)
    held = sum(judge.is_held(seen.fills, terms, trial.at_us) for trial in trials)
    flying = sum(bool(judge.in_flight(seen.orders, kept.intents, trial.at_us)) for trial in trials)
    again = [judge.next_after(seen.orders, trial.at_us) for trial in trials]
    children = {
        name: case.of_child([window for window in windows if window[0].victim == name])
        for name in dict.fromkeys(trial.victim for trial in trials)
    }
    problems = [
        *(problem for trial in trials for problem in _problems(trial)),
        *(f"nothing was traded after {trials[at].victim}" for at, at_us in enumerate(again) if at_us is None),
        *case.problems(),
        *(f"{coin}: by the journal {amount:+f} off the venue's balance" for coin, amount in off.items()),
        *_too_few("a position was held", held, HELD_MIN, len(trials)),
        *_too_few("an order was on its way", flying, IN_FLIGHT_MIN, len(trials)),
    ]
    return Verdict(
        ok=bool(trials) and not problems,
        trials=len(trials),
        held=held,
        in_flight=flying,
        orders=len(seen.orders),
        fills=len(seen.fills),
        pages=sum(len(trial.pages) for trial in trials),
        pages_max_s=max((trial.paged_s or 0.0 for trial in trials), default=0.0),
        back_max_s=max((trial.back_s or 0.0 for trial in trials), default=0.0),
        traded_again_max_s=_longest_us(trials, again) / cover.S_US,
        others_restarted=sum(len(trial.others) for trial in trials),
        unprotected_s=cover.unprotected_s(case.gaps),
        stop_first_max_s=cover.longest_s(case.gaps, first=True),
        stop_gap_max_s=cover.longest_s(case.gaps, first=False),
        doubled=sum(child.doubled for child in children.values()),
        lost=sum(child.lost for child in children.values()) + case.astray,
        oversold=len(judge.oversold(seen.fills, terms)),
        position_off={coin: f"{amount:f}" for coin, amount in off.items()},
        by_child=children,
        problems=tuple(problems[:PROBLEMS_MAX]),
    )


def _too_few(what: str, count: int, least: float, trials: int) -> list[str]:
    return [f"{what} in {count} of {trials} trials only"] if count < int(least * trials) else []


def _longest_us(trials: Sequence[Trial], again: Sequence[int | None]) -> int:
    pairs = zip(trials, again, strict=True)
    return max((at_us - trial.at_us for trial, at_us in pairs if at_us is not None), default=0)


Window = tuple[Trial, int]
"""A trial, and when the next one began."""


class _Case:
    """The evidence, and what of it falls into the window of each trial."""

    def __init__(
        self, seen: Seen, kept: Kept, terms: Mapping[str, Terms], entry_max: Decimal, until_us: int
    ) -> None:
        self.gaps = cover.gaps(seen.orders, seen.fills, terms, until_us)
        self._seen = seen
        self._terms = terms
        self._entry_max = entry_max
        self._unknown = set(judge.unjournalled(seen.orders, kept.intents))
        self._twice = set(judge.doubled(seen.orders))
        books = judge.reconcile(seen.fills, kept.fills)
        self._missing, self._double, self._invented = set(books.missing), set(books.doubled), books.invented
        self._working = judge.left_working(seen.orders)

    @property
    def astray(self) -> int:
        """What no trial answers for: fills that the venue does not have, orders that still work."""
        return len(self._invented) + len(self._working)

    def of_child(self, windows: Sequence[Window]) -> OfChild:
        trials = [trial for trial, _ in windows]
        gaps = [gap for trial, end_us in windows for gap in cover.within(self.gaps, trial.at_us, end_us)]
        return OfChild(
            crashes=len(trials),
            back_max_s=max(trial.back_s or 0.0 for trial in trials),
            pages=sum(len(trial.pages) for trial in trials),
            others_restarted=tuple(sorted({name for trial in trials for name in trial.others})),
            unprotected_s=cover.unprotected_s(gaps),
            stop_gap_max_s=max((gap.lasted_s for gap in gaps), default=0.0),
            doubled=sum(self._doubled(trial.at_us, end_us) for trial, end_us in windows),
            lost=sum(self._lost(trial.at_us, end_us) for trial, end_us in windows),
        )

    def problems(self) -> list[str]:
        return [
            *(f"{client_id} was accepted twice" for client_id in sorted(self._twice)),
            *(f"{client_id} at the venue, and in no journal" for client_id in sorted(self._unknown)),
            *(f"fill {key} is not in the journal" for key in sorted(self._missing)),
            *(f"fill {key} is in the journal and not at the venue" for key in self._invented),
            *(f"{client_id} still works at the venue" for client_id in self._working),
            *(f"fill {key} is in the journal twice" for key in sorted(self._double)),
            *(f"without a stop for {gap.lasted_s:.3f} s: {gap}" for gap in self.gaps if gap.wrong_s),
            *(
                f"sold more than was held: fill {key}"
                for key in judge.oversold(self._seen.fills, self._terms)
            ),
            *self._too_much(),
        ]

    def _too_much(self) -> list[str]:
        most = judge.most_held(self._seen.fills, self._terms, 0, FOREVER_US)
        return [f"held {most:.2f}, and one entry is {self._entry_max}"] if most > self._entry_max else []

    def _doubled(self, from_us: int, to_us: int) -> int:
        orders = {o.client_id for o in self._seen.orders if from_us <= o.at_us < to_us} & self._twice
        fills = {f.key for f in self._seen.fills if from_us <= f.at_us < to_us} & self._double
        most = judge.most_held(self._seen.fills, self._terms, from_us, to_us)
        return len(orders) + len(fills) + (most > self._entry_max)

    def _lost(self, from_us: int, to_us: int) -> int:
        orders = {o.client_id for o in self._seen.orders if from_us <= o.at_us < to_us} & self._unknown
        fills = {f.key for f in self._seen.fills if from_us <= f.at_us < to_us} & self._missing
        return len(orders) + len(fills)


def _problems(trial: Trial) -> list[str]:
    found = []
    if trial.back_s is None:
        found.append(f"{trial.victim} did not come back")
    if len(trial.pages) != 1 or not trial.pages[0].startswith(f"{trial.victim} crashed"):
        found.append(f"{trial.victim}: {len(trial.pages)} pages instead of one: {list(trial.pages)}")
    found += [f"{name} restarted when {trial.victim} crashed" for name in trial.others]
    found += [f"{name} does not run after {trial.victim} crashed" for name in trial.down]
    return found
