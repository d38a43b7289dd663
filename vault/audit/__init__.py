"""Who did what: entries, tree, checkpoints, receipts, reports; verified offline without the writer's code."""
