"""Disclosure by counts and presence: noise, its price, budgets and cells. Pure."""
