"""`make bench`: each benchmark, one after the other."""

from benchmarks import extraction, incremental, run

run.main()
extraction.main()
incremental.main()
