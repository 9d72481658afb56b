"""Names and values as SQL text.

Values are written into the statement instead of bound to it: to bind one, the driver first imports pandas where that
is installed, which takes longer than publishing a small release.
"""

from datetime import datetime


def quoted(name: str) -> str:
    """An identifier, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: str | datetime | bool | None) -> str:
    """A value; moments must be aware."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return f"timestamptz '{value.isoformat()}'"
    return "'" + value.replace("'", "''") + "'"
