"""Every limit in one place, each with its unit and its reason."""

from __future__ import annotations

CHUNK_SITES = 16_384  # sites in a chunk: large enough that a 16-byte tag per block is noise, small enough to decode in 40 ms
GROUP_SUBJECTS = 4_096  # subjects in one container: bounds the length table that a single-subject read must open (16 KiB)
MAX_ALTS = 255  # ALT alleles of one site; more is a malformed or hostile file
MAX_LINE_BYTES = 64 * 2**20  # one VCF line: 50,000 samples x ~1 KiB of FORMAT fields
MAX_HEADER_BYTES = 64 * 2**20  # a VCF header: 500,000 sample names of 100 bytes
MAX_SAMPLES = 1_000_000  # samples in one file
MAX_POSITION = 2**31 - 2  # largest position htslib's BCF can hold
MAX_ALLELE_BYTES = 1 << 20  # one REF or ALT string
MAX_PLOIDY = 8  # alleles in one GT

MAX_PGEN_BYTES = 2 * 2**30  # one .pgen of an extract, which takes twice its size in memory: 50 billion calls at a third of a bit
MAX_WIDE_SITES = 4_096  # sites of a table with a column for each: readers look at the description of all

MAX_AUDIT_LEAF_BYTES = 65_535  # c2sp.org/tlog-tiles: u16 entry length
MAX_NOTE_BYTES = 1 << 20  # a signed note; must accept at least 16 signatures
MAX_KEYSTORE_BYTES = 1 << 20  # docs/design/keys.md §4
MAX_SLOTS = 32  # docs/design/keys.md §4
MAX_ARGON2_KIB = 2 * 2**20  # 2 GiB, RFC 9106's first choice; docs/design/keys.md §10: checked before the function runs
MAX_ARGON2_TIME = 20
MAX_ARGON2_LANES = 16
MAX_ARGON2_WORK_KIB = 3 * 2**20  # memory x passes of one slot: some seconds at most
MAX_UNLOCK_WORK_KIB = 6 * 2**20  # of all slots that one unlock tries: 32 of the default cost
MIN_ARGON2_WORK_KIB = 38 * 2**10  # memory x passes of a new slot: OWASP's least, 19 MiB twice
MAX_KEK_WRAPS = 3_800_000_000  # hard stop below 2^32 random 96-bit nonces under one key (docs/design/keys.md §7)
ALARM_KEK_WRAPS = 1_000_000_000

MAX_SHEET_BYTES = 256 * 2**20  # SHEET.csv, ANSWERS.csv: 100,000s of rows
MAX_SHEET_LINES = 2_000_000  # a row for each of a million people, some with line breaks in a field
MAX_SHEET_COLUMNS = 1_000  # a form has some dozens of questions
MAX_SHEET_RECORD_CHARS = 1 << 20  # one row of all columns
MAX_SHEET_PROBLEMS = 10_000  # after so many the rest of a sheet is not looked at
MAX_SHEET_FIELD_CHARS = 10_000  # one CSV field
MAX_YAML_BYTES = 1 << 20  # PROJECT.yaml, a form
MAX_YAML_DEPTH = 50  # fields in fields; a form has six
MAX_EVIDENCE_BYTES = 1 << 30  # one scanned or recorded consent, of which the digest is kept
MAX_SETTINGS_BYTES = 1 << 20  # vault.json: places of databases and some anchors
MAX_PANEL_LOCI = 1_000_000  # a panel is a few loci to a whole array
MAX_REGIONS = 100_000  # regions of one request
MAX_COUNTED_ALLELES = 1_000  # alleles of one question for counts: more than any budget covers
