"""Closing a month: what is refused, what is recorded, and which month is due when.

The company's last release speaks of 8 January 2027, midnight: November and December are over, January goes on.
"""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from kpimart.closing import Decision, close, decisions, month_due, release_to_close, reopen
from kpimart.errors import KpiMartError, ReleaseDamaged, ReleaseNotFound, SettingsError
from kpimart.settings import Closing, Settings
from kpimart.warehouse import open_warehouse

FIRST, SERVED = "20270107T020000Z", "20270108T020000Z"
NOON = datetime(2027, 1, 8, 12, tzinfo=UTC)


def settings_of(home: Path) -> Settings:
    return Settings(home=home, time_zone="Europe/Berlin")


def closed(
    home: Path, month: str = "2026-12", *, by: str = "M. Berg", note: str = "Checked.", release_id: str | None = None
) -> Decision:
    return close(settings_of(home), month, by=by, note=note, release_id=release_id, clock=lambda: NOON)


def reopened(home: Path, month: str = "2026-12", *, by: str = "M. Berg", reason: str = "A deal was late.") -> Decision:
    return reopen(settings_of(home), month, by=by, reason=reason, clock=lambda: NOON + timedelta(days=1))


def test_a_month_is_closed_on_the_served_release(home: Path) -> None:
    decision = closed(home, by=" M. Berg ")
    assert decision == Decision(
        month="2026-12",
        period_start=date(2026, 12, 1),
        period_end=date(2026, 12, 31),
        action="closed",
        release_id=SERVED,
        as_of=datetime(2027, 1, 8, tzinfo=UTC),
        known_at=datetime(2027, 1, 8, 2, tzinfo=UTC),
        decided_by="M. Berg",
        note="Checked.",
        decided_at=NOON,
    )
    assert decisions(home) == [decision]


def test_a_month_is_closed_on_the_release_that_is_named(home: Path) -> None:
    assert closed(home, release_id=FIRST).release_id == FIRST


@pytest.mark.parametrize(
    ("month", "said"),
    [
        (
            "2027-01",
            f"2027-01 is not over in release {SERVED}: its last day is 2027-01-31, and the release speaks of "
            "2027-01-08 01:00 CET; close it on one as of 2027-02-01 00:00 CET or later",
        ),
        ("2027-02", "has no such month; it has those from 2026-11 to 2027-01"),
        ("2026-10", "has no such month; it has those from 2026-11 to 2027-01"),
        ("December", "period 'December': give one of"),
        ("2026-W52", "'2026-W52' names no month"),
        ("month", "'month' names no month"),
    ],
)
def test_a_month_that_the_release_does_not_have_whole_is_not_closed(home: Path, month: str, said: str) -> None:
    with pytest.raises(SettingsError) as refused:
        closed(home, month)
    assert said in str(refused.value)
    assert decisions(home) == []


@pytest.mark.parametrize(("by", "why"), [("", "Checked."), ("M. Berg", " ")])
def test_who_decides_and_why_must_be_said(home: Path, by: str, why: str) -> None:
    for decide in (lambda: closed(home, by=by, note=why), lambda: reopened(home, by=by, reason=why)):
        with pytest.raises(SettingsError, match="needs the name of who decides it, and why"):
            decide()


def damage(home: Path, name: str) -> None:
    file = home / "reporting" / "releases" / SERVED / name
    file.chmod(0o644)
    file.write_bytes(file.read_bytes() + b" ")


@pytest.mark.parametrize(
    ("release_id", "damaged", "error"),
    [("20200101T000000Z", None, ReleaseNotFound), (None, "parquet/kpi_value.parquet", ReleaseDamaged)],
)
def test_a_release_must_be_there_and_whole(
    home: Path, release_id: str | None, damaged: str | None, error: type[KpiMartError]
) -> None:
    if damaged:
        damage(home, damaged)
    with pytest.raises(error):
        closed(home, release_id=release_id)
    assert decisions(home) == []


def test_to_decide_the_same_again_changes_nothing_and_says_so(home: Path) -> None:
    first = closed(home)
    for again in (closed(home), closed(home, release_id=SERVED)):
        assert again == replace(first, is_repeated=True)
    taken_back = reopened(home)
    assert reopened(home) == replace(taken_back, is_repeated=True)
    assert decisions(home) == [first, taken_back]


