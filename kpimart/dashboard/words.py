"""What the pages say, in English and in Russian, and how they write names, days and times."""

import re
from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Literal, get_args

from babel.dates import format_date, format_datetime, format_interval, format_timedelta

Language = Literal["en", "ru"]
LANGUAGES: tuple[Language, ...] = get_args(Language)
# How days are written: the day before the month in both.
_LOCALES = {"en": "en_GB", "ru": "ru"}

# Each in English and in Russian.
_TEXTS = {
    "overview": ("Overview", "Обзор"),
    "language": ("Language", "Язык"),
    "whose": ("Whose figures", "Чьи показатели"),
    "grain": ("Periods", "Периоды"),
    "period": ("Period", "Период"),
    "company": ("Company", "Компания"),
    "department": ("Department", "Отдел"),
    "manager": ("Manager", "Менеджер"),
    "day": ("Day", "День"),
    "week": ("Week", "Неделя"),
    "month": ("Month", "Месяц"),
    "quarter": ("Quarter", "Квартал"),
    "year": ("Year", "Год"),
    "going on": ("going on", "идёт"),
    "compared with": ("Compared with {period}", "В сравнении с периодом: {period}"),
    "fresh": ("Fresh", "Свежие"),
    "old": ("Old", "Устарели"),
    "as of": ("{verdict}: as of {moment}, {age}", "{verdict}: на {moment}, {age}"),
    "right": ("Checks passed: {passed}", "Проверки пройдены: {passed}"),
    "warned": ("Checks passed: {passed}, warnings: {failed}", "Проверки пройдены: {passed}, предупреждений: {failed}"),
    "overridden": (
        "Published although checks failed: {failed}, by {by}",
        "Опубликовано, хотя проверок не пройдено: {failed}; решение: {by}",
    ),
    "details": ("Details", "Подробнее"),
    "release": ("Release", "Выпуск"),
    "figures as of": ("Figures as of", "Показатели на"),
    "known at": ("Known at", "Данные получены до"),
    "published at": ("Published at", "Опубликован"),
    "checked raw": ("Checks of the data read", "Проверки полученных данных"),
    "checked reporting": ("Checks of the figures", "Проверки показателей"),
    "decided": ("Published all the same", "Опубликовано несмотря на"),
    "counts": (
        "{passed} passed, {failed} failed, {errored} errored",
        "пройдено {passed}, не пройдено {failed}, с ошибкой {errored}",
    ),
    "unmet": ("Checks that were not passed", "Непройденные проверки"),
    "table": ("Table", "Таблица"),
    "expectation": ("Expectation", "Ожидание"),
    "observed": ("Observed", "Найдено"),
    "expected": ("Expected", "Ожидалось"),
    "target": ("Target", "План"),
    "no target": ("No target is set", "План не задан"),
    "attained": ("{share} of the target {target}", "{share} от плана {target}"),
    "not attained": ("Target {target}", "План {target}"),
    "pace": ("Pace {share}", "Темп {share}"),
    "pace help": (
        "What there is, as a part of what is usually there by this working day when the target is reached.",
        "Доля от того, что обычно есть к этому рабочему дню, когда план выполняется.",
    ),
    "rests on": (
        "Rests on {count} deals, leads or customers.",
        "Основано на сделках, лидах или клиентах: {count}.",
    ),
    "legend": (
        "Lines: the last {count} periods. Dashed: the target. Ring: a period that goes on.",
        "Линия — последние периоды, {count}. Пунктир — план. Кольцо — период, который идёт.",
    ),
    "trend": ("{kpi} of {whose}, {periods}", "{kpi}: {whose}, {periods}"),
    "value": ("Value", "Значение"),
    "where to look": ("Where to look", "На что обратить внимание"),
    "lowest first": (
        "The lowest score first: the sum of the scorecard, where 100 % is every target reached.",
        "Сначала самая низкая оценка: итог карты показателей, где 100 % — все планы выполнены.",
    ),
    "lowest so far": (
        "The lowest score so far first: the sum of the scorecard, where 100 % is every target of the period reached.",
        "Сначала самая низкая оценка на сегодня: итог карты показателей, где 100 % — все планы периода выполнены.",
    ),
    "by name": (
        "By name, as no scorecard of this period has a score.",
        "По названию: ни у одной карты показателей за этот период нет оценки.",
    ),
    "score": ("Score", "Оценка"),
    "who": ("Who", "Кто"),
    "nothing": (
        "{whose} has no figures in {period}.",
        "Показателей нет: {whose}, {period}.",
    ),
    "not there": (
        "The address asks for {asked}, which this release does not have. What is shown is {shown}.",
        "В адресе указано {asked}, но в этом выпуске этого нет. Показано: {shown}.",
    ),
    "reading": ("Reading the figures …", "Читаем показатели …"),
    "no release": ("There is no release yet", "Выпуска ещё нет"),
    "first run": (
        "Figures appear here by themselves as soon as the first run has published them.",
        "Показатели появятся здесь сами, как только первый запуск их опубликует.",
    ),
    "run it": (
        "Whoever looks after the pipeline makes the first one with:",
        "Тот, кто отвечает за загрузку, делает первый выпуск так:",
    ),
    "no home": (
        "The folder that the figures are read from is not there: {home}. Is KPIMART_HOME the one that the run has?",
        "Папки, из которой читаются показатели, нет: {home}. Совпадает ли KPIMART_HOME с тем, что у запуска?",
    ),
    "no periods": (
        "The release holds nothing yet: no deal, lead or activity has happened.",
        "В выпуске пока ничего нет: ни сделок, ни лидов, ни действий.",
    ),
    "failed": ("The figures cannot be shown now", "Показатели сейчас нельзя показать"),
    "tell": (
        "As soon as another release is served, it is shown here. Tell whoever looks after the pipeline:",
        "Как только появится другой выпуск, он будет показан здесь. Сообщите тому, кто отвечает за загрузку:",
    ),
    "try again": ("Try again", "Попробовать снова"),
}  # fmt: skip

