"""What the tasks of `budget_month_close` do, a function each. `found` is a month and a release past its cut-off."""

import logging
from typing import Any

from airflow.sdk import get_current_context

from kpimart import closing
from kpimart.figures import profile_kpis, read_figures
from kpimart.publish.release import find, verify_release
from kpimart.publish.workbook import export_workbook as write_workbook
from kpimart.render import change_text, value_text
from kpimart.scheduling.configuration import settings_of_run

log = logging.getLogger(__name__)


def release_past_cut_off() -> dict[str, str] | None:
    """The month that was over at the end of the data interval, and the served release, once it is past the cut-off."""
    context: Any = get_current_context()
    settings = settings_of_run()
    month = closing.month_due(settings, context["data_interval_end"])
    release_id = closing.release_to_close(settings, month) if month else None
    log.info("month due: %s; served release past its cut-off: %s", month or "not there yet", release_id or "none yet")
    return {"month": month, "release_id": release_id} if month and release_id else None


def describe(month: str, release_id: str) -> str:
    """The month's figures for who has to approve, in Markdown."""
    settings = settings_of_run()
    release = find(settings.home, release_id)
    codes = profile_kpis(settings.profile, settings.seeds)
    found = read_figures(release.database, level="company", period=month, kpi_codes=codes)
    names = {kpi.kpi_code: kpi.name for kpi in found.kpis}
    figures = [
        f"- {names[each.kpi_code]}: **{value_text(each.value, each.unit)}** {each.unit}, "
        f"{change_text(each.value, each.value_before, each.unit)} on the month before"
        for each in found.figures
    ]
    moment = f"{release.as_of.astimezone(settings.zone):%Y-%m-%d %H:%M %Z}"
    return "\n".join([f"Figures of {month} in release {release_id}, as of {moment}:", *figures])


def close(month: str, release_id: str, approval: dict[str, Any]) -> None:
    """Close the month in the name of who approved, with their note."""
    who, note = approval["responded_by_user"]["name"], approval["params_input"].get("note", "")
    decided = closing.close(settings_of_run(), month, by=who, note=note, release_id=release_id)
    log.info("%s is closed on release %s by %s: %s", month, decided.release_id, who, note)


def export_workbook(month: str, release_id: str) -> str:
    """Write the workbook of the closed month's release; its path."""
    settings = settings_of_run()
    release = verify_release(settings.home, release_id)
    file = settings.home / "workbooks" / f"budget-{month}.xlsx"
    file.parent.mkdir(exist_ok=True)
    for sheet in write_workbook(release, file, settings.zone, tell=log.info):
        log.info("%s: %s rows", sheet.table, sheet.rows)
    return str(file)
