"""What `--lang ru` says instead of the English that the code has."""

from typing import Literal

Language = Literal["en", "ru"]

RUSSIAN = {
    # ----------------------------------------------------------------------------------------------- tables of figures
    "Company": "Компания",
    "Department": "Отдел",
    "Manager": "Менеджер",
    "going on": "идёт",
    "before": "до этого",
    # --------------------------------------------------------------------------------------- the head of an explanation
    "{end}, so far through {day}": "{end}, пока по {day}",
    "formula": "формула",
    "figure": "значение",
    "published": "опубликовано",
    "credit": "зачёт",
    "unit": "единица",
    "defined by": "определяет",
    "{lens}: to the owner, and the department that they were in, when it happened": (
        "{lens}: владельцу на момент события и отделу, в котором он тогда работал"
    ),
    "{unit}, higher is better": "{unit}, больше — лучше",
    "{unit}, lower is better": "{unit}, меньше — лучше",
    "the same": "то же самое",
    "nothing, as nothing is there": "ничего: считать нечего",
    "NOT THE SAME, see below": "НЕ ТО ЖЕ САМОЕ, см. ниже",
    "DOES NOT ADD UP: {difference}; this is a defect of kpimart, tell who looks after it": (
        "НЕ СХОДИТСЯ: {difference}; это дефект kpimart, сообщите тем, кто за него отвечает"
    ),
    "the contributions come to a {name} of {ours}, and {theirs} was published": (
        "слагаемые дают {name} {ours}, а опубликовано {theirs}"
    ),
    "nothing was published, and the contributions come to {ours}": ("ничего не опубликовано, а слагаемые дают {ours}"),
    "numerator": "числитель",
    "denominator": "знаменатель",
    # ---------------------------------------------------------------------------------------------------- its measures
    "measure": "показатель",
    "value": "значение",
    "one row brings": "вклад строки",
    "of which count": "какие строки",
    "rows": "строк",
    "dated by": "датируется",
    "together": "вместе",
    "all": "все",
    "the moment it happened": "моментом события",
    "the moment it was created": "моментом создания",
    "the moment it was won first": "моментом первого выигрыша",
    "the day on which the time without a purchase ran out": "днём, когда истёк срок без покупок",
    "the end of the period": "концом периода",
    "the period it was set for": "периодом, на который задан",
    "added up": "складываются",
    "as it stands at the end of the period": "каково на конец периода",
    "each counted once": "каждый учтён один раз",
    "the median of the values": "медиана значений",
    "as it was set": "как задан",
    "nothing has a value": "значений нет",
    "no target was set": "план не задан",
    "{name} is {count}, not 0": "{name} равно {count}, а не 0",
    "none of {name} has a known value": "ни у одной строки {name} значение не известно",
    # ----------------------------------------------------------------------------------------------- what contributes
    "events of deals": "события сделок",
    "deals that were won, and not taken back, in the period": "сделки, выигранные за период и не отменённые",
    "deals open on the last evening of the period": "сделки, открытые вечером последнего дня периода",
    "deals open on the last evening of the period, in their stage for too long": (
        "сделки, открытые вечером последнего дня периода и застрявшие в своей стадии"
    ),
    "deals open on the last evening of the period that have a next step planned": (
        "сделки, открытые вечером последнего дня периода, с запланированным следующим шагом"
    ),
    "targets that were set": "заданные планы",
    "accounts that bought": "купившие клиенты",
    "accounts that have not bought for too long": "клиенты, которые слишком давно не покупали",
    "accounts with an open deal on the last evening of the period that have not bought": (
        "ещё не покупавшие клиенты со сделкой, открытой вечером последнего дня периода"
    ),
    "leads that were created": "созданные лиды",
    "activities": "действия",
    "id": "id",
    "name": "название",
    "day": "день",
    "what": "что",
    "amount": "сумма",
    "and {count} more: --all": "и ещё {count}: --all",
    "{what}, taken back": "{what}, отменено",
    "created": "создание",
    "won": "выигрыш",
    "lost": "проигрыш",
    "reopened": "возобновление",
    "close_date_moved": "перенос закрытия",
    "open": "открыта",
    "target": "план",
    "bought": "покупка",
    "lapsed": "срок истёк",
    "converted": "конвертация",
    "call": "звонок",
    "meeting": "встреча",
    "email": "письмо",
    "task": "задача",
}


def said(english: str, language: Language, **values: object) -> str:
    """A phrase in a language, with its values filled in."""
    phrase = english if language == "en" else RUSSIAN[english]
    return phrase.format(**values)
