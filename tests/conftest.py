"""For every test: in CI, a test that lacks its real component has failed.

Elsewhere it may skip, with a reason that begins with "needs ". In CI (`CI=true`) everything it could need is
installed first, so such a skip is a hole in the net, and turns the run red.
"""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest

COMPONENT = "needs "


def is_hole(reason: str, environ: dict[str, str]) -> bool:
    """A skip for `reason` that must not happen in this environment."""
    return environ.get("CI") == "true" and reason.removeprefix("Skipped: ").startswith(COMPONENT)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if (
        report.skipped
        and isinstance(report.longrepr, tuple)
        and is_hole(report.longrepr[2], dict(os.environ))
    ):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid}: {report.longrepr[2]}; in CI it must be there (see .ci/run)"
    return report
