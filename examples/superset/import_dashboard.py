"""Import the dashboard of this folder into Superset, over the database of a SQLAlchemy URI.

Run by the Python of Superset's environment, with the variables that Superset itself is run with:

    python import_dashboard.py 'duckdb:////data/reporting/reporting.duckdb?access_mode=read_only'
    python import_dashboard.py 'postgresql://olga:PASSWORD@db.example.com:5432/figures'

A dashboard that is there already becomes that of this folder.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from zipfile import ZipFile

BUNDLE = Path(__file__).parent / "bundle"
URI = "postgresql://localhost/figures"
"""What stands in the bundle for the database."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("uri", help="where the figures are, as SQLAlchemy writes it")
    parser.add_argument("--username", default="admin", help="who in Superset owns the dashboard (%(default)s)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bundle = Path(folder) / "bundle.zip"
        with ZipFile(bundle, "w") as packed:
            for path in sorted(BUNDLE.rglob("*.yaml")):
                text = path.read_text(encoding="utf-8").replace(URI, arguments.uri)
                packed.writestr(str(path.relative_to(BUNDLE.parent)), text)
        superset = Path(sys.executable).with_name("superset")
        command = [superset, "import-dashboards", "--path", bundle, "--username", arguments.username]
        return subprocess.run(command, check=False).returncode  # noqa: S603 - the program beside this Python


if __name__ == "__main__":
    sys.exit(main())
