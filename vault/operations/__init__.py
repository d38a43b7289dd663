"""A vault as a whole: create, open, check, repair, copy, re-key, erase; every job is resumable."""
