"""genotypes"""
