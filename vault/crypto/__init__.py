"""Keys: primitives, sealed blobs, the keystore, and custody of per-subject keys. The only importer of third-party cryptography."""
