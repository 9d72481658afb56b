"""What every page is given."""

from dataclasses import dataclass

from kpimart.dashboard.access import Sight
from kpimart.dashboard.served import Served
from kpimart.dashboard.words import Say
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
