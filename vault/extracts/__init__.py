"""A view as files that leave the vault: VCF and BCF with their index, PGEN, Parquet, README, LIMITS, signed manifest."""
