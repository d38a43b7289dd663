"""Erasure of one subject: the job, the destroyed keys, private alleles, site tables, the signed certificate."""
