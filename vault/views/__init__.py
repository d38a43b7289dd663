"""De-identification, pure: what of the permitted calls is shown."""
