"""`make bench`: each benchmark, one after the other."""

from benchmarks import budget, dags, dashboard, extraction, forecast, incremental, insight, postgres, publishing, run

run.main()
dags.main()
extraction.main()
incremental.main()
insight.main()
forecast.main()
publishing.main()
budget.main()
postgres.main()
dashboard.main()
