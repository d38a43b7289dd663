"""Bodies of extracts and releases."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from vault.access.own_releases import OwnRelease
from vault.server.bodies import Body

Recipients = Annotated[list[Annotated[str, Field(min_length=1, max_length=200)]], Field(max_length=100)]


class ExtractAsked(Body):
    """Format of an extract, and those of the project's recipients to whom it is sealed; without any to all of them."""

    file_format: Annotated[Literal["vcf", "bcf", "pgen", "parquet"], Field(alias="format")] = "vcf"
    layout: Literal["long", "wide"] = "long"
    recipients: Recipients = Field(default=[])


class ReleaseFile(Body):
    """A file: size in bytes, SHA-256 in hex, and where it is fetched."""

    name: str
    bytes: int
    sha256: str
    address: str


class ReleaseBody(Body):
    """A release of an own request (``vault.access.own_releases.OwnRelease``)."""

    release: str
    request: str
    state: Literal["waiting", "making", "ready", "expired", "stopped", "delivered", "refused", "failed"]
    created: str | None
    expires: str | None
    sealed_for: list[str]
    files: list[ReleaseFile]


class ReleasesBody(Body):
    """Releases of own requests."""

    releases: list[ReleaseBody]


def release_body(release: OwnRelease) -> ReleaseBody:
    """A release as its body."""
    place = f"/v1/releases/{release.release_id}/files"
    return ReleaseBody.model_validate(
        {
            "release": release.release_id,
            "request": release.request_id,
            "state": release.state,
            "created": release.created,
            "expires": release.expires,
            "sealed_for": list(release.sealed_for),
            "files": [
                {"name": one.name, "bytes": one.bytes, "sha256": one.sha256, "address": f"{place}/{one.name}"}
                for one in release.files
            ],
        }
    )
