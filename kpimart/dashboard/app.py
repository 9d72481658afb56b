"""The frame that Streamlit runs: what is served, the strip that is always in sight, and the page that was asked for."""

from pathlib import Path

import duckdb
import streamlit as st

from kpimart.dashboard.choices import asked_language, choose_language
from kpimart.dashboard.overview import overview
from kpimart.dashboard.quality import show_verdict
from kpimart.dashboard.served import Identity, Served, identity, read_served
from kpimart.dashboard.view import View
from kpimart.dashboard.words import Language, Say, plain, saying
from kpimart.errors import KpiMartError
from kpimart.settings import Settings, load_settings
from kpimart.warehouse import open_database

LOOKS_EVERY_SECONDS = 60
HERE = Path(__file__).parent


def main() -> None:
    """Everything from the top; Streamlit calls it again for whatever somebody does on the page."""
    language = asked_language()
    title = f"{saying(language)('overview')} · KPI Mart"
    st.set_page_config(page_title=title, page_icon=str(HERE / "icon.svg"), layout="wide")
    st.html(HERE / "style.css")
    try:
        _show_served(load_settings(), language)
    except KpiMartError as error:
        _show_failure(str(error), saying(language))
    # Who has the page read aloud hears it in its language.
    st.html(f"<script>document.documentElement.lang = '{language}'</script>", unsafe_allow_javascript=True)


def _show_served(settings: Settings, language: Language) -> None:
    """What is served now; one that was replaced, or removed, while it was read is no failure: there is another one."""
    seen = identity(settings.home)
    try:
        _show(settings, read_served(settings.home), seen, language)
    except (KpiMartError, duckdb.Error) as error:
        if identity(settings.home) != seen:
            st.rerun()
        _show_failure(str(error), saying(language))
        _follow(settings.home, seen, None)


def _show(settings: Settings, served: Served | None, seen: Identity | None, language: Language) -> None:
    say = saying(language)
    view = View(settings, served, language, say) if served else None
    with st.container(key="strip", horizontal=True, vertical_alignment="center"):
        _follow(settings.home, seen, view)
        choose_language(language, say)
    if view is None:
        _show_emptiness(settings.home, say)
        return
    page = st.Page(lambda: overview(view), title=say("overview"), url_path="overview", default=True)
    # While one connection is there, DuckDB opens the others of the page to the same file in no time.
    with open_database(view.served.release.database):
        st.navigation([page], position="top").run()


@st.fragment(run_every=LOOKS_EVERY_SECONDS)
def _follow(home: Path, seen: Identity | None, view: View | None) -> None:
    """The verdict on what is shown, renewed every minute; another release is taken up by all of the page."""
    if identity(home) != seen:
        st.rerun()
    if view:
        with st.container(key="verdict", horizontal=True, vertical_alignment="center"):
            show_verdict(view)


def _show_emptiness(home: Path, say: Say) -> None:
    st.title(say("no release"), anchor=False)
    if not home.exists():
        st.warning(say("no home", home=plain(str(home.absolute()))))
    st.write(say("first run"))
    st.write(say("run it"))
    st.code("kpimart run", language="bash")


def _show_failure(told: str, say: Say) -> None:
    st.error(say("failed"), icon=":material/error:")
    st.write(say("tell"))
    st.code(told, language=None, wrap_lines=True)
    st.button(say("try again"))


main()
