"""What a release would tell of its people, measured before it is approved (docs/design/disclosure.md §15)."""
