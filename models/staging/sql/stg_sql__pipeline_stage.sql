-- One row per stage that the mapping names, with its outcome.
{{ mapped_pipeline_stage('sql') }}
