"""Published disease ontologies as child-parent pairs: from OBO Graph JSON, and from OBO or OWL through pronto."""

from __future__ import annotations

import gzip
import json
import re
import warnings
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from vault.access.reference_data import MAX_BYTES
from vault.errors import InputError, UnavailableError
from vault.files.given_files import open_regular

_IRI = re.compile(r"http://purl\.obolibrary\.org/obo/MONDO_([0-9]{7})")
_CURIE = re.compile(r"MONDO:[0-9]{7}")


def pairs_of(path: Path) -> str:
    """Text for ``reference_data.load``: a line ``child<TAB>parent`` for each is-a between MONDO diseases, sorted.

    Raises:
        InputError: ``file_unreadable``, ``file_too_large``, ``ontology_unreadable``, ``ontology_empty``.
        UnavailableError: ``extra_missing``: OBO and OWL files need pronto.
    """
    data = _bytes(path)
    if path.suffix == ".json":
        pairs = _obo_graph(data, path.name)
    elif path.suffix in {".obo", ".owl"}:
        pairs = _pronto(path)
    else:
        return _text(data, path.name)
    lines = sorted({f"{child}\t{parent}\n" for child, parent in pairs})
    if not lines:
        raise InputError("ontology_empty", f"{path.name} holds no is-a between MONDO diseases")
    return "".join(lines)


def _bytes(path: Path) -> bytes:
    try:
        with open_regular(path) as file, gzip.open(file) if path.suffix == ".gz" else file as stream:
            data = stream.read(MAX_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError("file_unreadable", f"{path.name}: {getattr(error, 'strerror', None) or 'cannot be read'}") from None
    if len(data) > MAX_BYTES:
        raise InputError("file_too_large", f"{path.name} is larger than {MAX_BYTES} bytes")
    return data


def _text(data: bytes, name: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise InputError("ontology_unreadable", f"{name} is not UTF-8 text") from None


def _obo_graph(data: bytes, name: str) -> Iterator[tuple[str, str]]:
    try:
        graphs = json.loads(data)["graphs"]
        edges: list[dict[str, Any]] = [edge for graph in graphs for edge in graph["edges"]]
        found = [(edge["sub"], edge["obj"]) for edge in edges if edge["pred"] == "is_a"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise InputError("ontology_unreadable", f"{name} is not OBO Graph JSON") from None
    return _diseases(found)


def _pronto(path: Path) -> Iterator[tuple[str, str]]:
    try:
        from pronto.ontology import Ontology  # noqa: PLC0415 - optional, and slow to import
    except ImportError:
        hint = "pip install 'genovault[ontology]', or give OBO Graph JSON"
        raise UnavailableError("extra_missing", "OBO and OWL files need pronto", hint=hint) from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pronto warns of irregularities of the published file
            loaded = Ontology(str(path))
            found = [(t.id, up.id) for t in loaded.terms() for up in t.superclasses(distance=1, with_self=False)]
    except Exception as error:
        raise InputError("ontology_unreadable", f"{path.name} cannot be read as an ontology") from error
    return _diseases(found)


def _diseases(pairs: Iterable[tuple[object, object]]) -> Iterator[tuple[str, str]]:
    """Pairs of two MONDO ids; relations to terms of other ontologies are skipped, since no consent names them."""
    for child, parent in pairs:
        lower, upper = _curie(child), _curie(parent)
        if lower and upper:
            yield lower, upper


def _curie(name: object) -> str:
    text = str(name)
    iri = _IRI.fullmatch(text)
    return f"MONDO:{iri[1]}" if iri else text if _CURIE.fullmatch(text) else ""
