"""The commands of `kpimart kpi` that say what moved, why, and where it leaks."""

import typer

commands = typer.Typer()
