"""Department: how one department does, why, and where it could do better."""

from kpimart.dashboard.entity import show_entity
from kpimart.dashboard.view import View


def department(view: View) -> None:
    """The page."""
    show_entity(view, "department")
