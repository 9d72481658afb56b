"""The gate: the expectations of expectations/, run on raw batches going in and on the marts coming out."""
