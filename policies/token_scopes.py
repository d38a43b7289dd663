"""Scopes of an access token: what whoever shows it to a server may do there."""

from __future__ import annotations

from enum import StrEnum


class TokenScope(StrEnum):
    """Acts that a token is good for; none implies another."""

    READ = "read"  # own projects, panels and requests
    ENGINE = "engine"  # genotypes of panels, counts, matching
    STREAM = "stream"  # htsget
    REQUEST = "request"  # ask for records, and take that back
    EXTRACT = "extract"  # have a request's records made
    DOWNLOAD = "download"  # fetch them, and acknowledge notices
