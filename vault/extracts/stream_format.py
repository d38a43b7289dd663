"""Formats of streams, apart from their writers, which load kernels."""

from __future__ import annotations

from enum import StrEnum


class StreamFormat(StrEnum):
    """Format of a stream, by htsget's name."""

    VCF = "VCF"
    BCF = "BCF"
