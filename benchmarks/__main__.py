"""`make bench`: each benchmark, one after the other."""

from benchmarks import dags, extraction, incremental, postgres, publishing, run

run.main()
dags.main()
extraction.main()
incremental.main()
publishing.main()
postgres.main()
