"""The lease of one host: one holder, each with a higher number, and words for whoever comes second."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from supervisor.errors import Halt
from supervisor.failover.local import EPOCH_FILE, LOCK_FILE, holder_words, next_epoch, refuse_remote, take

HOLDER = """
import os, sys, time
from supervisor.failover.local import take
lock = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
print(take(lock), flush=True)
time.sleep(60)
"""


def test_each_holder_gets_a_higher_epoch_in_the_same_store(tmp_path: Path) -> None:
    path = tmp_path / EPOCH_FILE
    first, second = next_epoch(path), next_epoch(path)
    assert (first.epoch, second.epoch) == (1, 2)
    assert first.store_id == second.store_id
    assert next_epoch(tmp_path / "other.sqlite").store_id != first.store_id
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_damaged_counter_halts_and_never_starts_again_from_one(tmp_path: Path) -> None:
    path = tmp_path / EPOCH_FILE
    path.write_bytes(b"x" * 5000)
    with pytest.raises(Halt, match=r"lease\.sqlite.*backup"):
        next_epoch(path)


def test_a_second_process_is_kept_out_and_told_who_holds_it_until_kill_9(tmp_path: Path) -> None:
    path = tmp_path / LOCK_FILE
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE)
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        assert holder.stdout is not None and holder.stdout.readline() == b"True\n"
        assert not take(lock)
        assert f"pid {holder.pid}" in holder_words(path) and "state_dir" in holder_words(path)
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        assert take(lock)
        assert path.read_text() == f"{os.getpid()}\n"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()
        os.close(lock)


def test_a_child_of_the_holder_does_not_inherit_the_lock(tmp_path: Path) -> None:
    lock = os.open(tmp_path / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    assert take(lock)
    child = subprocess.Popen(["sleep", "30"], close_fds=False)
    try:
        os.close(lock)
        other = os.open(tmp_path / LOCK_FILE, os.O_RDWR | os.O_CLOEXEC)
        assert take(other)
        os.close(other)
    finally:
        child.kill()
        child.wait()


@pytest.mark.parametrize(
    ("mounts", "refused"),
    [
        ("/dev/sda1 / ext4 rw 0 0", False),
        ("/dev/sda1 / ext4 rw 0 0\nserver:/x /srv nfs4 rw 0 0", True),
        ("server:/x / nfs rw 0 0\ntmpfs /srv/desk tmpfs rw 0 0", False),
        ("", False),
    ],
)
def test_a_state_folder_on_a_network_file_system_is_refused(mounts: str, refused: bool) -> None:
    if not refused:
        refuse_remote(Path("/srv/desk"), mounts)
        return
    with pytest.raises(Halt, match=r"network file system \(nfs4, mounted at /srv\)"):
        refuse_remote(Path("/srv/desk"), mounts)
