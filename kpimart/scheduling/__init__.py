"""The edge towards Airflow: what the tasks of the DAGs call, which failures are tried again, who is told of what.

Importing any module here loads Airflow's task SDK and nothing that works: the DAG files are read all the time.
"""