@pytest.mark.parametrize(
    "other", [{"by": "A. Ruiz"}, {"note": "Checked twice."}, {"release_id": FIRST}], ids=lambda other: next(iter(other))
)
def test_a_closed_month_is_not_closed_otherwise(home: Path, other: dict[str, str]) -> None:
    closed(home)
    with pytest.raises(SettingsError) as refused:
        closed(home, **other)  # type: ignore[arg-type]
    assert str(refused.value) == (
        f"2026-12 is closed already: by M. Berg on 2027-01-08 13:00 CET, release {SERVED}: Checked.; to close 2026-12 "
        'otherwise:  kpimart reopen 2026-12 --by NAME --reason "WHY"'
    )


def test_days_of_a_closed_month_are_not_closed_under_another_calendar(home: Path) -> None:
    with open_warehouse(home) as connection:
        connection.execute("""
            insert into raw.kpimart__close values (
                '2026-11-29', null, false, '{
                    "month": "FY2026-P11", "period_start": "2026-11-29", "period_end": "2027-01-02", "action": "closed",
                    "release_id": "R", "as_of": "2027-01-03T00:00:00Z", "known_at": "2027-01-03T00:00:00Z",
                    "decided_by": "M. Berg", "note": "Checked."
                }', '', '2027-01-04', '2027-01-04', 'b'
            )
        """)
    with pytest.raises(
        SettingsError, match=r"^FY2026-P11 is closed already: by M\. Berg .* to close 2026-12 otherwise"
    ):
        closed(home)
    reopened(home, "FY2026-P11")
    assert closed(home).month == "2026-12"


def test_a_month_is_reopened_and_closed_anew(home: Path) -> None:
    first = closed(home, release_id=FIRST)
    taken_back = reopened(home)
    assert (taken_back.action, taken_back.release_id, taken_back.note) == ("reopened", FIRST, "A deal was late.")
    anew = closed(home)
    assert (anew.release_id, anew.is_repeated) == (SERVED, False)
    assert decisions(home) == [first, taken_back, anew]


@pytest.mark.parametrize(
    ("month", "said"),
    [
        ("2026-11", "month 2026-11 was never closed; closed are: none"),
        (
            "2026-12",
            f"2026-12 is reopened already: by A. Ruiz on 2027-01-09 13:00 CET, release {SERVED}: An error.; "
            "there is nothing to reopen",
        ),
    ],
)
def test_what_is_not_closed_is_not_reopened(home: Path, month: str, said: str) -> None:
    closed(home)
    reopened(home, by="A. Ruiz", reason="An error.")
    with pytest.raises(SettingsError) as refused:
        reopened(home, month)
    assert str(refused.value) == said


# What is due


@pytest.mark.parametrize(
    ("moment", "month"),
    [
        (datetime(2026, 12, 31, 22, 59, tzinfo=UTC), "2026-11"),
        (datetime(2026, 12, 31, 23, tzinfo=UTC), "2026-12"),
        (datetime(2027, 1, 31, 22, 59, tzinfo=UTC), "2026-12"),
        (datetime(2027, 1, 31, 23, tzinfo=UTC), None),
        (datetime(2026, 11, 15, tzinfo=UTC), None),
    ],
    ids=["December goes on in Berlin", "it is over", "January goes on", "January is due", "before all"],
)
def test_the_month_that_is_due_is_the_last_that_is_over_where_the_company_is(
    published: Path, moment: datetime, month: str | None
) -> None:
    assert month_due(settings_of(published), moment) == month


def test_a_month_can_be_closed_so_many_working_days_after_its_end(published: Path) -> None:
    """The one whole day that the release has after December stands for five working days."""
    five, six = (Settings(home=published, closing=Closing(after_working_days=days)) for days in (5, 6))
    assert release_to_close(five, "2026-12") == SERVED
    assert release_to_close(six, "2026-12") is None
    assert release_to_close(five, "2027-01") is None


def test_nothing_is_due_before_the_first_release(tmp_path: Path) -> None:
    settings = settings_of(tmp_path / "home")
    assert (month_due(settings, NOON), release_to_close(settings, "2026-12")) == (None, None)
    assert decisions(tmp_path / "home") == []
