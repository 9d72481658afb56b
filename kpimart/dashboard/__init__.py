"""The web pages: what the published release says, for people who do not type commands.

`serve` starts Streamlit, which runs `app` for every page that somebody opens and for everything they choose there.
`app` is the frame: it tells what is served (`served`, `verdict`) and runs the page that was asked for, of PAGES. A page
reads the release by DuckDB queries, each time anew, and keeps in its address what was chosen (`choices`).
"""
