"""The three laws, and what else of the house's style can be measured. Each check is shown to be able to
fail."""

from __future__ import annotations

import subprocess
import tomllib
from pathlib import Path

import pytest

import actors
import supervisor
from tests import house_rules as rules

ROOT = Path(__file__).resolve().parent.parent
TEXT = {".py", ".toml", ".md", ".yml", ".yaml", ".json", ".service", ".sh", ""}

# Law 3: who may wait, look at a clock, draw a number or touch the outside. Whatever is not named here is a
# kernel.
SHELLS = {
    # The runtime and its world.
    "supervisor/runtime.py", "supervisor/link.py", "supervisor/world.py", "supervisor/overrun.py",
    "supervisor/lastresort.py",
    # Ports and their blocking halves.
    "supervisor/journal/port.py", "supervisor/journal/store.py", "supervisor/failover/local.py",
    "supervisor/paging/port.py", "supervisor/paging/channels.py",
    "supervisor/paging/courier.py", "supervisor/paging/pager.py",
    "supervisor/paging/outbox.py", "supervisor/paging/outbox_file.py", "supervisor/telemetry/*.py",
    "supervisor/keeper/processes.py", "supervisor/keeper/lifeline.py", "supervisor/keeper/keeper.py",
    "supervisor/keeper/beat.py", "supervisor/keeper/beater.py", "supervisor/keeper/notify.py",
    "supervisor/keeper/dumps.py", "supervisor/keeper/incidents.py", "supervisor/keeper/leftovers.py",
    "supervisor/keeper/words.py",
    # What reads the environment: configs and keys.
    "supervisor/config.py", "supervisor/config_build.py", "supervisor/secret.py",
    # Process mains and what they call first.
    "actors/engine.py", "actors/run.py", "actors/remote.py",
    "actors/pages.py", "actors/venue_process.py", "actors/view.py",
    "actors/engine_process.py", "actors/keeper_main.py", "actors/exchange.py",
    "actors/bench/*.py", "actors/chaos/*.py",
    # Venues: pumps, files, and the simulated exchange's server.
    "actors/venues/binance/market.py", "actors/venues/binance/trade.py", "actors/venues/binance/rest.py",
    "actors/venues/binance/rest_client.py", "actors/venues/binance/reference.py", "actors/venues/binance/wire.py",
    "actors/venues/binance/budget.py", "actors/venues/binance/web_socket.py",
    "actors/venues/simulated/main.py", "actors/venues/simulated/server.py", "actors/venues/simulated/http.py",
    "actors/venues/simulated/sockets.py", "actors/venues/simulated/connections.py",
    "actors/venues/simulated/clock.py", "actors/venues/simulated/keys.py", "actors/venues/simulated/record_file.py",
    "actors/venues/simulated/upstream.py",
}  # fmt: skip

# The runtime sees every exception of every actor and port: that is its work.
CATCH_ALLS = {
    "supervisor/dispatcher.py",
    "supervisor/lives.py",
    "supervisor/reports.py",
    "supervisor/runtime.py",
}

LONG_FILES = {
    # Every message on one page: that is what it is for.
    "actors/messages.py",
}


