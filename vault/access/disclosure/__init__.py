"""Counts and presence: what is asked, budgets, raises, and stored answers."""
