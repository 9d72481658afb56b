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
    "from 0": "с 0",
    "pp": "п. п.",
    # ---------------------------------------------------------------------------------------------------------- trends
    "compared through working day {number}": "сравнение по {number}-й рабочий день",
    "on the period before": "к прошлому периоду",
    "on last year": "к прошлому году",
    "12 periods": "12 периодов",
    "year to date": "с начала года",
    "KPI": "показатель",
    "trend": "тренд",
    "stands out": "особенности",
    "too short": "ряд слишком короткий",
    "has gaps": "ряд с пропусками",
    "always the same": "не меняется",
    "has ended": "ряд прервался",
    "none to be seen": "не виден",
    "{slope} a week": "{slope} в неделю",
    "{slope} a month": "{slope} в месяц",
    "{slope} a quarter": "{slope} в квартал",
    "{slope} a year": "{slope} в год",
    "level shifted with {start}": "уровень сдвинулся с {start}",
    "expected were {low} … {high}": "ожидалось {low} … {high}",
    # ------------------------------------------------------------------------------------------------------- forecasts
    "made at the end of {day}, on what was known then": "прогноз сделан на конец дня {day}, по известному тогда",
    "the next month": "следующий месяц",
    "{count} months": "{count} мес.",
    "{share} % lie in": "с вероятностью {share} %",
    "method": "метод",
    "expected": "ожидается",
    "sum so far": "нарастающим итогом",
    "as a year before": "как год назад",
    "run rate with season": "текущий темп с сезонностью",
    "Theta": "Theta",
    "MSTL": "MSTL",
    "exponential smoothing": "экспоненциальное сглаживание",
    "ARIMA": "ARIMA",
    "weighted pipeline": "взвешенная воронка",
    "mean of all methods": "среднее всех методов",
    "share of the department": "доля в отделе",
    "share of the company": "доля в компании",
    "no forecast can be compared with what came yet": "сравнить прогнозы с фактом пока нельзя",
    "months ahead": "месяцев вперёд",
    "compared": "сравнений",
    "error (WAPE)": "ошибка (WAPE)",
    "error of seasonal naive": "ошибка «как год назад»",
    "bias": "смещение",
    "80 % held": "80 %: сбылось",
    "95 % held": "95 %: сбылось",
    "80 % of sums held": "80 % итогов: сбылось",
    "95 % of sums held": "95 % итогов: сбылось",
    "all of it is a backtest: forecasts of then are made of what the first load told": (
        "всё это — проверка на прошлом: прогнозы тех дней сделаны по данным первой загрузки"
    ),
    "there is no forecast yet: it takes {least} whole months of the company, and {count} are known": (
        "прогноза пока нет: для него нужно {least} полных месяца работы компании, а известно {count}"
    ),
    "none of these is forecast: won_amount, won_deals, new_customers and leads_created are, where the catalogue "
    "counts by them what the measures of these names do": (
        "для этих показателей прогноза нет: он есть для won_amount, won_deals, new_customers и leads_created, если "
        "каталог считает по ним то же, что и одноимённые меры"
    ),
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
    # -------------------------------------------------------------------------------------------------- a restatement
    "{period}, closed on release {release} by {name}: {note}": "{period}, закрыто по выпуску {release}, {name}: {note}",
    "as closed": "при закрытии",
    "as closed: {kpis}": "как при закрытии: {kpis}",
    "as known now": "по данным на сегодня",
    "change": "изменение",
    "above the line": "числитель, изменение",
    "below the line": "знаменатель, изменение",
    "what is behind it: {count}": "что за этим стоит: {count}",
    "cause": "причина",
    "credited to": "кому зачтено",
    "counted": "сколько раз",
    "definition changed": "изменилось определение",
    "merged into another deal": "объединено с другой сделкой",
    "deleted or restored": "удалено или восстановлено",
    "entered late": "внесено позже",
    "date moved": "изменена дата",
    "reopened, or decided otherwise": "возобновлено или решено иначе",
    "reassigned": "передано другому",
    "amount edited": "изменена сумма",
    "another exchange rate": "другой курс валюты",
    "the customer's other purchases": "другие покупки клиента",
    "what became of it later": "что стало потом",
    "other details": "прочие сведения",
    "target changed": "изменён план",
    "not split by causes": "не разложено по причинам",
    "open at the month's end": "открыта на конец месяца",
    "customer lost": "клиент потерян",
    "close date moved": "перенос срока",
    "purchase": "покупка",
    "lead": "лид",
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
    "no wins in the period": "за период побед нет",
    "the period goes on; it is told once it is over": "период ещё идёт; об этом будет сказано, когда он закончится",
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
    # ----------------------------------------------------------------------------------------------------- weak spots
    "deals created {start} … {end}": "сделки, созданные {start} … {end}",
    "deals created {start} … {end}, some still open": "сделки, созданные {start} … {end}, часть ещё открыта",
    "deals created {start} … {end}, the period goes on": "сделки, созданные {start} … {end}, период ещё идёт",
    "Stages that let through fewer deals than the median peer's": (
        "Стадии, которые проходит меньше сделок, чем у медианного коллеги"
    ),
    "Win rates below the median peer's": "Доли побед ниже, чем у медианного коллеги",
    "Reasons that lose more deals than they do for the median peer": (
        "Причины, по которым проигрывается больше сделок, чем у медианного коллеги"
    ),
    "Stages that take longer than the median peer's": "Стадии, которые длятся дольше, чем у медианного коллеги",
    "Nobody is below the median peer where there are deals enough to tell.": (
        "Там, где сделок достаточно для суждения, никто не отстаёт от медианного коллеги."
    ),
    "* the interval at 95 % lies wholly on the worse side of what peers with the same mix have": (
        "* 95 %-й интервал целиком хуже того, что есть у коллег с тем же составом сделок"
    ),
    "too few deals to tell: {count}": "слишком мало сделок для суждения: {count}",
    "rank": "место",
    "stage": "стадия",
    "pipeline": "воронка",
    "reason": "причина",
    "share": "доля",
    "days": "дни",
    "interval": "интервал",
    "peers": "коллеги",
    "median peer": "медианный коллега",
    "deals": "сделок",
    "stays": "пребываний",
    "likely leak": "вероятные потери",
    "leak": "потери",
    "interval of the leak": "интервал потерь",
    # --------------------------------------------------------------------------------------------------- regularities
    "Wins in the last tenth of the working days, {start} … {end}": (
        "Победы в последней десятой части рабочих дней, {start} … {end}"
    ),
    "share of wins": "доля побед",
    "wins": "побед",
    "if even": "если равномерно",
    "of the amount": "доля суммы",
    "linearity": "линейность",
    "Days from creation to winning, company, wins since {day}": (
        "Дней от создания до выигрыша, компания, победы с {day}"
    ),
    "by": "по",
    "segment": "сегмент",
    "10 %": "10 %",
    "25 %": "25 %",
    "median": "медиана",
    "75 %": "75 %",
    "90 %": "90 %",
    "product": "продукт",
    "lead_source": "источник",
    "amount_band": "сумма",
    "below 1,000": "меньше 1,000",
    "1,000 to 9,999": "от 1,000 до 9,999",
    "10,000 to 99,999": "от 10,000 до 99,999",
    "100,000 to 999,999": "от 100,000 до 999,999",
    "1,000,000 and more": "1,000,000 и больше",
    "What goes with winning within 180 days, company, deals since {day}": (
        "Что сопутствует выигрышу за 180 дней, компания, сделки с {day}"
    ),
    "sign": "признак",
    "won with it": "выиграно с ним",
    "won without": "выиграно без него",
    "odds ratio": "отношение шансов",
    "goes with": "сопутствует",
    "winning": "выигрышу",
    "losing": "проигрышу",
    "neither": "ничему",
    "too few": "слишком мало",
    "the source does not tell": "источник не сообщает",
    "in stage {stage} within 14 days": "в стадии «{stage}» за 14 дней",
    "activities within 14 days: at least {count}": "действий за 14 дней: не меньше {count}",
    "Seasons of the won amount, company: too short a history": (
        "Сезоны выигранной суммы, компания: история слишком коротка"
    ),
    "Seasons of the won amount, company: 1.00 is usual": "Сезоны выигранной суммы, компания: обычное — 1.00",
    "season": "сезон",
    "index": "индекс",
    "sample": "выборка",
    "month": "месяц",
    "weekday": "день недели",
    "Days from one purchase of an account to the next: median {median}, middle half {q1} … {q3}; {overdue} of "
    "{customers} customers are overdue": (
        "Дней от покупки клиента до следующей: медиана {median}, средняя половина {q1} … {q3}; просрочили "
        "{overdue} из {customers} клиентов"
    ),
    "a meeting within 14 days": "встреча за 14 дней",
    "lead answered within 24 hours": "ответ на лид за 24 часа",
    "What goes together need not follow from one another: the sign may be there because the deal is good.": (
        "Что бывает вместе, не обязано следовать одно из другого: признак может быть потому, что сделка хороша."
    ),
    # ------------------------------------------------------------------------------------- the pipeline and its keeping
    "opening": "на начало",
    "transferred in": "передано сюда",
    "pulled in": "срок приближен",
    "increased": "увеличено",
    "pushed out": "срок отложен",
    "decreased": "уменьшено",
    "transferred out": "передано отсюда",
    "deleted": "удалено",
    "closing": "на конец",
    "not in it before, and won": "не было на начало, выиграно",
    "not in it before, and lost": "не было на начало, проиграно",
    "open deals": "открытые сделки",
    "deals expected to close by the end of the quarter": "сделки, ожидаемые к закрытию до конца квартала",
    "deals expected to close by the end of the year": "сделки, ожидаемые к закрытию до конца года",
    "open deals without an expected close date, in no due pipeline: {count}": (
        "открытых сделок без ожидаемой даты закрытия, не учтённых здесь: {count}"
    ),
    "step": "шаг",
    "deals whose close date was pushed": "сделки с отложенной датой закрытия",
    "deals in their stage for more than {days} days": "сделки дольше {days} дн. в своей стадии",
    "deals idle for {days} days": "сделки без движения {days} дн.",
    "deals without a next step": "сделки без следующего шага",
    "deals past their close date": "сделки с истёкшей датой закрытия",
    "wins recorded after the period": "выигрыши, записанные после конца периода",
    "{kpi} {before} → {after} if {concerned} counted as lost": (
        "{kpi} {before} → {after}, если {concerned} считать проигранными"
    ),
    "{kpi} {before} → {after} without {concerned}": "{kpi} {before} → {after}, если не считать {concerned}",
    "{concerned}: not known, the source does not tell": "{concerned}: неизвестно, источник об этом не сообщает",
    "{concerned}: {count} of {of}": "{concerned}: {count} из {of}",
    "the {count} of the period": "ставшие такими за период ({count})",
    "they": "их",
    "them": "их",
    # ---------------------------------------------------------------------------------------------------------- drivers
    "plan": "план",
    "now": "сейчас",
    "difference": "разница",
    "laid beside {period}, as what would drive a plan is not known": (
        "рядом с {period}: что двигало бы план, неизвестно"
    ),
    "driver": "фактор",
    "contribution": "вклад",
    "working days": "рабочие дни",
    "heads per working day": "человек в рабочий день",
    "deals created per head and day": "создано сделок на человека в день",
    "deals decided per deal created": "закрыто сделок на созданную",
    "deals decided per head and day": "закрыто сделок на человека в день",
    "mix of products and pipelines": "структура продуктов и воронок",
    "win rate": "доля выигранных",
    "average amount at constant rates": "средняя сумма по постоянному курсу",
    "exchange rates": "курсы валют",
    "managers who moved between departments": "менеджеры, сменившие отдел",
    "not attributed": "не отнесено",
    "what the plan asks for beyond the period compared with": "что план требует сверх сравниваемого периода",
    "conversion of {stage}": "конверсия стадии «{stage}»",
    # ----------------------------------------------------------------------------------------------------- customers
    "At the start": "На начало",
    "First purchase": "Первая покупка",
    "Returned": "Вернулись",
    "Taken over": "Приняты",
    "Handed over": "Переданы",
    "Lost": "Потеряны",
    "At the end": "На конец",
    "Bought": "Купили",
    "Not for the first time": "Не впервые",
    "Regular": "Постоянные",
    "Potential": "Потенциальные",
    "Won amount": "Выигранная сумма",
    "Share of the ten largest": "Доля десяти крупнейших",
    "at the end = at the start + first purchase + returned + taken over - handed over - lost": (
        "на конец = на начало + первая покупка + вернулись + приняты - переданы - потеряны"
    ),
    "Customers": "Клиенты",
    "Bought for, so far": "Купили на сумму",
    "Share that bought in the period of the first purchase (0) and in those after it": (
        "Доля купивших в периоде первой покупки (0) и в следующих"
    ),
    "Accounts by segment": "Клиенты по сегментам",
    "champions": "лучшие",
    "cannot_lose": "нельзя терять",
    "loyal": "лояльные",
    "at_risk": "под угрозой",
    "promising": "перспективные",
    "needs_attention": "требуют внимания",
    "hibernating": "спящие",
    "not scored": "без оценки",
    # ------------------------------------------------------------------------------------------------------- in words
    "moved": "что изменилось",
    "why": "почему",
    "unusual": "необычное",
    # ------------------------------------------------------------------------------------------------------ the pages
    "Overview": "Обзор",
    "Trend": "Динамика",
    "Why it changed": "Почему изменилось",
    "Behind the figure": "Из чего складывается",
    "Funnel": "Воронка",
    "Weak spots": "Слабые места",
    "Pipeline": "Портфель сделок",
    "There is nobody to show here.": "Здесь некого показать.",
    "Nothing of this period.": "За этот период ничего нет.",
    "Scorecard": "Карта показателей",
    "Weight": "Вес",
    "of the target": "от плана",
    "Score: **{score}**": "Оценка: **{score}**",
    "Bonus coefficient: {coefficient}": "Коэффициент премии: {coefficient}",
    "There are no trends by day.": "По дням динамика не оценивается.",
    "Dashed: adjusted for the season. Band: what was to be expected. Diamond: outside of it.": (
        "Пунктир: с поправкой на сезон. Полоса: ожидаемый диапазон. Ромб: вне диапазона."
    ),
    "{kpi}: from {before} to {now}": "{kpi}: с {before} до {now}",
    "Show what it is made of": "Показать, из чего складывается",
    "{what}: {count}": "{what}: {count}",
    "All of them: {sums}": "Всего: {sums}",
    "Found anew: {value}": "Пересчитано заново: {value}",
    "The figure has parts that are shown to others only.": "В показателе есть части, которые видны только другим.",
    "to the next stage": "на следующий этап",
    "won of them": "из них выиграно",
    "median days": "медиана, дней",
    "median peer, days": "медианный коллега, дней",
    "Deals created {days}, against peers with the same mix of deals.": (
        "Сделки, созданные {days}, по сравнению с коллегами при том же составе сделок."
    ),
    "No spot is below the median peer's where there are deals enough to tell.": (
        "Там, где сделок достаточно для вывода, слабых мест нет."
    ),
    "kind": "вид",
    "where": "где",
    "conversion of a stage": "конверсия этапа",
    "loss reason": "причина проигрыша",
    "time in a stage": "время на этапе",
    "Customers are counted by month, quarter and year.": "Клиенты считаются по месяцам, кварталам и годам.",
    "customers": "клиенты",
    "Open deals: from {before} to {now}": "Открытые сделки: с {before} до {now}",
    "Seasonally adjusted": "С поправкой на сезон",
    "What": "Что",
    "Download the table: {name}": "Скачать таблицу: {name}",
    "Sign in": "Войти",
    "Sign out": "Выйти",
    "Sign in to see your figures": "Войдите, чтобы увидеть свои показатели",
    "The proxy in front of these pages named nobody. Tell whoever looks after it.": (
        "Прокси перед этими страницами никого не назвал. Сообщите тому, кто за ним следит."
    ),
    "{login} sees no figures yet. Ask whoever looks after the pipeline.": (
        "{login} пока не видит показателей. Обратитесь к тому, кто следит за конвейером."
    ),
    "Credit": "Зачёт",
    "Credit: owner then": "Зачёт: тогдашний владелец",
    "Credit: owner now": "Зачёт: нынешний владелец",
    "Credit: shared": "Зачёт: по долям",
    "Knowledge": "Известно",
    "As known now": "Как известно сейчас",
    "As closed": "Как закрыто",
    "Language": "Язык",
    "Whose figures": "Чьи показатели",
    "Periods": "Периоды",
    "Period": "Период",
    "Day": "День",
    "Week": "Неделя",
    "Month": "Месяц",
    "Quarter": "Квартал",
    "Year": "Год",
    "Compared with {period}": "В сравнении с периодом: {period}",
    "Fresh": "Свежие",
    "Old": "Устарели",
    "{verdict}: as of {moment}, {age}": "{verdict}: на {moment}, {age}",
    "Checks passed: {passed}": "Проверки пройдены: {passed}",
    "Checks passed: {passed}, warnings: {failed}": "Проверки пройдены: {passed}, предупреждений: {failed}",
    "Published although checks failed: {failed}, by {by}": (
        "Опубликовано, хотя проверок не пройдено: {failed}; решение: {by}"
    ),
    "Details": "Подробнее",
    "Release": "Выпуск",
    "Figures as of": "Показатели на",
    "Known at": "Данные получены до",
    "Published at": "Опубликован",
    "Checks of the data read": "Проверки полученных данных",
    "Checks of the figures": "Проверки показателей",
    "Published all the same": "Опубликовано несмотря на",
    "{passed} passed, {failed} failed, {errored} errored": (
        "пройдено {passed}, не пройдено {failed}, с ошибкой {errored}"
    ),
    "Checks that were not passed": "Непройденные проверки",
    "Table": "Таблица",
    "Expectation": "Ожидание",
    "Observed": "Найдено",
    "Expected": "Ожидалось",
    "Target": "План",
    "No target is set": "План не задан",
    "{share} of the target {target}": "{share} от плана {target}",
    "Target {target}": "План {target}",
    "Pace {share}": "Темп {share}",
    "Pace: what there is, as a part of what is usual by this working day for the target.": (
        "Темп: доля от того, что к этому рабочему дню обычно нужно для плана."
    ),
    "Rests on {count} deals, leads or customers.": "Основано на сделках, лидах или клиентах: {count}.",
    "Lines: the last {count} periods. Dashed: the target. Ring: a period that goes on.": (
        "Линия — последние периоды, {count}. Пунктир — план. Кольцо — период, который идёт."
    ),
    "{kpi} of {whose}, {periods}": "{kpi}: {whose}, {periods}",
    "Value": "Значение",
    "Where to look": "На что обратить внимание",
    "The lowest score first: the sum of the scorecard, where 100 % is every target reached.": (
        "Сначала самая низкая оценка: итог карты показателей, где 100 % — все планы выполнены."
    ),
    "The lowest score so far first: 100 % is every target of the whole period reached.": (
        "Сначала самая низкая оценка на сегодня: 100 % — все планы всего периода выполнены."
    ),
    "By name, as no scorecard of this period has a score.": (
        "По названию: ни у одной карты показателей за этот период нет оценки."
    ),
    "Score": "Оценка",
    "Who": "Кто",
    "{whose} has no figures in {period}.": "Показателей нет: {whose}, {period}.",
    "The address asks for {asked}, which this release does not have. What is shown is {shown}.": (
        "В адресе указано {asked}, но в этом выпуске этого нет. Показано: {shown}."
    ),
    "Reading the figures …": "Читаем показатели …",
    "There is no release yet": "Выпуска ещё нет",
    "Figures appear here by themselves as soon as the first run has published them.": (
        "Показатели появятся здесь сами, как только первый запуск их опубликует."
    ),
    "Whoever looks after the pipeline makes the first one with:": (
        "Тот, кто отвечает за загрузку, делает первый выпуск так:"
    ),
    "The folder that the figures are read from is not there: {home}. Is KPIMART_HOME that of the run?": (
        "Папки, из которой читаются показатели, нет: {home}. Совпадает ли KPIMART_HOME с тем, что у запуска?"
    ),
    "The release holds nothing yet: no deal, lead or activity has happened.": (
        "В выпуске пока ничего нет: ни сделок, ни лидов, ни действий."
    ),
    "The figures cannot be shown now": "Показатели сейчас нельзя показать",
    "As soon as another release is served, it is shown here. Tell whoever looks after the pipeline:": (
        "Как только появится другой выпуск, он будет показан здесь. Сообщите тому, кто отвечает за загрузку:"
    ),
    "Try again": "Попробовать снова",
    # ------------------------------------------------------------------------------------- the catalogue and the gate
    "Catalogue": "Каталог",
    "Search by name, formula or owner": "Поиск по названию, формуле или ответственному",
    "No KPI has {asked} in its name, formula or owner.": (
        "Ни в названии, ни в формуле, ни в ответственном нет {asked}."
    ),
    "What it tells": "Что показывает",
    "Clock": "Часы",
    "Unit": "Единица",
    "Who answers for it": "Кто отвечает",
    "Who is measured by it": "Кого по нему оценивают",
    "Code": "Код",
    "Clock: the moment that says in which period something counts.": (
        "Часы: момент, по которому событие относится к периоду."
    ),
    "Who is measured: whose scorecards of the last month have it, of those that you see.": (
        "Кого оценивают: в чьих картах показателей за последний месяц он есть, из тех, что вам видны."
    ),
    "assigned": "назначен",
    "the company": "компания",
    "departments {count}": "отделов {count}",
    "managers {count}": "менеджеров {count}",
    "when it happened": "когда произошло",
    "when it was created": "когда создано",
    "when it was won": "когда выиграно",
    "when the customer was lost": "когда потерян клиент",
    "the last day of the period": "последний день периода",
    "the whole period": "весь период",
    "Quality": "Качество",
    "Releases": "Выпуски",
    "Verdict": "Вердикт",
    "Checks: passed / failed / errored. A release without figures is made anew by kpimart run.": (
        "Проверки: пройдено / не пройдено / с ошибкой. Выпуск без показателей заново делает kpimart run."
    ),
    "overridden by {by}": "опубликовано несмотря на отказ; решение: {by}",
    "passed, with warnings": "пройдено, с предупреждениями",
    "passed": "пройдено",
    "failed": "не пройдено",
    "errored": "с ошибкой",
    "served": "показывается",
    "without figures": "без показателей",
    "All checks of these releases were passed.": "Все проверки этих выпусков пройдены.",
    "Judged at": "Проверено",
    "Boundary": "Граница",
    "Severity": "Важность",
    "Outcome": "Итог",
    "data read": "полученные данные",
    "figures": "показатели",
    "critical": "критично",
    "warning": "предупреждение",
    "info": "к сведению",
    "Set aside": "Отложено",
    "Batch": "Пакет",
    "Source": "Источник",
    "Landed at": "Получен",
    "Rows read": "Прочитано строк",
    "New versions": "Новых версий",
    "The records that were set aside, and why: kpimart quarantine.": (
        "Отложенные записи и причины: kpimart quarantine."
    ),
    "What changed": "Что изменилось",
    "There is one release so far, and nothing to compare it with.": "Пока выпуск один, сравнить его не с чем.",
    "From": "С",
    "To": "По",
    "Show what changed": "Показать, что изменилось",
    "Figures that changed: {figures}; entries of the ledger behind them: {entries}.": (
        "Изменилось показателей: {figures}; записей журнала за ними: {entries}."
    ),
    "Entries": "Записей",
    "The largest of them": "Крупнейшая из них",
    "All of them: kpimart diff {before} {after} --all": "Все изменения: kpimart diff {before} {after} --all",
    "nothing within its period": "внутри периода ничего",
    "recorded": "записано",
    "happened": "произошло",
    "no longer there": "больше нет",
    # -------------------------------------------------------------------------------------------- the budget workbook
    "Notes": "О файле",
    "Budget": "Бюджет",
    "Plan and fact": "План и факт",
    "Drivers": "Драйверы",
    "Scenarios": "Сценарии",
    "Audit": "Происхождение",
    "Budget {year}": "Бюджет {year}",
    "NAME": "ИМЯ",
    "{year}": "{year}",
    "{year}, fact and forecast": "{year}, факт и прогноз",
    "Forecast {year}": "Прогноз {year}",
    "low, 80 %": "нижняя граница, 80 %",
    "high, 80 %": "верхняя граница, 80 %",
    "Plan in force": "Действующий план",
    "Budget: type here": "Бюджет: вводите здесь",
    "± plan": "± к плану",
    "± last year": "± к прошлому году",
    "± forecast": "± к прогнозу",
    "Does not add up by": "Не сходится на",
    "A number of 0 or more, please.": "Введите число не меньше 0.",
    "A whole number of 0 or more, please.": "Введите целое число не меньше 0.",
    "Last year, forecast with its interval, plan and budget: the figures stand on the left.": (
        "Прошлый год, прогноз с интервалом, план и бюджет; значения — слева."
    ),
    "{year} through {month}": "{year} по {month}",
    "Plan": "План",
    "Fact of the months that are over": "Факт завершённых месяцев",
    "Forecast of the rest": "Прогноз остатка",
    "Outlook": "Ожидаемый итог",
    "of the plan": "выполнение плана",
    "Last year": "Прошлый год",
    "Leads": "Лиды",
    "Deals won per lead": "Побед на лид",
    "Amount per won deal": "Сумма на победу",
    "Won deals": "Выигранные сделки",
    "Forecast of won amount": "Прогноз выигранной суммы",
    "{whole}, directly": "{whole}, напрямую",
    "Forecast": "Прогноз",
    "Managers now": "Менеджеров сейчас",
    "Managers planned": "Менеджеров по плану",
    "Change of prices": "Изменение цен",
    "Base scenario": "Базовый сценарий",
    "Low scenario": "Нижний сценарий",
    "High scenario": "Верхний сценарий",
    "Budget ± base scenario": "Бюджет ± к базовому",
    (
        "The interval of the company is narrower than those of its departments together: not all are low at once. Its "
        "low and high scenarios move as its base scenario does."
    ): (
        "Интервал компании уже, чем интервалы отделов вместе: не все отделы сразу на нижней границе. Её нижний и "
        "верхний сценарии сдвигаются так же, как базовый."
    ),
    "Release {release}: figures as of {as_of}, as known at {known_at}. Check it: kpimart verify {release}": (
        "Выпуск {release}: показатели на {as_of}, как известно на {known_at}. Проверить: kpimart verify {release}"
    ),
    "Cell": "Ячейка",
    "Figure": "Значение",
    "What it is": "Что это",
    "Formula": "Формула",
    "Shown by": "Показать командой",
    "the target in force": "действующий план",
    "fact of the months that are over, forecast of {origin} for the others": (
        "факт завершённых месяцев, для остальных прогноз на {origin}"
    ),
    "none": "нет",
    "fact": "факт",
    "Vintage of the forecast": "Прогноз сделан на",
    "no forecast": "прогноза нет",
    "Made by": "Составлено программой",
    "Check the release with": "Проверить выпуск",
    "Read this workbook back with": "Прочитать этот файл",
    "Sheets": "Листы",
    "a cell to type in": "ячейка для ввода",
    (
        "Type in the yellow cells of the sheet «Budget» only: months, quarters or the year, departments or the "
        "company. What is left empty changes nothing."
    ): (
        "Вводите только в жёлтые ячейки листа «Бюджет»: месяцы, кварталы или год, отделы или компания целиком. Пустая "
        "ячейка ничего не меняет."
    ),
    (
        "A target of a quarter or a year goes to its months by the shares of the last years and by working days; that "
        "of a department to its managers by their last twelve months, seniority and working days. Sums hold to the "
        "cent."
    ): (
        "План квартала или года делится по месяцам по долям прошлых лет и рабочим дням; план отдела — по менеджерам: "
        "по их последним двенадцати месяцам, стажу и рабочим дням. Суммы сходятся до копейки."
    ),
    (
        "What is set below stands: the rest of a target goes to those for whom nothing is typed. The last column says "
        "where typed figures do not add up."
    ): (
        "Что задано для частей, не меняется: остаток плана получают те, для кого ничего не введено. Последний столбец "
        "показывает, где введённое не сходится."
    ),
    "«Drivers» and «Scenarios» are for trying out; to take a result over, type =, click its cell, and save in Excel.": (
        "«Драйверы» и «Сценарии» — для проб; чтобы взять результат в бюджет, введите =, щёлкните его ячейку и "
        "сохраните в Excel."
    ),
    (
        "Forecasts are those of the vintage named above; low and high are the ends of the interval that covers 80 % of "
        "outcomes."
    ): "Прогнозы — на день, названный выше; границы — интервала, который накрывает 80 % исходов.",
    "New managers reach full productivity in five months: {ramp} of it in the first months.": (
        "Новый менеджер выходит на полную производительность за пять месяцев: {ramp} в первые месяцы."
    ),
    (
        "The sheets are protected against slips, without a password. Sort and filter as you like; do not delete rows."
    ): "Листы защищены от случайных правок, без пароля. Сортируйте и фильтруйте свободно; строк не удаляйте.",
    # ----------------------------------------------------------------------------------------- leaderboard on the pages
    "Leaderboard": "Рейтинг",
    "Place": "Место",
    "Tied": "Делит место",
    "yes": "да",
    "Nobody has a place here. Places are given by month, quarter and year.": (
        "Мест здесь ни у кого нет. Места есть по месяцам, кварталам и годам."
    ),
    "Not shown, as too little is behind the figure: {count}": "Не показаны, за показателем мало данных: {count}",
    "Places are for everybody to see, figures for who answers for them.": (
        "Места видны всем, значения — тем, кто за них отвечает."
    ),
    # --------------------------------------------------------------------------------------------- finance on the pages
    "Finance": "Финансы",
    "The release has nothing that could be planned yet.": "В этом релизе ещё нечего планировать.",
    "Plan, fact, outlook": "План, факт, прогноз",
    "Fact": "Факт",
    "Outlook less plan": "Прогноз минус план",
    "By department": "По отделам",
    "year to date, {period}": "с начала года, {period}",
    "Why it is not the plan": "Почему не по плану",
    "What the year may come to": "Чем может закончиться год",
    "Of this KPI there is no forecast.": "По этому показателю прогноза нет.",
    "Low": "Низкий",
    "Base": "Базовый",
    "High": "Высокий",
    "Low and high are the ends of the interval in which 80 % of outcomes lie.": (
        "Низкий и высокий — границы интервала, в который попадают 80 % исходов."
    ),
    (
        "One month ahead forecasts of the last year were off by {error} (as a year before: {naive}); the interval held "
        "{held}."
    ): (
        "На месяц вперёд прогнозы последнего года ошибались на {error} (как год назад: {naive}); в интервал попало "
        "{held}."
    ),
    "Since the month was closed": "После закрытия месяца",
    "{month}: closed by {by} on release {release}": "{month}: закрыт, {by}, релиз {release}",
    "Plan a year": "Планирование года",
    "The workbook that a year is planned in; filled in, kpimart import budget takes it.": (
        "Книга, в которой планируют год; заполненную принимает kpimart import budget."
    ),
}


def said(english: str, language: Language, **values: object) -> str:
    """A phrase in a language, with its values filled in."""
    phrase = english if language == "en" else RUSSIAN[english]
    return phrase.format(**values)