def committed() -> dict[str, str]:
    """Every text file that is, or is about to be, in the project."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode == 0:
        paths = listed.stdout.splitlines()
    else:  # an unpacked archive
        tops = ("actors", "supervisor", "tests", "configs", "ops", "README.md", "pyproject.toml")
        found = (path for top in tops for path in [ROOT / top, *(ROOT / top).rglob("*")])
        paths = [str(path.relative_to(ROOT)) for path in found]
    files = [ROOT / path for path in paths if Path(path).suffix in TEXT]
    return {str(file.relative_to(ROOT)): file.read_text() for file in files if file.is_file()}


ALL = committed()
PYTHON = {path: source for path, source in ALL.items() if path.endswith(".py")}
PACKAGES = {path: source for path, source in PYTHON.items() if path.startswith(("actors/", "supervisor/"))}
PYPROJECT = tomllib.loads(ALL["pyproject.toml"])


def test_there_is_something_to_check() -> None:
    assert len(PACKAGES) > 50 and "actors/messages.py" in PACKAGES


def test_law_1_imports_go_from_ops_to_actors_to_supervisor() -> None:
    assert rules.backward_imports(PYTHON) == []


def test_law_2_slices_do_not_know_each_other() -> None:
    assert rules.slices_that_know_each_other(PYTHON) == []


def test_law_2_only_risk_makes_an_approved_order() -> None:
    assert rules.approvals_outside_risk(PYTHON) == []


def test_law_3_only_named_shells_wait_or_touch_the_outside() -> None:
    assert rules.impure_kernels(PACKAGES, SHELLS) == []


def test_every_named_exception_is_still_needed() -> None:
    paths = set(PYTHON)
    assert {path for path in SHELLS if "*" not in path} <= paths
    unneeded = [
        path for path in SHELLS if "*" not in path and not rules.impure_kernels({path: ALL[path]}, ())
    ]
    assert unneeded == []
    assert [path for path in CATCH_ALLS if not rules.catch_alls({path: ALL[path]}, ())] == []
    assert paths >= LONG_FILES


def test_no_file_is_too_long_to_read() -> None:
    assert rules.long_files(PYTHON, LONG_FILES) == []


def test_no_function_is_longer_than_the_eye() -> None:
    assert rules.long_functions(PACKAGES) == []


def test_everything_is_caught_by_the_runtime_only() -> None:
    assert rules.catch_alls(PYTHON, CATCH_ALLS) == []


def test_every_module_says_what_it_is_for() -> None:
    assert rules.missing_docstrings(PYTHON) == []


def test_no_committed_file_names_an_index_host_or_a_path_of_one_machine() -> None:
    assert rules.forbidden_text(ALL) == []


def test_no_two_test_files_have_the_same_name() -> None:
    assert rules.doubled_test_names(ALL) == []


def test_no_dependency_bears_our_packages_names_and_all_are_pinned() -> None:
    assert rules.wrong_dependencies(PYPROJECT) == []


def test_the_packages_that_are_imported_are_ours() -> None:
    for package in (actors, supervisor):
        assert package.__file__ is not None
        assert (Path(package.__file__).parent / "__init__.py").exists()
    assert supervisor.__file__ is not None and actors.__file__ is not None
    assert Path(supervisor.__file__).parent.parent == Path(actors.__file__).parent.parent


# --- Each check can fail
# ------------------------------------------------------------------------------------------

PLANTED = [
    (rules.backward_imports, "supervisor/x.py", "import actors.messages"),
    (rules.backward_imports, "supervisor/x.py", "from actors import messages"),
    (rules.backward_imports, "supervisor/x.py", "def f():\n    from actors.cli import main"),
    (rules.backward_imports, "actors/x.py", "from ops.chaos import run"),
    (rules.backward_imports, "actors/x.py", "import tests.conftest"),
    (rules.slices_that_know_each_other, "actors/feed/x.py", "from actors.risk.limits import check"),
    (rules.slices_that_know_each_other, "actors/feed/x.py", "from actors import risk"),
    (rules.slices_that_know_each_other, "actors/feed/x.py", "from ..risk import limits"),
    (rules.slices_that_know_each_other, "actors/orders/x.py", "import actors.orders_of_another"),
    (rules.slices_that_know_each_other, "actors/strategy/x.py", "from actors.venues.binance import codec"),
    (rules.slices_that_know_each_other, "actors/venues/binance/x.py", "from actors.orders import ids"),
    (rules.approvals_outside_risk, "actors/orders/x.py", "order = ApprovedOrder(intent=intent)"),
    (rules.approvals_outside_risk, "actors/orders/x.py", "order = m.ApprovedOrder(intent=intent)"),
    (rules.approvals_outside_risk, "actors/orders/x.py", "order = msgspec.convert(data, ApprovedOrder)"),
    (rules.approvals_outside_risk, "actors/orders/x.py", "order = decode(data, type=ApprovedOrder)"),
    (rules.impure_kernels, "actors/feed/x.py", "import trio"),
    (rules.impure_kernels, "actors/feed/x.py", "from time import monotonic"),
    (rules.impure_kernels, "actors/feed/x.py", "import random\nrandom.random()"),
    (rules.impure_kernels, "actors/feed/x.py", "import random\nr = random.Random()"),
    (rules.impure_kernels, "supervisor/policy.py", "def f():\n    import socket"),
    (rules.long_files, "actors/x.py", "x = 1\n" * 401),
    (rules.long_functions, "actors/x.py", "def f():\n" + "    x = 1\n" * 60),
    (rules.catch_alls, "actors/x.py", "try:\n    f()\nexcept Exception:\n    pass"),
    (rules.catch_alls, "actors/x.py", "try:\n    f()\nexcept (KeyError, BaseException):\n    pass"),
    (rules.catch_alls, "actors/x.py", "try:\n    f()\nexcept:\n    pass"),
    (rules.missing_docstrings, "actors/x.py", "x = 1"),
    (rules.forbidden_text, "README.md", "get it from https://py" + "pi.org/simple"),
    (rules.forbidden_text, "configs/x.toml", 'path = "/ho' + 'me/me/data"'),
]


@pytest.mark.parametrize(("check", "path", "source"), PLANTED)
def test_a_check_finds_what_was_planted(check: object, path: str, source: str) -> None:
    extra = [()] if check in (rules.impure_kernels, rules.catch_alls) else []
    (found,) = check({path: source}, *extra)  # type: ignore[operator]
    assert found.startswith(path)


ALLOWED = [
    (rules.backward_imports, "supervisor/x.py", "if TYPE_CHECKING:\n    from actors import messages"),
    (
        rules.slices_that_know_each_other,
        "actors/feed/x.py",
        "from actors.messages import Book\nimport actors.feed.y",
    ),
    (rules.approvals_outside_risk, "actors/risk/x.py", "order = ApprovedOrder(intent=intent)"),
    (rules.approvals_outside_risk, "actors/orders/x.py", "assert isinstance(message, ApprovedOrder)"),
    (rules.impure_kernels, "actors/feed/x.py", "import random\nr = random.Random(7)"),
    (rules.catch_alls, "actors/x.py", "try:\n    f()\nexcept KeyError:\n    pass"),
    (rules.long_functions, "actors/x.py", "def f():\n" + "    x = 1\n" * 59),
]


@pytest.mark.parametrize(("check", "path", "source"), ALLOWED)
def test_a_check_leaves_alone_what_is_right(check: object, path: str, source: str) -> None:
    extra = [()] if check in (rules.impure_kernels, rules.catch_alls) else []
    assert check({path: source}, *extra) == []  # type: ignore[operator]


def test_a_doubled_name_and_a_wrong_dependency_are_found() -> None:
    assert len(rules.doubled_test_names(["a/test_x.py", "b/test_x.py", "a/y.py", "b/y.py"])) == 1
    project = {
        "project": {
            "dependencies": ["supervisor==4.3.0", "trio"],
            "optional-dependencies": {"dev": ["Actors==1"]},
        }
    }
    assert len(rules.wrong_dependencies(project)) == 3
