"""Which code made a release."""

import os
import subprocess
from importlib import metadata

from kpimart.paths import PROJECT


def code_version() -> str:
    """The package's version and, in a checkout, its commit: `0.1.0+4f2a9c01b7de`, with `-dirty` when files changed."""
    version = metadata.version("kpimart")
    commit = _commit() if (PROJECT / ".git").exists() else ""
    return f"{version}+{commit}" if commit else version


def _commit() -> str:
    # Variables that git sets for its hooks would point at whatever repository is being committed to.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = ["git", "-C", str(PROJECT), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        answer = subprocess.run(  # noqa: S603 - the command is made of constants
            command, env=environment, capture_output=True, text=True, timeout=5, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout.strip() if answer.returncode == 0 else ""
