"""HTTP as every CRM needs it: limits obeyed before they are met, answers asked for again until they can be used.

An answer that says "later" (429, 5xx), that never comes, that breaks off or that is no JSON is asked for again, as long
as `http.attempts` lets it, with a growing pause or the one that the server names. No secret stands in any message.
"""

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from types import TracebackType
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit

import orjson
import requests
from pydantic import SecretStr
from pyrate_limiter import Duration, Limiter
from pyrate_limiter import Rate as _Rate
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt
from tenacity.wait import wait_random_exponential

from kpimart.errors import AccessRefused, BadSourceData, SourceUnreachable
from kpimart.extract.auth import RenewableAuth
from kpimart.settings import Settings

CONNECTIONS = 10
SHOWN_CHARACTERS = 300

Check = Callable[[Any], bool]
"""Whether a parsed answer can be used; one that cannot is asked for again."""


class Rate(NamedTuple):
    """At most so many requests in any stretch of so many seconds."""

    requests: int
    seconds: float


Rates = Mapping[str, tuple[Rate, ...]]
"""The limits of a server, by name; the one without a name holds for every request."""


@dataclass(frozen=True)
class Answer:
    """What a server said: `json` is None where it said nothing (204); `at` is its own clock, to the second."""

    status: int
    json: Any
    at: datetime
    headers: Mapping[str, str]


def _is_usable(_: Any) -> bool:
    return True


def _never(_: int, __: Any) -> bool:
    return False


class NotThere(BadSourceData):
    """The server knows no such path or record (404)."""


class _AskAgain(Exception):
    """This attempt was in vain; `pause` is what the server asked for, in seconds."""

    def __init__(self, reason: str, pause: float | None = None) -> None:
        super().__init__(reason)
        self.pause = pause


