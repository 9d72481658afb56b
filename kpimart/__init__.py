"""Sales KPIs from a CRM: extracted, modelled, judged, published."""
