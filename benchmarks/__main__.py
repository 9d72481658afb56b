"""`make bench`: each benchmark, one after the other."""

from benchmarks import extraction, run

run.main()
extraction.main()
