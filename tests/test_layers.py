"""What holds in all of the source. Imports only point down; a module that is not in the table has
not been placed yet. And nothing is shielded from cancellation for longer than it says.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import trio_sse

SOURCE = Path(__file__).parent.parent / "src" / "trio_sse"

# From the top down. Modules on one line may import each other; others only what is below.
LAYERS = [
    {"__main__"},
    {"cli"},
    {"__init__"},
    {"server", "rounds", "asgi"},
    {"connection"},
    {"mercure"},
    {"routes"},
    {"cors"},
    {"hub"},
    {"log"},
    {
        "wire",
        "transport",
        "tls_transport",
        "tls",
        "listening",
        "shortage",
        "admission",
        "watchdog",
        "client",
    },
    {"readiness"},
    {"fair_queue"},
    {"event", "message", "limits", "coding", "accept_encoding", "statistics"},
]
DEPTH = {name: depth for depth, names in enumerate(LAYERS) for name in names}

# What the bottom must not need: Locust runs under gevent, where Trio cannot.
WITHOUT_TRIO = ["event", "message", "limits", "coding", "accept_encoding", "statistics"]


def layer_of(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imported_layers(path: Path) -> set[str]:
    """The layers of this package that a file imports, also inside functions and for types."""
    package = ["trio_sse", *path.relative_to(SOURCE).parent.parts]
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1]
            module = [*base, *(node.module or "").split(".")] if node.module else base
            names = [[*module, alias.name] for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [[*(node.module or "").split("."), alias.name] for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name.split(".") for alias in node.names]
        else:
            continue
        for name in names:
            if name[0] == "trio_sse":
                found.add(name[1] if len(name) > 1 and name[1] in DEPTH else "__init__")
    return found


MODULES = sorted(SOURCE.rglob("*.py"))


def test_the_package_is_where_this_test_looks() -> None:
    assert SOURCE / "event" / "event.py" in MODULES


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_each_module_is_placed_and_imports_only_what_is_below(path: Path) -> None:
    layer = layer_of(path)
    assert layer in DEPTH, f"{layer} is in no layer: place it in LAYERS on purpose"
    above = {name for name in imported_layers(path) - {layer} if DEPTH[name] < DEPTH[layer]}
    assert not above, f"{layer} imports {', '.join(sorted(above))} from above"


def test_only_the_server_and_its_connections_know_both_the_hub_and_the_wire() -> None:
    meet = {layer_of(path) for path in MODULES if {"hub", "wire"} <= imported_layers(path)}
    assert meet == {"connection"}


def test_the_wire_knows_no_sockets_and_no_trio() -> None:
    for path in (SOURCE / "wire").glob("*.py"):
        imported = {
            alias.name.split(".")[0]
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Import)
            for alias in node.names
        }
        assert not imported & {"trio", "socket", "ssl", "time"}, path


# Whatever else is shielded has a deadline: a shield that waits for a peer would keep the server.
SHIELDED_WITHOUT_DEADLINE = {
    ("connection/errands.py", "finish"): "as the end of a nursery: its errands are cancelled",
    (
        "connection/overstaying.py",
        "seen_out",
    ): "as a nursery waits for handlers: all are cancelled",
}

DEADLINES = ("deadline", "relative_deadline", "seconds")


def shields(tree: ast.AST) -> Iterator[ast.expr]:
    """What shields a scope for as long as it likes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            named = {each.arg: each.value for each in node.keywords}
            until = [*node.args, *(named[each] for each in DEADLINES if each in named)]
            shown = [ast.unparse(each) for each in until]
            is_shielded = "shield" in named and ast.unparse(named["shield"]) != "False"
            if is_shielded and (not shown or any("inf" in each for each in shown)):
                yield node
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                if isinstance(target, ast.Attribute) and target.attr == "shield":
                    yield target


def test_nothing_is_shielded_without_a_deadline_but_what_ends_by_itself() -> None:
    found = [
        (str(path.relative_to(SOURCE)), function.name)
        for path in MODULES
        if "shield" in (text := path.read_text())
        for function in ast.walk(ast.parse(text))
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for _ in shields(function)
    ]
    assert sorted(found) == sorted(SHIELDED_WITHOUT_DEADLINE)


@pytest.mark.parametrize(
    ("code", "count"),
    [
        ("with trio.CancelScope(shield=True): ...", 1),
        ("with trio.CancelScope(shield=is_last): ...", 1),
        ("with trio.move_on_after(math.inf, shield=True): ...", 1),
        ("with trio.CancelScope(deadline=inf, shield=True): ...", 1),
        ("nursery.cancel_scope.shield = True", 1),
        ("with trio.CancelScope(shield=True, deadline=soon): ...", 0),
        ("with trio.move_on_after(2, shield=True): ...", 0),
        ("with trio.CancelScope(): ...", 0),
    ],
)
def test_a_shield_without_a_deadline_is_found(code: str, count: int) -> None:
    assert len(list(shields(ast.parse(code)))) == count


def test_events_can_be_decoded_where_trio_cannot_be_imported() -> None:
    names = ", ".join(f"trio_sse.{name}" for name in WITHOUT_TRIO)
    script = f"import sys; sys.modules['trio'] = None; import {names}"
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.parametrize("command", ["listen", "publish"])
def test_a_command_that_is_a_client_does_not_wait_for_the_server_to_be_imported(
    command: str,
) -> None:
    script = (
        f"import sys; from trio_sse.cli.commands import run; sys.argv[1:] = [{command!r}, '-h'];"
        "run(); sys.exit('trio_sse.server' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True, stdout=subprocess.DEVNULL)


def test_every_public_name_can_be_imported_and_is_documented() -> None:
    for name in trio_sse.__all__:
        value = getattr(trio_sse, name)
        assert isinstance(value, str) or value.__doc__, name
    assert set(trio_sse.__all__) <= set(dir(trio_sse))


def test_a_name_that_does_not_exist_says_so() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Evnet'"):
        trio_sse.Evnet  # noqa: B018
