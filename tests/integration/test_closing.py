"""Months of a small company are closed and reopened; the next night tells of it, and keeps what was frozen."""

from small_company import CONFIG, NEXT_DEALS, Company

from kpimart.closing import close, reopen
from kpimart.publish.release import find, verify_release

SHORT_MEMORY = """
[retention]
releases = 1
month_ends = false
"""


def test_what_was_decided_is_published_by_the_next_night_and_the_frozen_release_stays(company: Company) -> None:
    settings = company.settings()
    frozen = find(settings.home)
    close(settings, "2026-01", by="M. Berg", note="Checked.")
    reopen(settings, "2026-01", by="A. Ruiz", reason="A deal was late.")
    close(settings, "2026-02", by="M. Berg", note="With the late deal.")
    company.configure(f"{CONFIG}{SHORT_MEMORY}")
    company.write("deals.csv", NEXT_DEALS)
    company.run_here()

    columns = "period_name, decision_number, action, is_in_force, decided_by, note"
    assert company.ask_served(f"select {columns} from period_close") == [
        ("2026-01", 1, "closed", False, "M. Berg", "Checked."),
        ("2026-01", 2, "reopened", False, "A. Ruiz", "A deal was late."),
        ("2026-02", 1, "closed", True, "M. Berg", "With the late deal."),
    ]
    assert company.ask_served("select distinct release_id, as_of, known_at from period_close") == [
        (frozen.release_id, frozen.as_of, frozen.known_at)
    ]
    assert find(settings.home).release_id != frozen.release_id
    assert verify_release(settings.home, frozen.release_id).database.exists()
