"""What finance plans with: plan, fact and outlook, the budget workbook, and the targets that are read from it."""
