"""Everything of a vault loaded, for processes that are forked from one that has opened nothing.

Of the work of a child that is killed after half a second, a third was to load the modules and kernels that work imports when it
needs them, and some to compile the same SQL for the readers of a database and for its writer.
"""

from __future__ import annotations

import gc
import importlib
import pkgutil

from sqlalchemy.orm import configure_mappers

import vault
from tests.support import compiled_once

NOT_LOADED = ("vault.server", "vault.client")  # no child serves or asks a server


def _load() -> None:
    for module in pkgutil.walk_packages(vault.__path__, "vault.", onerror=lambda _name: None):
        if not module.name.startswith(NOT_LOADED) and not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    configure_mappers()
    compiled_once.share()
    gc.collect()
    gc.freeze()


_load()
