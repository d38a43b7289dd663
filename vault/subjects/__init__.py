"""Subjects: random ids, sealed identities, keyed references, pseudonyms."""
