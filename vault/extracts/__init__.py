"""A view as files that leave the vault: VCF, BCF and their index, README, signed manifest."""
