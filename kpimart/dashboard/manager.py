"""Manager: how one manager does, why, and where they could do better."""

from kpimart.dashboard.entity import show_entity
from kpimart.dashboard.view import View


def manager(view: View) -> None:
    """The page."""
    show_entity(view, "manager")
