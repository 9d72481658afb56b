"""The sheets of the budget workbook, a module a sheet. Every formula is written with the result that it must have."""
