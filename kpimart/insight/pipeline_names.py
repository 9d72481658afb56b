"""What the pipelines of a company are called, wherever a row has only their ids."""

import duckdb


def join_pipelines(relation: str, funnel_stage: str = "funnel_stage") -> str:
    """The rows of a relation, each with pipeline_name and is_one_of_several.

    No other pipeline has the same name; one that has no name is called by its id. Rows without a pipeline have neither.
    """
    return f"""
        (
            select
                rows_of_pipelines.*,
                coalesce(pipelines.pipeline_name, rows_of_pipelines.pipeline_id) as pipeline_name,
                coalesce(pipelines.is_one_of_several, false) as is_one_of_several
            from {relation} as rows_of_pipelines
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
            ) as pipelines on rows_of_pipelines.pipeline_id = pipelines.pipeline_id
        ) as of_pipelines
    """


def count_pipelines(connection: duckdb.DuckDBPyConnection) -> int:
    """How many pipelines a release has."""
    found = connection.execute("select count(distinct pipeline_id) from funnel_stage").fetchall()
    count: int = found[0][0]
    return count