class Session(requests.Session):
    """A session of `requests` that obeys limits and asks again; other clients may be given it too.

    retry_if: further answers to ask again for, by status and parsed JSON. pause_of: the pause that an answer asks for,
    in seconds, beyond what the header Retry-After says. base_url: what stands before every path; it may hold a secret.
    """

    def __init__(
        self,
        crm: str,
        settings: Settings,
        *,
        rates: Rates,
        base_url: str = "",
        retry_if: Callable[[int, Any], bool] = _never,
        pause_of: Callable[[int, Any], float | None] = lambda _, __: None,
    ) -> None:
        super().__init__()
        self.crm = crm
        own = getattr(settings, crm)
        self._base_path = urlsplit(base_url).path
        self._secrets = [value.get_secret_value() for _, value in own if isinstance(value, SecretStr)]
        self.headers["User-Agent"] = "kpimart"
        self.requests_made = 0
        # The earliest time that any answer bore: one clock among a server's many may be wrong, and a later fetch that
        # begins too early only reads some records twice.
        self.earliest = datetime.max.replace(tzinfo=UTC)
        self._settings = settings.http
        self._retrying = Retrying(
            stop=stop_after_attempt(settings.http.attempts),
            wait=self._pause,
            retry=retry_if_exception_type(_AskAgain),
            reraise=True,
        )
        self._retry_if = retry_if
        self._pause_of = pause_of
        rate = own.requests_per_second
        chosen = {"": (Rate(max(1, round(rate)), 1.0),)} if rate else rates
        self._limiters = {name: _limiter(each) for name, each in chosen.items() if each}
        # What the environment says of proxies and certificates is asked for once, not for every request.
        environment = self.merge_environment_settings(base_url, {}, None, None, None)
        self.proxies, self.verify, self.trust_env = environment["proxies"], environment["verify"], False
        for scheme in ("http://", "https://"):
            self.mount(scheme, HTTPAdapter(pool_connections=CONNECTIONS, pool_maxsize=CONNECTIONS))

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """Send until the answer can be used; its parsed JSON, if it is JSON, is what `json()` of it gives.

        rate: the name of a further limit that holds for this request. check: whether the parsed answer can be used.
        Raises SourceUnreachable when the attempts are used up.
        """
        rate, check = kwargs.pop("rate", ""), kwargs.pop("check", _is_usable)
        try:
            return self._retrying(self._attempt, request, {**kwargs, "allow_redirects": False}, rate, check)
        except _AskAgain as vain:
            raise SourceUnreachable(
                f"{self.crm}: {self.place_of(request)}: {vain}, {self._settings.attempts} times; rerun when it is back"
            ) from vain

    def close(self) -> None:
        """Give back the connections, and end the limiters."""
        super().close()
        for limiter in self._limiters.values():
            limiter.close()

    def _attempt(
        self, request: requests.PreparedRequest, kwargs: dict[str, Any], rate: str, check: Check
    ) -> requests.Response:
        response = self._exchange(request, kwargs, rate)
        if response.status_code == requests.codes.unauthorized and self._renew(request):
            response = self._exchange(request, kwargs, rate)
        parsed = _parsed(response)
        if response.status_code == requests.codes.too_many or response.status_code >= 500 or self._is_later(response):
            raise _AskAgain(f"answered {self.words_of(response)}", _pause_in(response, self._pause_of))
        if response.ok and not check(parsed):
            raise _AskAgain(f"answered {response.status_code} with what cannot be right: {self.words_of(response)}")
        self.earliest = min(self.earliest, server_clock(response))
        return response

    def place_of(self, request: requests.PreparedRequest) -> str:
        """What a request asked for, without the address that it goes to and its query: either may hold a secret."""
        return f"{request.method} {urlsplit(request.url or '').path.removeprefix(self._base_path)}"

    def words_of(self, response: requests.Response) -> str:
        """An answer as a person may read it, cut short and without the secrets that it may repeat."""
        text = response.content[:SHOWN_CHARACTERS].decode("utf-8", "replace").strip() or response.reason or ""
        for secret in self._secrets:
            text = text.replace(secret, "…")
        return f"{response.status_code} {text}".strip()

    def _is_later(self, response: requests.Response) -> bool:
        return self._retry_if(response.status_code, parsed_json(response))

    def _exchange(self, request: requests.PreparedRequest, kwargs: dict[str, Any], rate: str) -> requests.Response:
        for name in {"", rate} & self._limiters.keys():
            self._limiters[name].try_acquire(name or "all")
        self.requests_made += 1
        try:
            return super().send(request, **{**kwargs, "timeout": self._settings.timeout_seconds})
        except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
            raise _AskAgain(_failure(error)) from None
        except requests.exceptions.ContentDecodingError:
            raise _AskAgain("the answer cannot be decoded") from None

    def _renew(self, request: requests.PreparedRequest) -> bool:
        """Renew an authorisation that has ended, if it can be."""
        if not isinstance(self.auth, RenewableAuth):
            return False
        self.auth.renew()
        self.auth(request)
        return True

    def _pause(self, state: RetryCallState) -> float:
        """The pause that the server asked for; else a growing one, part of it by chance, so that clients part."""
        asked = state.outcome.exception() if state.outcome else None
        longest = self._settings.longest_wait_seconds
        if isinstance(asked, _AskAgain) and asked.pause is not None:
            return min(asked.pause, longest)
        return float(wait_random_exponential(multiplier=self._settings.backoff_seconds, max=longest)(state))


def _limiter(rates: tuple[Rate, ...]) -> Limiter:
    # The default adds 50 ms to every pause.
    return Limiter([_Rate(rate.requests, round(rate.seconds * Duration.SECOND)) for rate in rates], buffer_ms=1)


def _failure(error: requests.RequestException) -> str:
    """What went wrong on the way, without the address, which may hold a secret."""
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    inner: BaseException = error
    while inner.__cause__ or inner.__context__:
        inner = inner.__cause__ or inner.__context__ or inner
    return f"the connection failed ({type(inner).__name__})"


def _parsed(response: requests.Response) -> Any:
    """Parse the answer once; raises _AskAgain where JSON was promised, or asked for, and something else came."""
    parsed = None
    is_text = "csv" in response.request.headers.get("Accept", "") and "json" not in response.headers.get(
        "Content-Type", ""
    )
    if response.content and not is_text:
        try:
            parsed = orjson.loads(response.content)
        except orjson.JSONDecodeError:
            if response.ok:
                found = response.content[:40].decode("utf-8", "replace")
                raise _AskAgain(f"answered what is no JSON, or only half of it: {found!r}") from None
    response.json = lambda **_: parsed  # type: ignore[method-assign]
    return parsed


def parsed_json(response: requests.Response) -> Any:
    """What `_parsed` found."""
    return response.json()


