"""`make bench`: each benchmark, one after the other."""

from benchmarks import extraction, incremental, postgres, publishing, run

run.main()
extraction.main()
incremental.main()
publishing.main()
postgres.main()
