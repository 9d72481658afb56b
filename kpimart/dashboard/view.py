"""What every page is given."""

from dataclasses import dataclass

from kpimart.dashboard.served import Served
from kpimart.dashboard.words import Say
from kpimart.language import Language
from kpimart.settings import Settings


@dataclass(frozen=True)
class View:
    """The company's settings, the release that is looked at, and the language that is spoken."""

    settings: Settings
    served: Served
    language: Language
    say: Say
