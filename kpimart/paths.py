"""Where the parts of the project lie that are files people edit: it is installed from a checkout, beside its code."""

from pathlib import Path

PROJECT = Path(__file__).parent.parent
DBT_PROJECT = PROJECT / "dbt_project"
SEEDS = PROJECT / "seeds"
EXPECTATIONS = PROJECT / "expectations"
CHANGELOG = PROJECT / "CHANGELOG.md"
