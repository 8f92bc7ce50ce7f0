"""The rules of the house, read off the syntax trees: each check takes files and returns what breaks it, in
words.

`test_architecture.py` runs them on the project, and proves of each that it can fail.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatch

# What a slice or a venue may know besides itself: the messages, and what a recording looks like.
SHARED = ("actors.messages", "actors.replay.recording")
SLICES = ("feed", "strategy", "risk", "orders", "portfolio")
FILE_LINES_MAX = 400
TEST_LINES_MAX = 700
FUNCTION_LINES_MAX = 60

# Modules that a kernel must not know: waiting, clocks, chance, and the outside.
IMPURE = frozenset(
    [
        "trio",
        "time",
        "random",
        "secrets",
        "os",
        "socket",
        "subprocess",
        "threading",
        "signal",
        "select",
        "asyncio",
        "httpx",
        "trio_websocket",
        "apsw",
        "sqlite3",
        "apprise",
        "loguru",
        "ccxt",
    ]
)

# Written in two halves each, so that this file does not break its own rule.
_FORBIDDEN_TEXT = (
    ("an index host", re.compile("py" + r"pi\.org|python" + r"hosted\.org|files\.python" + "hosted")),
    (
        "a path of one machine",
        re.compile("/wo" + r"rk/|/ro" + r"ot/|/ho" + r"me/\w|/fa" + r"rm/|/tmp" + "/nd"),
    ),
    ("a page that is not in the project", re.compile("shared/" + r"(?:facts|design|style)")),
)

Files = Mapping[str, str]
"""Path from the project's root -> source text."""


def backward_imports(files: Files) -> list[str]:
    """Imports go ops -> actors -> supervisor, and nothing imports tests."""
    may_not = {"supervisor": ("actors", "ops", "tests"), "actors": ("ops", "tests")}
    found = []
    for path, tree in _parsed(files):
        for name, line in _imports(tree, path):
            if name.split(".")[0] in may_not.get(path.split("/")[0], ()):
                found.append(f"{path}:{line}: imports {name}; imports go ops -> actors -> supervisor")
    return found


def slices_that_know_each_other(files: Files) -> list[str]:
    """A slice imports `actors.messages`, itself and `supervisor`; a venue likewise, and no slice."""
    found = []
    for path, tree in _parsed(files):
        home = _home(path)
        if home is None:
            continue
        for name, line in _imports(tree, path):
            ours = name == "actors" or name.startswith("actors.")
            allowed = f"{name}.".startswith((home, *(f"{each}." for each in SHARED)))
            if ours and not allowed:
                found.append(
                    f"{path}:{line}: imports {name}; {home[:-1]} may know itself and actors.messages only"
                )
    return found


def approvals_outside_risk(files: Files) -> list[str]:
    """Only `actors/risk/` makes an ApprovedOrder: calls it, or has a decoder make it."""
    found = []
    for path, tree in _parsed(files):
        if path.startswith(("actors/risk/", "tests/")):
            continue
        for node in ast.walk(tree):
            called = isinstance(node, ast.Call) and _last_name(node.func) == "ApprovedOrder"
            decoded = isinstance(node, ast.Call) and any(
                _last_name(part) == "ApprovedOrder"
                for part in [*node.args, *(k.value for k in node.keywords)]
            )
            asked = isinstance(node, ast.Call) and _last_name(node.func) in ("isinstance", "issubclass")
            if called or (decoded and not asked):
                found.append(f"{path}:{node.lineno}: makes an ApprovedOrder; only actors/risk/ may")
    return found


def impure_kernels(files: Files, shells: Iterable[str]) -> list[str]:
    """Whatever is not named as a shell (`shells`: path patterns) imports no trio, clock, chance or
    outside."""
    shells = tuple(shells)
    found = []
    for path, tree in _parsed(files):
        if path.startswith(("tests/", "ops/")) or any(fnmatch(path, shell) for shell in shells):
            continue
        for name, line in _imports(tree, path):
            if name.split(".")[0] in IMPURE and not (name == "random" and _only_seeded(tree)):
                found.append(
                    f"{path}:{line}: imports {name}; a kernel is pure, time and bytes come in as arguments"
                )
    return found


def _only_seeded(tree: ast.Module) -> bool:
    """Nothing of `random` is used but the class that takes a seed: chance that comes in as an argument."""
    used = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "random"
    }
    taken = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "random"
        for alias in node.names
    }
    unseeded = any(
        isinstance(node, ast.Call)
        and _last_name(node.func) == "Random"
        and not node.args
        and not node.keywords
        for node in ast.walk(tree)
    )
    return used | taken <= {"Random"} and not unseeded


