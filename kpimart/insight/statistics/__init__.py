"""Tables that SQL carries badly: read from a build over Arrow, computed, and written back beside its models."""
