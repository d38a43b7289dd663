"""TLS: clients show certificates where they are asked to, factors may come, and a renewed certificate is read without a restart."""

from __future__ import annotations

import shutil
import signal
import ssl
import time

import httpx
import pytest

from tests.support import served
from tests.support.certificates import certificate


def test_who_shows_no_certificate_of_the_ca_is_not_answered(tmp_path):
    cert, key = certificate(tmp_path, "server")
    ours, ours_key = certificate(tmp_path, "engine")
    token = served.staffed(tmp_path)
    trust = ssl.create_default_context(cafile=str(cert))
    trust.load_cert_chain(ours, ours_key)
    options = ("--tls-cert", str(cert), "--tls-key", str(key), "--client-ca", str(ours))
    with served.serving(tmp_path / "v", *options, token=token, trust=trust) as it:
        assert it.client.get("/v1/projects").status_code == 200
        strangers = [ssl.create_default_context(cafile=str(cert)) for _ in range(2)]
        strangers[1].load_cert_chain(*certificate(tmp_path, "stranger"))
        for stranger in strangers:
            with (
                httpx.Client(verify=stranger, headers={"Authorization": f"Bearer {token}"}) as client,
                pytest.raises(httpx.TransportError),
            ):
                client.get(f"{it.url}/v1/projects")
        assert it.client.get("/v1/projects").status_code == 200


def test_a_renewed_certificate_is_read_at_sighup_and_one_that_is_none_is_not(tmp_path):
    cert, key = certificate(tmp_path, "server")
    new, new_key = certificate(tmp_path, "renewed")
    token = served.staffed(tmp_path)
    trust = ssl.create_default_context(cafile=str(cert))
    trust.load_verify_locations(new)
    options = ("--tls-cert", str(cert), "--tls-key", str(key))
    with served.serving(tmp_path / "v", *options, token=token, sealed=True, trust=trust) as it:
        assert it.post("/v1/sys/unseal", {"passphrase": served.PASSPHRASE}).status_code == 204
        assert it.client.get("/v1/projects").status_code == 200
        before = shown(it)
        cert.write_text("none")
        it.process.send_signal(signal.SIGHUP)
        assert it.client.get("/livez").status_code == 204
        assert shown(it) == before
        shutil.copy(new, cert)
        shutil.copy(new_key, key)
        it.process.send_signal(signal.SIGHUP)
        for _ in range(300):
            if shown(it) != before:
                break
            time.sleep(0.1)
        assert shown(it) == new.read_text()
        assert it.client.get("/v1/projects").status_code == 200, "a connection that is open goes on"
        it.process.terminate()
        told = it.process.communicate(timeout=60)[1].decode().splitlines()
        assert [line for line in told if "renewed" in line] == [
            "genovault: the certificate is not renewed: it or its key cannot be read as PEM, and the one of before stays",
            "genovault: the certificate is renewed",
        ]


def shown(it):
    """The certificate that a new connection is shown, PEM."""
    host, port = it.url.removeprefix("https://").split(":")
    return ssl.get_server_certificate((host, int(port)))
