import gzip

import pytest

from policies.errors import PolicyInputError
from policies.ontology import TermGraph
from tests.support.outside import shared


def test_ancestors_and_the_unknown():
    graph = TermGraph.parse("child\tparent\nA:1\tA:2\nA:2\tA:3\nA:1\tA_4\n", version="t")
    assert graph.ancestors("A:1") == {"A:2", "A:3", "A:4"}
    assert graph.ancestors("A:3") == frozenset()
    assert graph.ancestors("A:9") is None


@pytest.mark.parametrize("text", ["A:1\tA:1", "A:1\tA:2\nA:2\tA:1", "A:0\tA:1\nA:1\tA:2\nA:2\tA:3\nA:3\tA:1"])
def test_a_cycle_is_refused(text):
    with pytest.raises(PolicyInputError) as caught:
        TermGraph.parse(text, version="t")
    assert caught.value.code == "cyclic_ontology"


@pytest.mark.parametrize(("text", "code"), [("A:1", "bad_pair"), ("A:1\tA:2\tA:3", "bad_pair"), ("A:1\tx", "bad_disease")])
def test_bad_pairs(text, code):
    with pytest.raises(PolicyInputError) as caught:
        TermGraph.parse(text, version="t")
    assert caught.value.code == code


def test_mondo():
    text = gzip.decompress(shared("data/derived/mondo_subclass_edges_2021-07.tsv.gz").read_bytes()).decode()
    mondo = TermGraph.parse(text, version="mondo 2021-07")
    lung_cancer, cancer = "MONDO:0008903", "MONDO:0004992"
    assert cancer in mondo.ancestors(lung_cancer)
    assert lung_cancer not in mondo.ancestors(cancer)
