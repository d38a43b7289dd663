"""The audit log: who did what to whose data, checkable by outsiders with a public key alone."""
