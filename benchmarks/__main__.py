"""`make bench`: each benchmark, one after the other."""

from benchmarks import extraction, incremental, postgres, run

run.main()
extraction.main()
incremental.main()
postgres.main()
