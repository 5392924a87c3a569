"""The caller's sentences for a hub that ends, or is none."""

from __future__ import annotations

import socket
import threading

import pytest

from atoll.errors import AtollError
from atoll.network.http import Connection


@pytest.fixture
def listening():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def says(server: socket.socket, words: bytes) -> AtollError:
    """What a caller is told by a program that reads a greeting, says these bytes and hangs up."""

    def serve() -> None:
        caller, _ = server.accept()
        with caller:
            caller.recv(4096)
            caller.sendall(words)

    thread = threading.Thread(target=serve)
    thread.start()
    connection = Connection(f"https://127.0.0.1:{server.getsockname()[1]}")
    try:
        with pytest.raises(AtollError) as raised:
            connection.request("GET", "/")
    finally:
        connection.close()
        thread.join()
    return raised.value


def test_a_hub_that_ends_in_the_middle_of_a_greeting_is_tried_again(listening):
    assert says(listening, b"").code == "UNREACHABLE"


def test_a_program_that_speaks_no_tls_is_told_to_be_none(listening):
    assert says(listening, b"HTTP/1.1 400 Bad Request\r\n\r\n").code == "NOT_A_HUB"
