"""Whose a row is: columns that tables of the company, departments and managers have in common."""

from kpimart.publish.contract.shape import VARCHAR, Column

ENTITY_KEYS = (
    Column("entity_key", VARCHAR, "'company', the department or the manager."),
    Column("department_id", VARCHAR, "Empty for the company and for managers.", nullable=True),
    Column("manager_id", VARCHAR, "Empty for the company and for departments.", nullable=True),
    Column("entity_name", VARCHAR, "Name of the company, the department or the manager."),
)
ENTITY = (Column("entity_level", VARCHAR, "company, department or manager."), *ENTITY_KEYS)
