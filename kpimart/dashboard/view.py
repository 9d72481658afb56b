"""What every page is given."""

from dataclasses import dataclass
from datetime import datetime

from kpimart.dashboard.access import Sight
from kpimart.dashboard.served import Served
from kpimart.dashboard.words import Say, moment_text
from kpimart.language import Language
from kpimart.settings import Settings


@dataclass(frozen=True)
class View:
    """The company's settings, what is seen of the release that is served, and the language that is spoken."""

    settings: Settings
    sight: Sight
    language: Language
    say: Say

    @property
    def served(self) -> Served:
        """The release, as far as it is seen."""
        return self.sight.served

    def moment(self, moment: datetime) -> str:
        """A moment by the company's clock, as the pages write it."""
        return moment_text(moment.astimezone(self.settings.zone), self.language)
