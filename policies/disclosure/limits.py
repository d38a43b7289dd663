"""Limits of a release, in the words of those who decide on it and of those who receive it: what it does not protect against."""

from __future__ import annotations

NOT_PROTECTED = (
    "Genotypes identify. Whoever has a person's genotypes from elsewhere can find that person's record, whatever it is called.",
    "Relatives are exposed with the person: half of a record is a parent's or a child's.",
    "Two recipients who put their records together can tell which are of one person, by the sites that both have.",
    "Places that are left out can be guessed from their neighbours, as far as these are inherited together.",
    "Allele frequencies worked out from the records, and published, can tell whether somebody took part.",
    "What has left cannot be called back: a withdrawal stops the next release, and recipients are asked to drop the person.",
    "What a vault counts is what it let out itself. It does not know what other sources say of the same people.",
)
"""Limits of every setting of the vault: attacks that none protects against, a sentence or two each."""
