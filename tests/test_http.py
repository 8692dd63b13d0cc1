"""What every HTTP door does before it looks at a request; the doors themselves are tested in tests/runtime."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping

import pytest

from statefun import ConfigError
from statefun._http import Door, HttpError, Request, Scope, require


def read(door: Door, *parts: bytes, **headers: str) -> Request:
    """Read a request whose body comes in parts."""
    scope: Scope = {
        "type": "http", "method": "POST", "path": "/p", "raw_path": b"/p?q=1",
        "headers": [(name.encode(), value.encode()) for name, value in {"host": "localhost", **headers}.items()],
    }  # fmt: skip
    messages: list[MutableMapping[str, object]] = [
        {"type": "http.request", "body": part, "more_body": number + 1 < len(parts)}
        for number, part in enumerate(parts)
    ]

    async def receive() -> MutableMapping[str, object]:
        return messages.pop(0) if messages else {"type": "http.disconnect"}

    return asyncio.run(door.read(scope, receive))


def test_a_request() -> None:
    """A request is read with its body in one piece, its path as it was sent."""
    request = read(Door(), b"a", b"b")
    assert (request.body, request.path, request.method) == (b"ab", "/p", "POST")


@pytest.mark.parametrize(
    ("headers", "parts", "status"),
    [
        ({"host": "evil.example"}, [b""], 421),
        ({"origin": "http://evil.example"}, [b""], 403),
        ({"content-length": "11"}, [b""], 413),
        ({}, [b"123456", b"123456"], 413),
        ({}, [], 400),
    ],
)
def test_refused(headers: dict[str, str], parts: list[bytes], status: int) -> None:
    """Other hosts, pages of other sites, too many bytes and half a body are refused."""
    with pytest.raises(HttpError) as caught:
        read(Door(largest=10), *parts, **headers)
    assert caught.value.status == status


def test_other_hosts() -> None:
    """A door answers for the hosts that it is told, or for all."""
    assert read(Door(["box.example"]), b"", host="box.example:80").body == b""
    assert read(Door(["*"]), b"", host="any.example").body == b""


def test_an_extra() -> None:
    """What is not installed is named with the extra that brings it."""
    with pytest.raises(ConfigError) as caught:
        require("no_such_module", "run")
    assert str(caught.value) == (
        "`statefun run` needs no_such_module, which is not installed\n  help: pip install 'statefun[run]'"
    )
