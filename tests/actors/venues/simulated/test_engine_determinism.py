"""The same configuration, seed and calls at the same times give the same record, in any process."""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
from pathlib import Path

from engine_desk import START_US, busy
from test_engine_properties import act

ROOT = Path(__file__).parents[4]


def run(seed: int) -> str:
    """A busy half minute; the record's digest and a digest of everything that was sent."""
    rng = random.Random(seed)
    exchange = busy(seed, "violent", levels=40)
    sent = hashlib.sha256()
    for step in range(150):
        now_us = START_US + step * 200_000
        act(exchange, rng, now_us)
        for event in exchange.drain():
            sent.update(repr(event).encode())
    return exchange.record.digest() + sent.hexdigest()


def elsewhere(seed: int, hash_seed: int) -> str:
    code = f"import test_engine_determinism as t; print(t.run({seed}))"
    path = os.pathsep.join((str(ROOT), str(Path(__file__).parent)))
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONHASHSEED": str(hash_seed), "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout.strip()


def test_two_processes_with_different_hash_seeds_write_the_same_record():
    first, second = elsewhere(5, 1), elsewhere(5, 2)
    assert first == second == run(5)


def test_another_seed_writes_another_record():
    assert run(5) != run(6)
