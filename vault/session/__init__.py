"""An unlocked vault: one principal's keys, the databases, the writing side of the log."""
