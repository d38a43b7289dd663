import pytest

from vault.genotypes.contigs import normal_contig


@pytest.mark.parametrize(
    ("name", "normal"),
    [
        ("22", "22"),
        ("chr22", "22"),
        ("Chr22", "22"),
        ("CHR1", "1"),
        ("chrX", "X"),
        ("x", "X"),
        ("chrM", "MT"),
        ("M", "MT"),
        ("MT", "MT"),
        ("chrMT", "MT"),
        ("chr", "chr"),
        ("chr1_KI270706v1_random", "1_KI270706v1_random"),
        ("GL000192.1", "GL000192.1"),
        ("HLA-A*01:01", "HLA-A*01:01"),
    ],
)
def test_normal_form(name, normal):
    assert normal_contig(name) == normal
    assert normal_contig(normal) == normal