def _pause_in(response: requests.Response, pause_of: Callable[[int, Any], float | None]) -> float | None:
    """The pause that an answer asks for, in seconds."""
    named = response.headers.get("Retry-After", "")
    if named.strip().isdigit():
        return float(named)
    with contextlib.suppress(ValueError, TypeError):
        # The server's clock may differ from ours; the pause is the difference of its own two times.
        return max(0.0, (parsedate_to_datetime(named) - server_clock(response)).total_seconds())
    return pause_of(response.status_code, parsed_json(response))


def server_clock(response: requests.Response) -> datetime:
    """The moment at which the server answered, by its own clock; by ours if it does not tell."""
    try:
        return _moment(response.headers["Date"])
    except (KeyError, ValueError, TypeError):
        return datetime.now(UTC)


@lru_cache(maxsize=8)
def _moment(date: str) -> datetime:
    """A header's date; many answers bear the same one."""
    return parsedate_to_datetime(date).astimezone(UTC)


class Http:
    """A CRM's server. Bears threads.

    rates: the limits to obey. Where the settings name `requests_per_second`, that holds instead of all of them.
    retry_if, pause_of: as of `Session`.
    """

    def __init__(
        self,
        crm: str,
        base_url: str,
        settings: Settings,
        *,
        rates: Rates,
        auth: AuthBase | None = None,
        headers: Mapping[str, str] | None = None,
        retry_if: Callable[[int, Any], bool] = _never,
        pause_of: Callable[[int, Any], float | None] = lambda _, __: None,
    ) -> None:
        self.crm = crm
        self.session = Session(crm, settings, rates=rates, base_url=base_url, retry_if=retry_if, pause_of=pause_of)
        self.session.auth = auth
        self.session.headers.update(headers or {})
        self._base_url = base_url.rstrip("/")

    def __enter__(self) -> "Http":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.session.close()

    @property
    def requests_made(self) -> int:
        """How many requests were sent, those in vain included."""
        return self.session.requests_made

    def get(
        self, path: str, params: Mapping[str, Any] | None = None, *, rate: str = "", check: Check = _is_usable
    ) -> Answer:
        """Ask for a path. Raises SourceUnreachable, AccessRefused (401, 403), BadSourceData (NotThere for 404)."""
        return self._answer(self._prepared("GET", path, params), rate, check)

    def post(
        self,
        path: str,
        json: Any,
        params: Mapping[str, Any] | None = None,
        *,
        rate: str = "",
        check: Check = _is_usable,
    ) -> Answer:
        """Post JSON to a path; raises as `get` does."""
        return self._answer(self._prepared("POST", path, params, orjson.dumps(json)), rate, check)

    def _prepared(
        self, method: str, path: str, params: Mapping[str, Any] | None, body: bytes | None = None
    ) -> requests.PreparedRequest:
        """A request as `requests` prepares it, in a third of the time: what all have in common is made once."""
        request = requests.PreparedRequest()
        request.method = method
        query = urlencode({name: value for name, value in (params or {}).items() if value is not None}, doseq=True)
        request.url = f"{self._base_url}/{path.lstrip('/')}{f'?{query}' if query else ''}"
        request.headers = requests.structures.CaseInsensitiveDict(self.session.headers)
        if body is not None:
            request.body = body
            request.headers.update({"Content-Type": "application/json", "Content-Length": str(len(body))})
        request.prepare_cookies(self.session.cookies)
        return self.session.auth(request) if callable(self.session.auth) else request

    def _answer(self, request: requests.PreparedRequest, rate: str, check: Check) -> Answer:
        response = self.session.send(request, rate=rate, check=check)
        if not response.ok or response.is_redirect:
            raise self._refusal(response)
        return Answer(response.status_code, parsed_json(response), server_clock(response), response.headers)

    def _refusal(self, response: requests.Response) -> AccessRefused | BadSourceData:
        request = response.request
        about = f"{self.crm}: {self.session.place_of(request)}: answered {self.session.words_of(response)}"
        if response.status_code in (requests.codes.unauthorized, requests.codes.forbidden):
            return AccessRefused(f"{about}; look after the token and its rights with kpimart doctor, then rerun")
        if response.is_redirect:
            return BadSourceData(f"{about}, a redirect; correct {self.crm}.url, then rerun")
        kind = NotThere if response.status_code == requests.codes.not_found else BadSourceData
        return kind(f"{about}; this is not what its documentation promises, a retry changes nothing")
