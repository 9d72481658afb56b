"""OAuth tokens as the demo's CRMs give them out."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from kpimart.demo.server.world import World


@dataclass(frozen=True)
class Pair:
    """What a renewal gives."""

    access: str
    refresh: str


class Tokens:
    """Access tokens that end by the company's clock, and a refresh token that each use replaces by a new one.

    The n-th token is `<first>-<n>`: so a refresh token that was kept while the server was restarted still counts, and
    one that was used never does.
    """

    def __init__(self, world: World, *, access: str, refresh: str, lives: timedelta) -> None:
        self._world = world
        self._access, self._refresh, self._lives = access, refresh, lives
        self._renewals = 0
        self._ends_at: dict[str, datetime] = {}

    def renew(self, refresh_token: str) -> Pair | None:
        """A new pair for the current refresh token, None for any other."""
        given = self._number(refresh_token)
        if given is None or given < self._renewals:
            return None
        self._renewals = given + 1
        pair = Pair(f"{self._access}-{self._renewals}", f"{self._refresh}-{self._renewals}")
        self._ends_at[pair.access] = self._world.now + self._lives
        return pair

    def knows(self, access_token: str) -> bool:
        """Whether it was given out; it may have ended."""
        return access_token in self._ends_at

    def has_ended(self, access_token: str) -> bool:
        return self._world.now >= self._ends_at[access_token]

    def _number(self, refresh_token: str) -> int | None:
        if refresh_token == self._refresh:
            return 0
        counted = refresh_token.removeprefix(f"{self._refresh}-")
        return int(counted) if counted != refresh_token and counted.isdecimal() else None
