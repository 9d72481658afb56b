"""Nights of the demo company: it is served over HTTP, and the clock moves on from one night to the next."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from pydantic import SecretStr

from kpimart.demo.server import Served, World, amocrm, bitrix24, hubspot
from kpimart.demo.server.app import serve
from kpimart.errors import SettingsError
from kpimart.settings import Settings


class Company:
    """The served company, and the settings to read it with."""

    def __init__(self, served: Served, settings: Settings) -> None:
        self._served = served
        self.settings = settings

    def nights(self, count: int) -> Iterator[datetime]:
        """The moments at which so many nights end, one day apart; the company lives on between them."""
        for number in range(count):
            if number:
                self._served.world.advance(days=1)
            yield self._served.world.now


@contextmanager
def served_company(settings: Settings) -> Iterator[Company]:
    """Serve the company on loopback as the one CRM that the settings read. Raises SettingsError for any other."""
    served = Served(World(), limits=False)
    with serve(served) as base_url:
        yield Company(served, reading(settings, base_url))


def reading(settings: Settings, base_url: str) -> Settings:
    """The settings with the address and the token of each CRM that they read, as it is served there."""
    places = {
        "hubspot": {"url": f"{base_url}/hubspot", "token": SecretStr(hubspot.TOKEN)},
        "bitrix24": {"webhook": SecretStr(f"{base_url}/bitrix24/rest/1/{bitrix24.WEBHOOK_TOKEN}/")},
        "amocrm": {"url": f"{base_url}/amocrm", "token": SecretStr(amocrm.TOKEN)},
    }
    known = [name for name in settings.sources if name in places]
    if not known or len(known) < len(settings.sources):
        raise SettingsError(
            f"sources: the demo company is served as {', '.join(places)}; found {', '.join(settings.sources)}"
        )
    own: dict[str, Any] = {name: getattr(settings, name).model_copy(update=places[name]) for name in known}
    return settings.model_copy(update=own)
