"""Reports on the log, for readers and for other programs: HTML page, charts, CSV, FHIR."""
