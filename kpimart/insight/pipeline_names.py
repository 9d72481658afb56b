"""What the pipelines of a company are called, wherever a row has only their ids."""

import duckdb


def join_pipelines(relation: str, funnel_stage: str = "funnel_stage") -> str:
    """The rows of a relation, each with pipeline_name, a name that no other has, and is_one_of_several."""
    return f"""
        {relation}
        left join (
            select
                pipeline_id,
                case
                    when count(*) over (partition by min(pipeline_name)) = 1 then min(pipeline_name)
                    else min(pipeline_name) || ' (' || pipeline_id || ')'
                end as pipeline_name,
                count(*) over () > 1 as is_one_of_several
            from {funnel_stage}
            group by pipeline_id
        ) as pipelines using (pipeline_id)
    """


def count_pipelines(connection: duckdb.DuckDBPyConnection) -> int:
    """How many pipelines a release has."""
    found = connection.execute("select count(distinct pipeline_id) from funnel_stage").fetchall()
    count: int = found[0][0]
    return count
