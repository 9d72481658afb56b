"""Tokens: how a request is authorised, and how an authorisation that ends is renewed."""

import hashlib
import json
import math
import os
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import requests
from filelock import FileLock
from pydantic import SecretStr
from requests.auth import AuthBase

from kpimart.errors import AccessRefused, SettingsError, SourceUnreachable
from kpimart.settings import Settings

# Renewed a little before it ends, so that no request is under way when it does.
_MARGIN_SECONDS = 60.0


class RenewableAuth(AuthBase):
    """An authorisation that can be renewed when the server says that it has ended."""

    def renew(self) -> None:
        """Get a new one; raises AccessRefused where there is none."""
        raise NotImplementedError


class HeaderToken(AuthBase):
    """A token that goes with every request in a header."""

    def __init__(self, token: SecretStr, *, header: str = "Authorization", scheme: str = "Bearer ") -> None:
        self._token, self._header, self._scheme = token, header, scheme

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers[self._header] = f"{self._scheme}{self._token.get_secret_value()}"
        return request


def required_secret(crm: str, name: str, value: SecretStr | None) -> SecretStr:
    """The secret; raises SettingsError that names the variable it belongs into."""
    if value is None:
        raise SettingsError(f"{crm}.{name}: is missing; put it into the variable KPIMART_{crm.upper()}__{name.upper()}")
    return value


class RefreshingToken(RenewableAuth):
    """OAuth: an access token that is renewed by a refresh token when it ends, or when the server says so.

    Servers that use a refresh token up give a new one; it is kept in `$KPIMART_HOME/tokens/<crm>.json`, which only its
    owner may read, and counts instead of the configured one until another one is configured. Bears threads, and other
    processes of the same home.
    form: what a renewal says besides the tokens and the app. apply: puts the access token into a request. as_json: the
    form goes as JSON. by_header: the app says who it is by HTTP basic authentication and not in the form. is_public:
    the app may be one without a secret.
    """

    def __init__(
        self,
        crm: str,
        settings: Settings,
        *,
        token_url: str,
        form: Mapping[str, str],
        apply: Callable[[requests.PreparedRequest, str], requests.PreparedRequest] | None = None,
        as_json: bool = False,
        by_header: bool = False,
        is_public: bool = False,
    ) -> None:
        own = getattr(settings, crm)
        self._crm = crm
        self._file = settings.home / "tokens" / f"{crm}.json"
        self._timeout = settings.http.timeout_seconds
        self._configured = required_secret(crm, "refresh_token", own.refresh_token).get_secret_value()
        secret = own.client_secret if is_public else required_secret(crm, "client_secret", own.client_secret)
        if not own.client_id:
            raise SettingsError(f"{crm}.client_id: is missing; OAuth needs it beside the refresh token")
        app = {"client_id": own.client_id, **({"client_secret": secret.get_secret_value()} if secret else {})}
        self._header = (app["client_id"], app["client_secret"]) if by_header else None
        self._form = {**form, "grant_type": "refresh_token", **({} if by_header else app)}
        self._token_url, self._as_json = token_url, as_json
        self._apply = apply or _as_bearer
        self._lock = threading.Lock()
        self._answer: dict[str, Any] = {}
        self._ends_at = -math.inf

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return self._apply(request, self.told("access_token"))

    def told(self, name: str) -> str:
        """What the server of tokens said under a name when it gave the access token that counts now."""
        with self._lock:
            if time.monotonic() >= self._ends_at:
                self._ask()
            if name not in self._answer:
                raise SourceUnreachable(f"{self._crm}: the server of tokens answered without {name!r}; rerun later")
            return str(self._answer[name])

    def renew(self) -> None:
        """Get a new access token, though by the clock the old one has not ended."""
        with self._lock:
            self._ask()

    def _ask(self) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        # Another process of this home must not use the same token: some servers take that for theft.
        with FileLock(self._file.with_suffix(".lock")):
            kept = _read(self._file)
            refresh = kept["refresh_token"] if kept.get("configured") == _mark(self._configured) else self._configured
            answer = self._post({**self._form, "refresh_token": refresh})
            if answer.get("refresh_token", refresh) != refresh:
                _write(self._file, {"configured": _mark(self._configured), "refresh_token": answer["refresh_token"]})
        self._answer = answer
        self._ends_at = time.monotonic() + float(answer.get("expires_in", 3600)) - _MARGIN_SECONDS

    def _post(self, form: Mapping[str, str]) -> dict[str, Any]:
        body = {"json": form} if self._as_json else {"data": form}
        try:
            response = requests.post(self._token_url, **body, auth=self._header, timeout=self._timeout)  # type: ignore[arg-type]
            answer = response.json() if response.ok else {}
        except requests.RequestException as error:
            raise SourceUnreachable(
                f"{self._crm}: the server of tokens gives no answer ({type(error).__name__}); rerun when it is back"
            ) from None
        if response.status_code == requests.codes.too_many or response.status_code >= 500:
            raise SourceUnreachable(f"{self._crm}: the server of tokens answered {response.status_code}; rerun later")
        if "access_token" not in answer:
            raise AccessRefused(
                f"{self._crm}: the refresh token was refused ({response.status_code}); authorise kpimart again and put "
                f"the new one into KPIMART_{self._crm.upper()}__REFRESH_TOKEN"
            )
        return dict(answer)


def _as_bearer(request: requests.PreparedRequest, token: str) -> requests.PreparedRequest:
    request.headers["Authorization"] = f"Bearer {token}"
    return request


def _mark(secret: str) -> str:
    """Tells whether another token was configured since, without keeping the token twice."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _read(file: Path) -> dict[str, Any]:
    kept: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    return kept


def _write(file: Path, content: Mapping[str, str]) -> None:
    """Replace the file at once, never readable for anybody else."""
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_suffix(".new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
        json.dump(dict(content), opened)
        opened.flush()
        os.fsync(opened.fileno())
    new.replace(file)
