import pytest
from airflow_instance import AIRFLOW, Airflow


@pytest.fixture(scope="session")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Airflow:
    airflow = Airflow(tmp_path_factory.mktemp("airflow"))
    airflow.command(AIRFLOW, "db", "migrate")
    airflow.command(AIRFLOW, "pools", "set", "kpimart_writer", "1", "one process writes the warehouse")
    return airflow
