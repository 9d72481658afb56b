"""The PostgreSQL target: the served release as tables of one schema, for BI tools and many users."""