Say = Callable[..., str]
"""A text by its name, with what is to be put into it."""


def saying(language: Language) -> Say:
    """The texts of a language."""
    position = LANGUAGES.index(language)
    return lambda name, **values: _TEXTS[name][position].format(**values)


def language_of(asked: str | None, browser: str | None) -> Language:
    """The language that the address asks for, else the browser's, else English."""
    named = (asked or browser or "").lower()
    return next((each for each in LANGUAGES if named.startswith(each)), "en")


def plain(text: str) -> str:
    """A text of somebody else's in Markdown, as it is: `[North]` is a department and no link."""
    return re.sub(r"([\\`*_{}\[\]()#+\-.!|~:$<>&])", r"\\\1", text)


def day_text(day: date, language: Language) -> str:
    """Such as 18 Oct 2026."""
    return format_date(day, "d MMM y", locale=_LOCALES[language])


def days_text(start: date, end: date, language: Language) -> str:
    """From a day to another, such as 1 – 30 Sep 2026."""
    return (
        day_text(start, language) if start == end else format_interval(start, end, "yMMMd", locale=_LOCALES[language])
    )


def moment_text(moment: datetime, language: Language) -> str:
    """Such as 18 Oct 2026, 00:00 CEST; in the time zone that the moment has."""
    return f"{format_datetime(moment, 'd MMM y, HH:mm', tzinfo=moment.tzinfo, locale=_LOCALES[language])} {moment:%Z}"


def age_text(age: timedelta, language: Language) -> str:
    """Such as 6 hours ago; one that is still to come is told as well."""
    return format_timedelta(-age, threshold=2, add_direction=True, locale=_LOCALES[language])


def period_text(name: str, grain: str, start: date, language: Language, *, is_short: bool = False) -> str:
    """A calendar month by its name, a day by its date, any other period as `kpimart kpi` takes it."""
    if grain == "day":
        return day_text(start, language)
    if grain == "month" and name == f"{start:%Y-%m}":
        told = format_date(start, "LLL y" if is_short else "LLLL y", locale=_LOCALES[language])
        return told[0].upper() + told[1:]
    return name
