# KPI Mart and Airflow in one image: what a task needs is where Airflow runs it.
#
# Any base will do that has apt, pip and a Python which pyproject.toml admits. Everything else comes from PyPI, as uv.lock
# names it.
ARG PYTHON_IMAGE=python:3.12.12-slim-trixie

# ---------------------------------------------------------------------------------------------------------------- build
FROM ${PYTHON_IMAGE} AS build

# A distribution's own Python wants to be left alone; in this stage it is nobody else's.
ENV PIP_BREAK_SYSTEM_PACKAGES=1 \
    UV_COMPILE_BYTECODE=1 \
    UV_LINK_MODE=copy \
    UV_PYTHON_DOWNLOADS=never
RUN pip install --no-cache-dir uv==0.13.9

WORKDIR /opt/kpimart
# The dependencies first: they change seldom.
COPY pyproject.toml uv.lock README.md ./
RUN uv sync --locked --no-dev --all-extras --no-install-project --no-cache

COPY kpimart kpimart
COPY dbt_project dbt_project
COPY models models
COPY seeds seeds
COPY expectations expectations
COPY tests/dbt tests/dbt
COPY dags dags
COPY CHANGELOG.md ./
COPY compose/airflow-init compose/airflow-init
RUN uv sync --locked --no-dev --all-extras --no-cache

# ------------------------------------------------------------------------------------------------------------------ run
FROM ${PYTHON_IMAGE}

COPY --from=build /opt/kpimart /opt/kpimart
WORKDIR /opt/kpimart

# Whoever the containers run as, of group 0, may write here; a volume that is new takes the folder's rights over.
RUN mkdir -p var backups /opt/airflow/logs && chmod -R g=u var backups /opt/airflow

# The user has a number and no name, which Airflow asks for.
USER 1000:0
ENV AIRFLOW_HOME=/opt/airflow \
    HOME=/opt/airflow \
    USER=airflow \
    PATH=/opt/kpimart/.venv/bin:$PATH
