"""Storage: SQL models and engines, migrations, the object store. Holds sealed bytes only and knows no key."""
