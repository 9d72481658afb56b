"""The frame that Streamlit runs: what is served, the strip that is always in sight, and the page that was asked for."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import duckdb
import streamlit as st
from streamlit.navigation.page import StreamlitPage

from kpimart.dashboard.access import Sight, sight, signed_in
from kpimart.dashboard.catalogue import catalogue
from kpimart.dashboard.choices import asked_language, choose_language
from kpimart.dashboard.department import department
from kpimart.dashboard.finance import finance
from kpimart.dashboard.leaderboard import leaderboard
from kpimart.dashboard.manager import manager
from kpimart.dashboard.overview import overview
from kpimart.dashboard.quality import quality
from kpimart.dashboard.served import Identity, identity, read_served
from kpimart.dashboard.verdict import show_verdict
from kpimart.dashboard.view import View
from kpimart.dashboard.words import Say, plain
from kpimart.errors import KpiMartError
from kpimart.language import Language, said
from kpimart.settings import Settings, load_settings
from kpimart.warehouse import open_database

# In the order in which they are offered. The name of one is its address and its title; the first is opened first.
PAGES: tuple[Callable[[View], None], ...] = (overview, department, manager, leaderboard, finance, quality, catalogue)
# Pages that tell of checks with the rows that failed them, and of files of the release.
FOR_WHO_SEES_ALL = frozenset({"quality"})
LOOKS_EVERY_SECONDS = 60
HERE = Path(__file__).parent


def main() -> None:
    """Everything from the top; Streamlit calls it again for whatever somebody does on the page."""
    language = asked_language()
    st.set_page_config(page_title="KPI Mart", page_icon=str(HERE / "icon.svg"), layout="wide")
    st.html(HERE / "style.css")
    try:
        _show_served(load_settings(), language)
    except KpiMartError as error:
        _show_failure(str(error), _saying(language))
    # Who has the page read aloud hears it in its language.
    st.html(f"<script>document.documentElement.lang = '{language}'</script>", unsafe_allow_javascript=True)


def _saying(language: Language) -> Say:
    return partial(said, language=language)


def _show_served(settings: Settings, language: Language) -> None:
    """What is served now; one that was replaced, or removed, while it was read is no failure: there is another one."""
    login = None
    if settings.dashboard.has_sign_in:
        login = signed_in(settings.dashboard)
        if login is None:
            _show_sign_in(settings, language)
            return
    seen = identity(settings.home)
    try:
        served = read_served(settings.home)
        _show(settings, sight(settings, served, login) if served else None, seen, login, language)
    except (KpiMartError, duckdb.Error) as error:
        if identity(settings.home) != seen:
            st.rerun()
        _show_failure(str(error), _saying(language))
        _follow(settings.home, seen, None)


def _show_sign_in(settings: Settings, language: Language) -> None:
    say = _saying(language)
    with st.container(key="strip", horizontal=True):
        choose_language(language, say)
    with st.container(key="sign-in"):
        st.title(say("Sign in to see your figures"), anchor=False)
        if settings.dashboard.has_oidc:
            st.button(say("Sign in"), type="primary", on_click=st.login)
        else:
            st.write(say("The proxy in front of these pages named nobody. Tell whoever looks after it."))


def _show(
    settings: Settings, sight: Sight | None, seen: Identity | None, login: str | None, language: Language
) -> None:
    say = _saying(language)
    view = View(settings, sight, language, say) if sight else None
    with st.container(key="strip", horizontal=True, vertical_alignment="center"):
        _follow(settings.home, seen, view)
        choose_language(language, say)
        if login and settings.dashboard.has_oidc:
            st.button(say("Sign out"), type="tertiary", help=plain(login), on_click=st.logout)
    if view is None:
        _show_emptiness(settings.home, say)
        return
    if not view.sight.sees_all and not view.sight.scope:
        st.info(say("{login} sees no figures yet. Ask whoever looks after the pipeline.", login=plain(login or "")))
        return
    # While one connection is there, DuckDB opens the others of the page to the same file in no time.
    with open_database(view.served.release.database):
        _offer_pages(view).run()


def _offer_pages(view: View) -> StreamlitPage:
    """The links to the pages; returns the one that is open."""
    pages = [
        st.Page(
            partial(page, view),
            title=view.say(page.__name__.capitalize()),
            url_path=page.__name__,
            default=page is PAGES[0],
        )
        for page in PAGES
        if view.sight.sees_all or page.__name__ not in FOR_WHO_SEES_ALL
    ]
    opened = st.navigation(pages, position="hidden")
    # Streamlit's own links would drop from the address what was chosen.
    with st.container(key="pages", horizontal=True):
        for page in pages:
            st.page_link(page, query_params=st.query_params.to_dict())
    return opened


@st.fragment(run_every=LOOKS_EVERY_SECONDS)
def _follow(home: Path, seen: Identity | None, view: View | None) -> None:
    """The verdict on what is shown, renewed every minute; another release is taken up by all of the page."""
    if identity(home) != seen:
        st.rerun()
    if view:
        with st.container(key="verdict", horizontal=True, vertical_alignment="center"):
            show_verdict(view)


def _show_emptiness(home: Path, say: Say) -> None:
    st.title(say("There is no release yet"), anchor=False)
    if not home.exists():
        st.warning(
            say(
                "The folder that the figures are read from is not there: {home}. Is KPIMART_HOME that of the run?",
                home=plain(str(home.absolute())),
            )
        )
    st.write(say("Figures appear here by themselves as soon as the first run has published them."))
    st.write(say("Whoever looks after the pipeline makes the first one with:"))
    st.code("kpimart run", language="bash")


def _show_failure(told: str, say: Say) -> None:
    st.error(say("The figures cannot be shown now"), icon=":material/error:")
    st.write(say("As soon as another release is served, it is shown here. Tell whoever looks after the pipeline:"))
    st.code(told, language=None, wrap_lines=True)
    st.button(say("Try again"))


main()
