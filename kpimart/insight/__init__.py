"""What lies behind the figures: reads the insight tables of a release, and computes those that SQL should not."""
