"""A hub that runs for longer than its certificate lives: the next one is shown, and nobody is cut off."""

from __future__ import annotations

import logging
import shutil
import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509

from atoll.hub import serve
from atoll.hub.home import init
from atoll.network import certificates
from atoll.network.messages import PollAnswer
from tests.network.puppet import Puppet
from tests.network.world import World, wait_until


def shown_by(world) -> x509.Certificate:
    """The certificate of a new handshake, after it was verified."""
    host, _, port = world.url.removeprefix("https://").partition(":")
    context = certificates.client_context(world.hub_home.authority())
    with socket.create_connection((host, int(port))) as plain, context.wrap_socket(plain, server_hostname=host) as tls:
        return x509.load_der_x509_certificate(tls.getpeercert(binary_form=True) or b"")


def test_a_running_hub_renews_its_certificate_and_cuts_nobody_off(tmp_path, nursery):
    world = World(nursery, tmp_path, sites=("north",), roles=("brief", "site"))
    puppet, answers = Puppet(world, "north"), []
    try:
        first = shown_by(world)
        poll = threading.Thread(target=lambda: answers.append(puppet.poll(wait=20.0)))
        poll.start()  # its connection was made under a certificate that ends while it waits
        wait_until(lambda: datetime.now(UTC) > first.not_valid_after_utc + timedelta(seconds=1))
        later = shown_by(world)
        assert later.serial_number != first.serial_number and later.not_valid_after_utc > first.not_valid_after_utc
        assert "the hub shows a new certificate; it ends on" in world.hub.log()
        assert poll.is_alive(), "still waiting on the line that it had"
        study, _ = world.submit(world.signed({"a": {"rounds": 1}}))
        poll.join(timeout=20)
        assert [type(answer) for answer in answers] == [PollAnswer]
        assert len(answers[0].proposals) == 1 and study == world.study(study)["study"]
    finally:
        puppet.close()
        world.close()


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A hub's server, without its event loop: what it does at one look."""
    home = init(tmp_path / "hub", "https://127.0.0.1:1")
    opened = home.store()
    from atoll.hub.service import Service

    service = Service(opened, home.identity())
    made = serve._Server(serve._config(home, service, ()), service, home.files)
    made.config.load()
    yield made, home.files
    opened.close()


def test_a_certificate_that_the_operator_put_there_is_shown_without_a_restart(server, caplog):
    made, files = server
    made._refresh()
    assert caplog.records == []
    certificates.issue(files, ["127.0.0.1", "hub.example"])
    made._refresh()
    assert [record.getMessage()[:34] for record in caplog.records] == ["the hub shows a new certificate; i"]


def test_half_a_pair_is_not_shown(server, tmp_path, caplog):
    made, files = server
    other = init(tmp_path / "other", "https://127.0.0.1:1").files
    shutil.copy(other.certificate, files.certificate)  # its key comes later
    with pytest.raises(ssl.SSLError):
        made._refresh()
    shutil.copy(other.key, files.key)
    made._refresh()
    assert "the hub shows a new certificate" in caplog.text


def test_a_certificate_of_another_authority_that_ends_soon_is_told(server, caplog):
    made, files = server
    certificates.issue(files, ["127.0.0.1"], now=datetime.now(UTC) - timedelta(days=350))
    files.authority_key.unlink()
    with caplog.at_level(logging.WARNING):
        made._refresh()
        made._refresh()
    assert f"put a new one in {files.certificate} and its key in {files.key}" in caplog.text


def test_a_renewal_changes_one_file(tmp_path):
    files = init(tmp_path / "hub", "https://127.0.0.1:1").files
    before = files.key.stat().st_ino
    assert certificates.renew(files, now=datetime.now(UTC) + timedelta(days=350))
    assert files.key.stat().st_ino == before
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(files.certificate, files.key)
