"""From a CRM into raw: one module a CRM, and what all of them share."""
