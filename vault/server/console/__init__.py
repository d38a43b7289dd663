"""The console: pages for people who look rather than type, without scripts (docs/console.md)."""
