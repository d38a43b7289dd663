"""README.txt of a release: what the folder holds, what its reader owes, and how to check it without our software."""

from __future__ import annotations

from vault.extracts.manifest import Manifest
from vault.files.plain_text import printable

_CHECKS = """\
How to check this folder
------------------------
With genovault; KEYS is a file with the keys that the vault's stewards gave you by another way than this folder
(they print them with "genovault release key"):

    genovault release verify manifest.json --key KEYS

Without it, with jq, coreutils and OpenSSL 3. Is every file whole and the one that was released?

    jq -r '.manifest.files[] | .sha256 + "  " + .name' manifest.json | sha256sum --check

Is the manifest signed by the vault? KEY is the release key that the stewards gave you by another way than this
folder; it must be the one that the manifest names:

    jq -r .signature.key manifest.json

    KEY='...'
    printf 'genovault/manifest/v1\\n' > signed && jq -cjS .manifest manifest.json >> signed
    jq -r .signature.ed25519 manifest.json | base64 -d > signature
    { printf '302a300506032b6570032100' | xxd -r -p; printf %s "$KEY" | cut -d+ -f3- | base64 -d | tail -c 32; } > key.der
    openssl pkeyutl -verify -pubin -keyform DER -inkey key.der -rawin -in signed -sigfile signature

manifest.json.tlog-proof shows that this release is in the vault's audit log (c2sp.org/tlog-proof).
"""


def readme_text(manifest: Manifest) -> str:
    """The text. It depends on everything but ``manifest.files``, so that README.txt can be one of them."""
    title = printable(f"Release {manifest.release} of project {manifest.project}")
    panel = [f"panel {manifest.loci.panel}, version {manifest.loci.panel_version}"] if manifest.loci.panel else []
    loci = ", ".join([*panel, *manifest.loci.regions[:5]])
    more = len(manifest.loci.regions) - 5
    counts = manifest.counts
    facts = [
        ("What it is", manifest.label),
        ("Purpose", manifest.purpose),
        ("For", ", ".join(manifest.recipients) or "the project's people"),
        ("Dataset", f"{manifest.dataset}, assembly {manifest.assembly}"),
        ("Loci", loci + (f" and {more} more" if more > 0 else "")),
        ("Size", f"{counts.subjects} people, {counts.sites} sites, {counts.not_assayed} loci of the panel not assayed"),
        ("Made", f"{manifest.created:%Y-%m-%d %H:%M} UTC"),
        ("Use until", f"{manifest.expires:%Y-%m-%d}" if manifest.expires else "no day set; the project's end binds"),
    ]
    duties = [printable(f"* {duty.text} ({duty.code})") for duty in manifest.obligations]
    return "\n".join(
        [
            title,
            "=" * len(title),
            "",
            *(f"{name + ':':<12}{printable(value)}" for name, value in facts),
            "",
            "These are genotypes of real people under pseudonyms. Genotypes identify: this is personal data, never anonymous.",
            'A missing call ("./.") is unknown or withheld. It is never the reference genotype.',
            "Another index is made with tabix -p vcf (TBI) or bcftools index (CSI).",
            "",
            "What you owe",
            "------------",
            *duties,
            "Data that you derive from this carries the same duties.",
            "",
            _CHECKS,
        ]
    )
