"""Is the package `supervisor` that Python finds ours? An index has another one of that name, and installing
it overwrites ours."""

from __future__ import annotations

import importlib.util
from pathlib import Path

# Files of the other one; any of them beside ours means that it was installed over it.
_FOREIGN = ("supervisord.py", "supervisorctl.py", "options.py")


class WrongPackage(Exception):
    """Says what was found, and how to mend it."""


def check_packages(found: Path | None = None, ours: Path | None = None) -> None:
    """Raise WrongPackage unless `supervisor` stands beside `actors` and is untouched. Imports nothing of
    it."""
    ours = ours if ours is not None else Path(__file__).resolve().parent.parent / "supervisor"
    if found is None:
        spec = importlib.util.find_spec("supervisor")
        found = Path(spec.origin).resolve().parent if spec is not None and spec.origin else Path("nowhere")
    mend = (
        "Use a virtual environment of its own, uninstall the other `supervisor`, and install nightdesk again"
    )
    if found != ours:
        raise WrongPackage(f"the package `supervisor` comes from {found}, and not from {ours}. {mend}")
    foreign = [name for name in _FOREIGN if (found / name).exists()]
    if foreign or not (found / "spec.py").exists():
        raise WrongPackage(
            f"the package `supervisor` in {found} was overwritten by another of that name. {mend}"
        )
