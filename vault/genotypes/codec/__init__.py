"""Genotype calls to bytes and back, pure and frozen: call codes, site coding, blocks, packed calls, allele counts."""
