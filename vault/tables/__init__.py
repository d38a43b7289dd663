"""Exact frequency tables of approved panels: what they would tell, and their answers."""
