"""Pages as self-contained HTML, and their charts: no script, font or address."""
