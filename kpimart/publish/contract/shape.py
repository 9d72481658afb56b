"""What a published table is: its columns and their types, its key, and where its rows are taken from."""

from dataclasses import dataclass

VARCHAR = "varchar"
BOOLEAN = "boolean"
BIGINT = "bigint"
INTEGER = "integer"
DATE = "date"
MOMENT = "timestamp with time zone"
AMOUNT = "decimal(18,2)"
PART = "decimal(38,6)"
VALUE = "decimal(28,8)"
SHARE = "decimal(9,6)"
ATTAINMENT = "decimal(28,6)"
WEIGHT = "decimal(5,4)"
BOUND = "decimal(6,4)"
SCORE = "decimal(9,4)"
SAMPLE = "decimal(18,6)"
RATE = "decimal(9,8)"
DAYS = "decimal(18,2)"
PRECISE = "decimal(28,10)"


@dataclass(frozen=True)
class Column:
    """A published column; `type` is DuckDB's own name for it, in lower case."""

    name: str
    type: str
    description: str
    nullable: bool = False


@dataclass(frozen=True)
class Table:
    """A published table. Rows lie in the order of `key`; `totals` is a query of (name, total) over the table.

    `relation` is the table's source: of the build, or of `ops`; None where publish itself writes the rows. `only` says
    which of its rows are published.
    """

    name: str
    relation: str | None
    description: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    totals: str | None = None
    only: str = "true"
