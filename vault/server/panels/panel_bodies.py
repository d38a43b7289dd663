"""Bodies of panels' answers, written as bytes: a model of each site and call would cost more than all that is opened for them.

What they hold is described by ``bodies.Genotypes``, and a test reads them by it.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from vault.gate import PanelRead
from vault.genotypes.codec.call_codes import ESCAPE, call_texts
from vault.server.bodies import PanelSites, Site
from vault.session.caches import Cache
from vault.session.unlocked_vault import UnlockedVault
from vault.views.variants import call_column
from vault.views.view import View

MOST_TABLES = 16  # of sites that are kept as text

_TABLES: Cache[OrderedDict[str, bytes]] = Cache(OrderedDict)


def genotypes_body(vault: UnlockedVault, read: PanelRead, said: Mapping[str, object]) -> bytes:
    """JSON of ``bodies.Genotypes``. ``said``: its fields beside those of the read."""
    view = read.view
    calls = b",".join([f'"{name}":'.encode() + one for name, one in zip(view.pseudonyms, _calls(view), strict=True)])
    rest = json.dumps({"entry": read.entry, "receipt": view.receipt, **said})
    head = f'{{"sites_id":"{read.sites_id}","sites":'.encode()
    before = f',"not_assayed":{json.dumps(view.not_assayed)},"calls":{{'.encode()
    return b"".join((head, _sites(vault, read), before, calls, f"}},{rest[1:]}".encode()))


def sites_body(vault: UnlockedVault, read: PanelRead) -> bytes:
    """JSON of ``bodies.PanelSites``."""
    said = f'{{"sites_id":"{read.sites_id}","assembly":{json.dumps(read.view.assembly)},"sites":'
    return said.encode() + _sites(vault, read) + b"}"


def _calls(view: View) -> list[bytes]:
    """Each person's calls as a JSON list; diploid ones, which are nearly all, by a table of their bytes."""
    codes = np.ascontiguousarray(view.codes.T)
    if not codes.shape[1]:
        return [b"[]"] * len(codes)
    plain: NDArray[np.bool_] = np.all(_WIDE.take(codes), axis=1)
    plain[view.escapes.sample] = False
    texts = _QUOTED.take(codes)
    return [b"[" + texts[at].tobytes()[:-1] + b"]" if plain[at] else _mixed(view, at) for at in range(len(codes))]


def _mixed(view: View, column: int) -> bytes:
    return json.dumps(call_column(view.codes, view.escapes, column).tolist(), separators=(",", ":")).encode()


_TEXTS = [text.decode() for text in call_texts()]
_WIDE = np.array([len(text) == 3 and code != ESCAPE for code, text in enumerate(_TEXTS)])
_QUOTED = np.array([f'"{text:.3}",'.ljust(6).encode() for text in _TEXTS], "S6").view("V6")  # of those that are wide


def _sites(vault: UnlockedVault, read: PanelRead) -> bytes:
    """The sites as JSON; of a table that was given before it is kept, by its digest."""
    kept = vault.caches.get(_TABLES)
    found = kept.get(read.sites_id)
    if found is None:
        sites = [Site(contig=one.contig, pos=one.pos, ref=one.ref, alts=list(one.alts)) for one in read.view.variants()]
        table = PanelSites(sites_id=read.sites_id, assembly=read.view.assembly, sites=sites)
        found = kept[read.sites_id] = json.dumps(table.model_dump()["sites"], separators=(",", ":")).encode()
        while len(kept) > MOST_TABLES:
            kept.popitem(last=False)
    return found
