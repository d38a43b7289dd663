"""Primitives, sealed blobs, keystore, key wrapping; the only importer of cryptography and argon2."""
