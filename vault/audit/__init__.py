"""The audit log: entries, Merkle tree, checkpoints, receipts, reports; an offline verifier without the writer's code."""
