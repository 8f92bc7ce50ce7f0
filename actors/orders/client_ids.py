"""Client order ids: who sent an order, why, under which epoch, and a number that never repeats.

    nd<instance>-<purpose letter><epoch>-<sequence>        nda-o2f-1c9  (numbers in base 36)

The purpose is in the id so that whoever finds an order at the venue, with no journal at hand, knows whether
to cancel it (OPEN) or to leave it standing (PROTECT); the epoch, so that an order of an earlier holder is
known as one.

At most 30 characters of `[a-z0-9-]`: inside Binance's `^[.A-Z:/a-z0-9_-]{1,36}$` and Bybit's 36. For a venue
that takes letters and digits only (OKX: 32) its codec leaves the two hyphens out, with the epoch padded to 6
characters and the sequence to 8, so that it parses by position; nothing else here changes.

Rule: a number is used only after the block that holds it was journalled as reserved. A crash loses the rest
of a block and repeats nothing.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from actors.messages import Purpose

PREFIX = "nd"
"""Every id of every desk on the account begins so; what does not is the owner's, and is never touched."""

_PATTERN = re.compile(r"nd([a-z0-9]{1,8})-([orp])([0-9a-z]{1,7})-([0-9a-z]{1,9})")
_INSTANCE = re.compile(r"[a-z0-9]{1,8}")
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_PURPOSES = {purpose.value: purpose for purpose in Purpose}


class ClientId(NamedTuple):
    instance: str
    purpose: Purpose
    epoch: int
    sequence: int


class Block(NamedTuple):
    """Sequence numbers `start` to `end` - 1."""

    start: int
    end: int


def base36(number: int) -> str:
    """A number of 0 or more in base 36, lower case."""
    text = ""
    while True:
        number, digit = divmod(number, 36)
        text = _DIGITS[digit] + text
        if not number:
            return text


def parse(text: str) -> ClientId | None:
    """The parts of an id of ours, or None: then the order is the owner's."""
    found = _PATTERN.fullmatch(text)
    if found is None:
        return None
    instance, letter, epoch, sequence = found.groups()
    return ClientId(instance, _PURPOSES[letter], int(epoch, 36), int(sequence, 36))


class Sequences:
    """Hands out ids of one instance under one epoch, from blocks that are known to be journalled."""

    def __init__(self, instance: str, epoch: int, first: int, *, block: int, reserve: int) -> None:
        """`first`: above every number ever reserved. `reserve`: how many of the granted ones only exits may
        use, so that a full disk, which grants no new block, cannot leave a position without an id for its
        stop."""
        if not _INSTANCE.fullmatch(instance):
            raise ValueError(
                f"orders: instance {instance!r} must be 1 to 8 of a-z and 0-9; it goes into every order id"
            )
        if not 0 <= reserve < block // 2:
            raise ValueError(f"orders: ids_reserve {reserve} must be less than half of ids_block {block}")
        self._heads = {purpose: f"{PREFIX}{instance}-{purpose.value}{base36(epoch)}-" for purpose in Purpose}
        self._next = first
        self._end = first
        self._block = block
        self._reserve = reserve
        self._asked: Block | None = None

    @property
    def end(self) -> int:
        """One above the highest number that is reserved."""
        return self._end

    @property
    def left(self) -> int:
        return self._end - self._next

    def take(self, purpose: Purpose) -> str | None:
        """A new id, or None while no journalled number is left for this purpose."""
        number = self._next
        if number >= self._end - (self._reserve if purpose is Purpose.OPEN else 0):
            return None
        self._next = number + 1
        return self._heads[purpose] + base36(number)

    def wanted(self) -> Block | None:
        """The block to journal now, once: None while there are plenty, or while one is being journalled."""
        if self._asked is not None or self._end - self._next > self._block // 2:
            return None
        self._asked = Block(self._end, self._end + self._block)
        return self._asked

    def granted(self, block: Block) -> None:
        """The block is on disk."""
        if block == self._asked:
            self._end = block.end
            self._asked = None

    def failed(self, block: Block) -> None:
        """The block is not on disk; `wanted` will name it again."""
        if block == self._asked:
            self._asked = None
