"""`make bench`: each benchmark, one after the other."""

from benchmarks import budget, dags, extraction, incremental, insight, postgres, publishing, run

run.main()
dags.main()
extraction.main()
incremental.main()
insight.main()
publishing.main()
budget.main()
postgres.main()
