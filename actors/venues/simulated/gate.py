"""The way of a request from its arrival to its answer, the same for REST and the websocket API.

On arrival: ban, weight, key, signature, timing. Then the faults have their say. Before matching: the
deadline again (the exchange checks it), then the exchange itself. Both codecs (rest.py, wsapi.py) make a
`Call` of what came in and print the `Answer` in their own way; the shell in between only waits.

Pure: the clock is an object that is asked, and nothing here waits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import msgspec

from actors.venues.simulated import wallet
from actors.venues.simulated.auth import ApiKey, KeyRing, check_signature, check_timing, missing
from actors.venues.simulated.clock import VenueClock
from actors.venues.simulated.errors import VenueError
from actors.venues.simulated.exchange import Exchange
from actors.venues.simulated.faults import WORDS, FaultBoard, Verdict
from actors.venues.simulated.limits import Limits, TooMany
from actors.venues.simulated.listen_keys import ListenKeys
from actors.venues.simulated.logbook import Logbook
from actors.venues.simulated.methods import Method
from actors.venues.simulated.server_config import ServerConfig


class Call(msgspec.Struct, kw_only=True):
    """One request as a codec understood it.

    `payload` are the signed bytes. `session` is the key that a websocket logged on with: it stands in when
    the request names none. `malformed` is what the codec must refuse it for, after it has been weighed.
    """

    method: Method
    params: dict[str, str]
    ip: str
    transport: Literal["rest", "ws-api"]
    api_key: str | None = None
    payload: bytes = b""
    signature: str | None = None
    session: ApiKey | None = None
    malformed: VenueError | None = None


class Answer(msgspec.Struct, kw_only=True):
    """What the client gets: a result or an error; `counts` are its unfilled orders (10 s, day) if it placed
    one."""

    status: int
    result: object = None
    error: VenueError | None = None
    retry_at_us: int | None = None
    account: str | None = None
    counts: tuple[int, int] | None = None


class Admitted(msgspec.Struct, kw_only=True):
    """A request that passed the checks of its arrival."""

    call: Call
    key: ApiKey | None
    deadline_us: int | None
    verdict: Verdict

    @property
    def account(self) -> str | None:
        return self.key.account if self.key is not None else None


class Outcome(msgspec.Struct):
    """How a request ends: `end` is "answer", "drop" (cut the connection) or "hold" (never answer)."""

    end: Literal["answer", "drop", "hold"]
    answer: Answer


Local = Callable[[Admitted], object]


class Gate:
    """Everything that a request meets."""

    def __init__(
        self,
        config: ServerConfig,
        exchange: Exchange,
        keys: KeyRing,
        limits: Limits,
        faults: FaultBoard,
        logbook: Logbook,
        clock: VenueClock,
        listen_keys: ListenKeys,
    ) -> None:
        self.config = config
        self.exchange = exchange
        self.keys = keys
        self.limits = limits
        self.faults = faults
        self.logbook = logbook
        self.clock = clock
        self.listen_keys = listen_keys
        self._local: dict[str, Local] = {
            "ping": lambda _: {},
            "time": lambda _: {"serverTime": clock.told_us() // 1000},
            "account.rateLimits.orders": self._order_counts,
            "userDataStream.start": self._listen_key_start,
            "userDataStream.ping": self._listen_key_ping,
            "userDataStream.stop": self._listen_key_stop,
            "sapi.system.status": self._system_status,
            "sapi.capital.config.getall": self._coins,
            "sapi.account.apiRestrictions": self._restrictions,
            "sapi.account.status": lambda _: {"data": "Normal"},
            "sapi.asset.tradeFee": self._fees,
            # No pair here can be traded on margin.
            "sapi.margin.allPairs": lambda _: [],
            "sapi.margin.isolated.allPairs": lambda _: [],
        }

    # --- The two halves of a request's way ---------------------------------------------------------------

    def admit(self, call: Call) -> Admitted | Answer:
        """Everything that is checked on arrival; a refusal is an Answer."""
        now_us = self.clock.now_us()
        try:
            self._weigh(call, now_us)
            if call.malformed is not None:
                raise call.malformed
            key, deadline_us = self._authorize(call)
        except VenueError as error:
            return self._refused(call, error, None)
        verdict = self.faults.verdict(call.method.name, key.account if key else None, now_us)
        return Admitted(call=call, key=key, deadline_us=deadline_us, verdict=verdict)

    def finish(self, admitted: Admitted, local: Mapping[str, Local] | None = None) -> Outcome:
        """Carry the request out (unless a fault prevents it) and say how it ends.

        `local` adds the methods that only the caller's connection can answer (session.logon and the like).
        """
        verdict = admitted.verdict
        answer = self._execute(admitted, local or {}) if verdict.execute else Answer(status=200)
        if verdict.end == "error" and verdict.error is not None:
            answer = Answer(status=verdict.error.http_status, error=verdict.error, account=admitted.account)
        end: Literal["answer", "drop", "hold"] = "answer"
        if verdict.end == "drop" or verdict.end == "hold":
            end = verdict.end
        fault = None if verdict.end == "answer" else verdict.end
        self._log(admitted.call, answer, 0 if end != "answer" else answer.status, fault)
        return Outcome(end, answer)

    # --- Arrival -----------------------------------------------------------------------------------------

    def _weigh(self, call: Call, now_us: int) -> None:
        until_us = self.faults.banning_until_us(now_us)
        if until_us is not None and not self.limits.is_banned(call.ip, now_us):
            self.limits.ban(call.ip, until_us)
        self.limits.admit(call.ip, call.method.weigh(call.params), now_us)
        if self.faults.in_maintenance(now_us) and call.method.name != "sapi.system.status":
            raise VenueError(-1016, WORDS[-1016], 503)

    def _authorize(self, call: Call) -> tuple[ApiKey | None, int | None]:
        """The key that the request acts for and its deadline on the engine's clock."""
        security = call.method.security
        if security == "NONE":
            return None, None
        if security == "USER_STREAM":
            return self.keys.find(call.api_key, None), None
        if call.api_key is None and call.session is not None:
            # The key may have been revoked since the logon.
            key = self.keys.find(call.session.api_key, security)
        else:
            if call.api_key is None and call.transport == "ws-api":
                raise missing("apiKey")
            key = self.keys.find(call.api_key, security)
            if not call.params.get("timestamp"):
                raise missing("timestamp")
            check_signature(key, call.payload, call.signature)
        deadline_us = check_timing(call.params, self.clock.told_us())
        return key, deadline_us - self.clock.offset_us()

    # --- Execution ---------------------------------------------------------------------------------------

    def _execute(self, admitted: Admitted, local: Mapping[str, Local]) -> Answer:
        call, account = admitted.call, admitted.account
        method = call.method
        now_us = self.clock.now_us()
        try:
            own = local.get(method.name) or self._local.get(method.name)
            if own is not None:
                return Answer(status=200, result=own(admitted), account=account)
            if method.orders and account is not None:
                self.limits.check_orders(account, now_us)
            self.exchange.advance(now_us)
            result = self.exchange.call(method.name, account, call.params, now_us, admitted.deadline_us)
        except VenueError as error:
            return self._error(error, account)
        counts = None
        if method.orders and account is not None:
            self.limits.count_orders(account, method.orders, now_us)
            counts = self.limits.order_counts(account, now_us)
        return Answer(status=200, result=result, account=account, counts=counts)

    def _refused(self, call: Call, error: VenueError, account: str | None) -> Answer:
        answer = self._error(error, account)
        self._log(call, answer, answer.status, None)
        return answer

    def _error(self, error: VenueError, account: str | None) -> Answer:
        # Too many unfilled orders (-1015) is a 429 without a time to come back: trading more frees the count.
        retry_at_us = error.retry_at_us if isinstance(error, TooMany) and error.code != -1015 else None
        return Answer(status=error.http_status, error=error, account=account, retry_at_us=retry_at_us)

    def _log(self, call: Call, answer: Answer, status: int, fault: str | None) -> None:
        self.logbook.request(
            at_us=self.clock.now_us(),
            ip=call.ip,
            transport=call.transport,
            method=call.method.name,
            params=call.params,
            account=answer.account,
            status=status,
            code=answer.error.code if answer.error is not None else None,
            during_ban=answer.status == 418,
            fault=fault,
        )

    # --- What the server answers by itself ---------------------------------------------------------------

    def _order_counts(self, admitted: Admitted) -> object:
        return self.limits.order_rows(admitted.account or "", self.clock.now_us())

    def _listen_key_start(self, admitted: Admitted) -> object:
        return {"listenKey": self.listen_keys.start(admitted.account or "", self.clock.now_us())}

    def _listen_key_ping(self, admitted: Admitted) -> object:
        self.listen_keys.ping(admitted.call.params.get("listenKey", ""), self.clock.now_us())
        return {}

    def _listen_key_stop(self, admitted: Admitted) -> object:
        self.listen_keys.stop(admitted.call.params.get("listenKey", ""), self.clock.now_us())
        return {}

    def _system_status(self, _: Admitted) -> object:
        maintenance = self.faults.in_maintenance(self.clock.now_us())
        return {"status": int(maintenance), "msg": "system_maintenance" if maintenance else "normal"}

    def _coins(self, admitted: Admitted) -> object:
        now_us = self.clock.now_us()
        status = self.exchange.call("account.status", admitted.account, {}, now_us)
        return wallet.coins(self.config.venue, status)

    def _restrictions(self, admitted: Admitted) -> object:
        assert admitted.key is not None
        return wallet.restrictions(admitted.key)

    def _fees(self, admitted: Admitted) -> object:
        return wallet.fees(self.config.venue, admitted.account, admitted.call.params.get("symbol"))
