"""Projects, requests, rulings, limits of a release, releases, and the accounting of disclosures."""
