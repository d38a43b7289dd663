"""README.txt of a release: what the folder holds, what its reader owes, and how to check it without our software."""

from __future__ import annotations

from vault.crypto.crypt4gh_keys import public_key_armour
from vault.extracts.manifest import Manifest, Sealing
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

_UNSEAL = """\
How to read the sealed files
----------------------------
Files whose names end in .c4gh are sealed (Crypt4GH) for these keys, and for nobody else:

@READERS@

With the private key of one of them, and the program crypt4gh of PyPI or another that reads the format:

    for file in *.c4gh; do crypt4gh decrypt --sk KEY.sec --sender_pk vault.pub < "$file" > "${file%.c4gh}"; done

vault.pub is a file with these three lines, the key that the vault seals with:

@WRITER@
Crypt4GH does not notice a missing end, nor parts that changed places. The manifest does: check the opened files too.

    jq -r '.manifest.files[] | select(.plain) | .plain.sha256 + "  " + (.name | rtrimstr(".c4gh"))' manifest.json |
        sha256sum --check

"genovault release verify manifest.json --key KEYS --sk KEY.sec" does both without writing what it opens.
"""


def readme_text(manifest: Manifest, *, indexed: bool = True) -> str:
    """The text. It depends on everything but ``manifest.files``, so that README.txt can be one of them.

    ``indexed``: the genotypes are in a format that htslib indexes.
    """
    title = printable(f"Release {manifest.release} of project {manifest.project}")
    panel = [f"panel {manifest.loci.panel}, version {manifest.loci.panel_version}"] if manifest.loci.panel else []
    loci = ", ".join([*panel, *manifest.loci.regions[:5]])
    more = len(manifest.loci.regions) - 5
    counts = manifest.counts
    fewest = 1 if manifest.view is None else manifest.view.min_carriers
    lost = ", ".join(f"{name}: {count}" for name, count in manifest.losses.items() if count)
    facts = [
        ("What it is", manifest.label),
        *(
            [("Replaces", f"release {manifest.replaces}, without those who may not be in it any more")]
            if manifest.replaces
            else []
        ),
        ("Purpose", manifest.purpose),
        ("For", ", ".join(manifest.recipients) or "the project's people"),
        ("Dataset", f"{manifest.dataset}, assembly {manifest.assembly}"),
        ("Loci", loci + (f" and {more} more" if more > 0 else "")),
        ("Size", f"{counts.subjects:,} people, {counts.sites:,} sites, {counts.not_assayed:,} loci of the panel not assayed"),
        *(
            [
                (
                    "Not shown",
                    f"sites with an allele of fewer than {fewest} of these people: they are left out, or missing for everybody",
                )
            ]
            if fewest > 1
            else []
        ),
        *([("Changed", f"calls that the format has no room for: {lost}")] if lost else []),
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
            "LIMITS.txt says what the release does not protect against.",
            'A missing call ("./.") is unknown or withheld. It is never the reference genotype.',
            *(["Another index is made with tabix -p vcf (TBI) or bcftools index (CSI)."] if indexed else []),
            "",
            "What you owe",
            "------------",
            *duties,
            "Data that you derive from this carries the same duties. When somebody in it withdraws, the stewards send a notice",
            "that names the pseudonym and what to do by when; genovault release check-notice FILE --key KEYS checks it.",
            "",
            *([] if manifest.crypt4gh is None else [_unseal(manifest.crypt4gh)]),
            _CHECKS,
        ]
    )


def _unseal(sealing: Sealing) -> str:
    readers = [printable(f"* {one.name}: SHA-256 {one.fingerprint}") for one in sealing.recipients]
    return _UNSEAL.replace("@READERS@", "\n".join(readers)).replace("@WRITER@", public_key_armour(bytes.fromhex(sealing.writer)))
