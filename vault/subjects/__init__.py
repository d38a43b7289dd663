"""Who the people are: random ids, sealed identities, keyed references, pseudonyms."""
