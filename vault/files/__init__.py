"""Files at the edge: CSV and YAML that people write, read strictly; writes that survive a crash."""
