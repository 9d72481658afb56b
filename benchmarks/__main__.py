"""`make bench`: each benchmark, one after the other."""

from benchmarks.run import main

main()
