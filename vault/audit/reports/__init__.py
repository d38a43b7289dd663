"""The log for people and for other programs: pages, charts, CSV, FHIR."""
