"""For every test: in CI, a test that lacks its real component has failed.

Elsewhere it may skip, with a reason that begins with "needs ". In CI (`CI=true`) everything it could need is
installed first, so such a skip is a hole in the net, and turns the run red.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Mapping
from typing import TypeVar

import pytest

COMPONENT = "needs "

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)


def is_hole(reason: str, environ: Mapping[str, str]) -> bool:
    """A skip for `reason` that must not happen in this environment."""
    return environ.get("CI") == "true" and reason.removeprefix("Skipped: ").startswith(COMPONENT)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    return _without_hole((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    # A whole file that skips itself.
    return _without_hole((yield))


def _without_hole(report: Report) -> Report:
    skip = report.longrepr
    if report.skipped and isinstance(skip, tuple) and is_hole(skip[2], os.environ):
        report.outcome = "failed"
        report.longrepr = f"{report.nodeid}: {skip[2]}; in CI it must be there (see .ci/run)"
    return report
