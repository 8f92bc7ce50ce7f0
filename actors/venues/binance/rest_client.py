"""One REST request to Binance, from signing to its answer, and the truth about what became of it.

Whether bytes may have left is not guessed from the kind of exception: httpcore says when it begins to write
the request, and that is also the last moment at which an order can be held back. A request is one write
(parameters stand in the query, there is no body), so a cancelled one cannot leave half of itself on the wire.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

import httpx
import trio

from actors.messages import VenueTrouble
from actors.venues.binance import rest_codec
from actors.venues.binance.answers import Reply
from actors.venues.binance.budget import HostBudget
from actors.venues.binance.clock import VenueClock
from actors.venues.binance.config import BinanceConfig
from actors.venues.binance.errors import rule, until_ms
from actors.venues.binance.order_requests import Call
from actors.venues.binance.signing import Param, Signer, query_string, signed_query
from actors.venues.binance.weights import Use
from supervisor.secret import Secret
from supervisor.world import World

# They log every URL, and a signed one is good for as long as its recvWindow.
for _name in ("httpx", "httpcore"):
    logging.getLogger(_name).setLevel(logging.WARNING)

BODY_MAX = 32 * 1024 * 1024
# A farewell to a connection; then it is cut. It counts into the time that a port has to stop.
CLOSE_S = 0.1
# From the headers of an answer to the length of the window that they count.
_ORDER_HEADERS = {"x-mbx-order-count-10s": 10_000, "x-mbx-order-count-1d": 86_400_000}

LastCheck = Callable[[], str | None]


class NotSent(Exception):
    """Certain: no byte of the request left. Its cause is the exception that says why, where there is one."""


class NoAnswer(Exception):
    """The request may have left, and no answer came. Its cause is the exception that says why."""


class _HeldBack(Exception):
    """Raised inside the client at the last moment before the first byte."""


class RestClient:
    """For one life of the REST port. `on_trouble` hears of limits, bans and maintenance."""

    def __init__(
        self,
        config: BinanceConfig,
        api_key: Secret,
        signer: Signer,
        clock: VenueClock,
        budget: HostBudget,
        world: World,
        on_trouble: Callable[[VenueTrouble], None],
    ) -> None:
        self._config = config
        self._key = {"X-MBX-APIKEY": api_key.reveal()}
        self._signer = signer
        self._clock = clock
        self._budget = budget
        self._world = world
        self._on_trouble = on_trouble
        self._http = httpx.AsyncClient(
            base_url=config.rest_url,
            # The deadline of a request is its caller's; these only keep one phase from using it all up.
            timeout=httpx.Timeout(config.read_timeout_s, connect=config.connect_timeout_s),
            limits=httpx.Limits(max_connections=16, max_keepalive_connections=8, keepalive_expiry=60),
            headers={"User-Agent": "nightdesk"},
            # Neither proxies nor a .netrc are to be picked up from whatever environment we are started in.
            trust_env=False,
        )

    async def __aenter__(self) -> RestClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        with trio.move_on_after(CLOSE_S, shield=True):
            await self._http.aclose()

    def venue_ns(self) -> int:
        return self._clock.venue_ns(self._world.monotonic_ns(), self._world.wall_ns())

    async def ask(
        self,
        call: Call,
        params: list[Param],
        *,
        use: Use,
        timeout_s: float,
        signed: bool = False,
        last_check: LastCheck | None = None,
    ) -> Reply:
        """`last_check` is called when the first byte is about to leave: words hold the request back, None
        lets it go, and from then on its outcome is unknown until answered. Raises NotSent or NoAnswer."""
        sent_ns = self.venue_ns()
        why = self._budget.take(use, call.weight, call.orders, sent_ns)
        if why is not None:
            raise NotSent(why)
        query = signed_query(params, self._signer) if signed else query_string(params)
        target = f"{self._base_path()}{call.path}{'?' if query else ''}{query}"
        left = False

        async def trace(name: str, info: Mapping[str, Any]) -> None:
            nonlocal left
            if name == "http11.send_request_headers.started":
                held = last_check() if last_check is not None else None
                if held is not None:
                    raise _HeldBack(held)
                left = True

        # The target goes out byte for byte: httpx would quote again what is signed already.
        request = self._http.build_request(
            call.verb,
            call.path,
            headers=self._key if signed else None,
            extensions={"target": target.encode("ascii"), "trace": trace},
        )
        try:
            with trio.fail_after(timeout_s):
                status, headers, body = await self._exchange(request)
        except _HeldBack as error:
            raise NotSent(str(error)) from None
        except (httpx.HTTPError, httpx.InvalidURL, trio.TooSlowError, OSError) as error:
            what = f"{type(error).__name__} {_plain(error)}".strip()
            if left:
                raise NoAnswer(what) from error
            raise NotSent(what) from error
        answered = rest_codec.reply(status, body)
        self._learn(answered, headers, sent_ns)
        return answered

    async def _exchange(self, request: httpx.Request) -> tuple[int, httpx.Headers, bytes]:
        response = await self._http.send(request, stream=True)
        try:
            parts: list[bytes] = []
            size = 0
            async for part in response.aiter_bytes():
                size += len(part)
                if size > BODY_MAX:
                    raise httpx.DecodingError(f"a body of more than {BODY_MAX} bytes")
                parts.append(part)
            return response.status_code, response.headers, b"".join(parts)
        finally:
            with trio.move_on_after(CLOSE_S, shield=True):
                await response.aclose()

    def _learn(self, reply: Reply, headers: httpx.Headers, sent_ns: int) -> None:
        venue_ns = self.venue_ns()
        used = _count(headers.get("x-mbx-used-weight-1m"))
        if used is not None:
            self._budget.saw_weight(used, sent_ns, venue_ns)
        for name, length_ms in _ORDER_HEADERS.items():
            count = _count(headers.get(name))
            if count is not None:
                self._budget.saw_orders(length_ms, count, sent_ns, venue_ns)
        trouble = None if reply.ok else rule(reply.status, reply.code, reply.words).trouble
        if trouble is not None:
            until = until_ms(
                trouble, reply.words, venue_ns // 1_000_000, retry_after_s=headers.get("retry-after")
            )
            self._budget.latch(trouble, until, venue_ns)
            self._on_trouble(
                VenueTrouble(
                    venue=self._config.name,
                    kind=trouble.value,
                    words=reply.words,
                    until_wall_ns=until * 1_000_000 - venue_ns + self._world.wall_ns(),
                )
            )

    def _base_path(self) -> str:
        path = self._http.base_url.path
        return path.rstrip("/")


def _count(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdecimal() and len(text) < 12 else None


def _plain(error: BaseException) -> str:
    """Its words, unless they hold a URL: a signed one must not reach a log."""
    words = str(error)
    return "" if "signature=" in words or "://" in words else words
