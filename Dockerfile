# KPI Mart and Airflow in one image: what the scheduler starts runs in the scheduler's own environment.
FROM python:3.12-slim

RUN pip install --no-cache-dir "uv>=0.9"

WORKDIR /opt/kpimart
ENV AIRFLOW_HOME=/opt/airflow \
    HOME=/opt/airflow \
    # The container runs as a user without a name, and Airflow asks for one.
    USER=airflow \
    PATH=/opt/kpimart/.venv/bin:$PATH \
    UV_LINK_MODE=copy \
    UV_PYTHON_DOWNLOADS=never

# The dependencies first: they change seldom. The driver of Airflow's own database is needed in this image only.
COPY pyproject.toml uv.lock README.md ./
RUN uv sync --locked --no-dev --no-install-project \
    && uv pip install --no-cache "apache-airflow-providers-postgres==7.1.1"

COPY kpimart kpimart
COPY dbt_project dbt_project
COPY models models
COPY seeds seeds
COPY expectations expectations
COPY tests/dbt tests/dbt
COPY dags dags
COPY CHANGELOG.md .
RUN uv sync --locked --no-dev --inexact

# Any user of group 0 may write here, so that files in var/ can belong to whoever started it.
RUN mkdir -p /opt/airflow var && chmod -R g=u /opt/airflow var
