"""Settings: read once, from one place, and what cannot be used is a sentence."""

import ast
from pathlib import Path

import pytest

import atoll
from atoll.errors import OperatorError
from atoll.settings import read


def test_nothing_set_gives_the_defaults():
    found = read({})
    assert found.home == Path.home() / ".atoll"
    assert (found.language, found.https_proxy, found.ca_file, found.ci, found.color) == ("en", None, None, False, True)
    assert found.threads >= 1


def test_what_is_set_is_read():
    found = read(
        {
            "ATOLL_HOME": "/srv/atoll",
            "LANG": "zh_CN.UTF-8",
            "https_proxy": "proxy.example:3128",
            "NO_PROXY": "localhost, .inside.example",
            "SSL_CERT_FILE": "/etc/ca.pem",
            "ATOLL_THREADS": "3",
            "ATOLL_SOURCE_PASSWORD": " hunter2",
            "CI": "true",
            "NO_COLOR": "1",
        }
    )
    assert (found.home, found.language, found.ca_file) == (Path("/srv/atoll"), "zh", Path("/etc/ca.pem"))
    assert (found.threads, found.ci, found.color) == (3, True, False)
    assert found.source_password == " hunter2"
    assert "hunter2" not in repr(found)
    assert found.proxy("hub.example") == "http://proxy.example:3128"
    assert found.proxy("a.inside.example") is None
    assert found.proxy("LOCALHOST") is None
    assert found.proxy("notinside.example") == "http://proxy.example:3128"


@pytest.mark.parametrize("word", ["false", "0", "no", "False", ""])
def test_ci_can_be_denied(word):
    assert not read({"CI": word}).ci


def test_atoll_s_own_language_comes_first():
    assert read({"ATOLL_LANGUAGE": "en", "LC_ALL": "zh_CN"}).language == "en"


@pytest.mark.parametrize(
    ("variable", "value", "sentence"),
    [
        ("ATOLL_HOME", "here", r"ATOLL_HOME is 'here', which depends on the folder you are in\. Give it from / on"),
        ("ATOLL_LANGUAGE", "de", r"ATOLL_LANGUAGE is 'de'\. Set it to en or zh\."),
        ("HTTPS_PROXY", "socks5://x", r"HTTPS_PROXY is not an address of a proxy\. Write it as http://"),
        ("ATOLL_THREADS", "0", r"ATOLL_THREADS is '0'\. Set it to a whole number from 1 to 1024\."),
        ("ATOLL_THREADS", "two", r"ATOLL_THREADS is 'two'\."),
    ],
)
def test_what_cannot_be_used_is_a_sentence(variable, value, sentence):
    with pytest.raises(OperatorError, match=sentence):
        read({variable: value})


def test_a_password_in_the_proxy_s_address_is_not_told():
    with pytest.raises(OperatorError) as caught:
        read({"HTTPS_PROXY": "ftp://me:secret@proxy"})
    assert "secret" not in str(caught.value)


def test_nobody_else_reads_the_environment():
    for path in Path(atoll.__file__).parent.rglob("*.py"):
        if path.name == "settings.py":
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv", "environb"):
                raise AssertionError(f"{path} reads the environment; take it from atoll.settings")
