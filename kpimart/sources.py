"""The sources that there are. Loads nothing, so that a DAG file may offer them."""

from typing import Literal, get_args

SourceName = Literal["files", "sql", "hubspot", "salesforce", "pipedrive", "bitrix24", "amocrm", "odoo", "tryton"]
SOURCE_NAMES: tuple[str, ...] = get_args(SourceName)
