"""Who may ask for what, under which limits, and what was released."""
