"""Bodies of panels' answers, written as bytes: a model of each site and call would cost more than all that is opened for them.

What they hold is described by ``bodies.Genotypes``, and a test reads them by it.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Mapping

from vault.gate import PanelRead
from vault.server.bodies import PanelSites, Site
from vault.session.caches import Cache
from vault.session.unlocked_vault import UnlockedVault
from vault.views.variants import call_column

MOST_TABLES = 16  # of sites that are kept as text

_TABLES: Cache[OrderedDict[str, bytes]] = Cache(OrderedDict)


def genotypes_body(vault: UnlockedVault, read: PanelRead, said: Mapping[str, object]) -> bytes:
    """JSON of ``bodies.Genotypes``. ``said``: its fields beside those of the read."""
    view = read.view
    calls = ",".join(
        f'{json.dumps(name)}:["' + '","'.join(call_column(view.codes, view.escapes, at).tolist()) + '"]'
        if len(view.sites)
        else f"{json.dumps(name)}:[]"
        for at, name in enumerate(view.pseudonyms)
    )
    rest = json.dumps({"entry": read.entry, "receipt": view.receipt, **said})
    head = f'{{"sites_id":"{read.sites_id}","sites":'.encode()
    middle = f',"not_assayed":{json.dumps(view.not_assayed)},"calls":{{{calls}}},{rest[1:]}'.encode()
    return head + _sites(vault, read) + middle


def sites_body(vault: UnlockedVault, read: PanelRead) -> bytes:
    """JSON of ``bodies.PanelSites``."""
    said = f'{{"sites_id":"{read.sites_id}","assembly":{json.dumps(read.view.assembly)},"sites":'
    return said.encode() + _sites(vault, read) + b"}"


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