def long_files(files: Files, allowed: Iterable[str] = ()) -> list[str]:
    """No file above 400 lines; of tests, which are read from top to bottom like a script, none above 700."""
    allowed = tuple(allowed)
    return [
        f"{path}: {lines} lines; split it by idea (at most {most})"
        for path, source in files.items()
        if (lines := source.count("\n"))
        > (most := TEST_LINES_MAX if path.startswith("tests/") else FILE_LINES_MAX)
        and path not in allowed
    ]


def long_functions(files: Files, allowed: Iterable[str] = ()) -> list[str]:
    """No function above 60 lines. `allowed`: "path:name"."""
    allowed = tuple(allowed)
    found = []
    for path, tree in _parsed(files):
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > FUNCTION_LINES_MAX and f"{path}:{node.name}" not in allowed:
                    found.append(f"{path}:{node.lineno}: {node.name} has {lines} lines (at most 60)")
    return found


def catch_alls(files: Files, allowed: Iterable[str]) -> list[str]:
    """`except Exception`, `except BaseException` and bare `except` only in the named files."""
    allowed = tuple(allowed)
    return [
        f"{path}:{node.lineno}: catches everything; catch what you can handle"
        for path, tree in _parsed(files)
        if not path.startswith("tests/") and path not in allowed
        for node in ast.walk(tree)
        if isinstance(node, ast.ExceptHandler) and _catches_all(node)
    ]


def forbidden_text(files: Files) -> list[str]:
    """No committed file names an index's host or a path of the machine it was written on."""
    return [
        f"{path}:{number}: names {what}"
        for path, source in files.items()
        for number, line in enumerate(source.splitlines(), start=1)
        for what, pattern in _FORBIDDEN_TEXT
        if pattern.search(line)
    ]


def missing_docstrings(files: Files) -> list[str]:
    """Every module opens with a line on what it is for."""
    return [
        f"{path}: has no docstring; say in one line what it is for"
        for path, tree in _parsed(files)
        if not ast.get_docstring(tree) and tree.body
    ]


def doubled_test_names(paths: Iterable[str]) -> list[str]:
    """Two test files of one name in different folders: pytest refuses the second."""
    paths = [path for path in paths if path.rpartition("/")[2].startswith("test_")]
    counts = Counter(path.rpartition("/")[2] for path in paths)
    return [f"{name}: {count} test files have this name" for name, count in counts.items() if count > 1]


def wrong_dependencies(pyproject: Mapping[str, object]) -> list[str]:
    """No dependency bears the name of one of our packages, and each is pinned."""
    project = pyproject["project"]
    assert isinstance(project, dict)
    everything = [
        *project["dependencies"],
        *(d for each in project["optional-dependencies"].values() for d in each),
    ]
    found = []
    for dependency in everything:
        name, pinned, _ = dependency.partition("==")
        if re.split(r"[\[<>=!~; ]", name)[0].lower() in ("supervisor", "actors"):
            found.append(f"{dependency}: would overwrite our package of that name")
        if not pinned:
            found.append(f"{dependency}: is not pinned")
    return found


def _parsed(files: Files) -> Iterator[tuple[str, ast.Module]]:
    for path, source in files.items():
        if path.endswith(".py"):
            yield path, ast.parse(source, path)


def _imports(tree: ast.Module, path: str) -> Iterator[tuple[str, int]]:
    """Every module that is imported, with its line; not what only a type checker sees."""
    for node in _run_time_nodes(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            parent = path.split("/")[: -node.level] if node.level else []
            module = ".".join([*parent, *([node.module] if node.module else [])])
            # `from actors import messages` imports actors.messages.
            if module in ("actors", "supervisor", "ops", "tests") or node.level:
                for alias in node.names:
                    yield f"{module}.{alias.name}", node.lineno
            else:
                yield module, node.lineno


def _run_time_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and _last_name(node.test) == "TYPE_CHECKING":
            for other in node.orelse:
                yield other
                yield from _run_time_nodes(other)
            continue
        yield node
        yield from _run_time_nodes(node)


def _home(path: str) -> str | None:
    """The package prefix that a file of a slice or a venue may import besides the messages."""
    parts = path.split("/")
    if len(parts) >= 3 and parts[0] == "actors" and parts[1] in SLICES:
        return f"actors.{parts[1]}."
    if len(parts) >= 4 and parts[:2] == ["actors", "venues"]:
        return f"actors.venues.{parts[2]}."
    return None


def _last_name(node: ast.AST) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _catches_all(handler: ast.ExceptHandler) -> bool:
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(kind is None or _last_name(kind) in ("Exception", "BaseException") for kind in kinds)
