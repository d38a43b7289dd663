"""The client: a vault behind a server, asked by its token over HTTP (docs/engine.md). It holds no key and imports nothing that does.

Needs the extra ``client``: httpx and pyarrow.
"""
