"""What can go wrong around a network, and the sentence that each of it becomes."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from atoll.cli import hub as commands
from atoll.errors import NotPermitted, OperatorError, Unreachable
from atoll.governance import ledger, signatures
from atoll.hub.home import init, invite, new_token
from atoll.network.certificates import Files, fingerprint, renew
from atoll.network.http import Connection
from atoll.network.invitation import Invitation, from_code, to_code
from atoll.network.messages import Renewal, Renewed
from atoll.site.home import Home as SiteHome
from atoll.site.home import join
from atoll.study.protocol import read
from tests.network.world import check_books, undisturbed, wait_until

# ---- joining


def test_both_ends_show_the_same_keys_after_joining(hub, tmp_path):
    home = SiteHome.init(tmp_path / "north")
    welcome = join(home, invite(hub.hub_home, "north"))
    (seen,) = hub.api("GET", "/api/sites")[1]
    assert (seen["name"], seen["key"]) == ("north", home.fingerprint()) == (welcome.site, welcome.site_key)
    assert welcome.hub_key == hub.hub_home.identity().fingerprint
    assert welcome.authority == fingerprint(hub.hub_home.authority())


def test_a_code_is_used_once_but_the_same_site_may_repeat_it(hub, tmp_path):
    code = invite(hub.hub_home, "north")
    first, second = SiteHome.init(tmp_path / "a"), SiteHome.init(tmp_path / "b")
    join(first, code)
    assert join(first, code).site == "north", "the answer may have been lost on its way"
    with pytest.raises(NotPermitted, match=r"This join code for 'north' was used already\. If it was not you, tell"):
        join(second, code)


def test_an_expired_code(hub, tmp_path):
    code = invite(hub.hub_home, "north", hours=-1)
    with pytest.raises(
        NotPermitted, match=r"This join code for 'north' has expired\. Ask the hub's operator for a new"
    ):
        join(SiteHome.init(tmp_path / "a"), code)


def test_a_wrong_code(hub, tmp_path):
    invitation = from_code(invite(hub.hub_home, "north"))
    wrong = to_code(Invitation(invitation.url, invitation.authority, invitation.hub_key, b"x" * 16))
    with pytest.raises(NotPermitted, match="The hub does not know this join code"):
        join(SiteHome.init(tmp_path / "a"), wrong)


@pytest.mark.parametrize("spoil", [lambda code: code[:-5], lambda code: "hello", lambda code: code.replace("a", "b")])
def test_a_code_that_was_not_copied_whole(hub, tmp_path, spoil):
    code = spoil(invite(hub.hub_home, "north"))
    with pytest.raises(NotPermitted, match=r"no join code, or it was not copied whole\. Copy all of what"):
        join(SiteHome.init(tmp_path / "a"), code)


def test_a_code_may_be_broken_over_lines(hub):
    code = invite(hub.hub_home, "north")
    assert from_code(f"  {code[:50]}\n {code[50:]} ") == from_code(code)


def test_two_sites_cannot_have_one_name(hub, tmp_path):
    first, second = invite(hub.hub_home, "north"), invite(hub.hub_home, "north")
    join(SiteHome.init(tmp_path / "a"), first)
    with pytest.raises(NotPermitted, match="A site named 'north' has joined already"):
        join(SiteHome.init(tmp_path / "b"), second)
    with pytest.raises(NotPermitted, match=r"A site named 'north' has joined already\. Choose another name"):
        invite(hub.hub_home, "north")


def test_one_key_cannot_join_twice(hub, tmp_path):
    home = SiteHome.init(tmp_path / "a")
    join(home, invite(hub.hub_home, "north"))
    with pytest.raises(NotPermitted, match="key has joined already under another name"):
        join(home, invite(hub.hub_home, "river"))


def test_a_site_has_one_hub(hub, tmp_path):
    home = SiteHome.init(tmp_path / "a")
    join(home, invite(hub.hub_home, "north"))
    other = init(tmp_path / "other", "https://127.0.0.1:1")
    with pytest.raises(NotPermitted, match="This site has joined another hub, https://127"):
        join(home, invite(other, "north"))


def test_a_site_that_has_not_joined_cannot_serve(tmp_path):
    home = SiteHome.init(tmp_path / "a")
    with closing(home.store()) as store, pytest.raises(NotPermitted, match="has not joined a hub"):
        home.line(store)


# ---- the way to the hub


def get(url, **options):
    with closing(Connection(url, **options)) as connection:
        return connection.request("GET", "/api/hub")


def test_another_authority_than_the_pinned_one(hub, tmp_path):
    other = init(tmp_path / "other", hub.url)
    with pytest.raises(OperatorError, match=r"shows a certificate of another authority.*Do not go on") as caught:
        get(hub.url, authority=other.authority())
    assert caught.value.code == "WRONG_AUTHORITY"
    with pytest.raises(OperatorError, match="another authority"):
        join(SiteHome.init(tmp_path / "a"), invite(other, "north"))


def test_a_certificate_for_another_name(hub):
    with pytest.raises(OperatorError, match="is for another name"):
        get(hub.url.replace("127.0.0.1", "localhost"), authority=hub.hub_home.authority())


def test_a_hub_with_another_key_is_not_heard(hub, tmp_path):
    """The same address and authority, but another hub answers: its signature is not the pinned one's."""
    home = SiteHome.init(tmp_path / "a")
    invitation = from_code(invite(hub.hub_home, "north"))
    wrong = Invitation(invitation.url, invitation.authority, bytes(31) + b"\1", invitation.secret)
    with pytest.raises(NotPermitted, match="is not that of the key"):
        join(home, to_code(wrong))


def test_nobody_answers(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"https://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(Unreachable, match=r"cannot be reached\. Nothing is lost; try again later"):
        get(url)


def test_an_address_without_tls():
    with pytest.raises(OperatorError, match=r"does not begin with https://. Atoll speaks TLS only"):
        get("http://hub.example")


class Plain(BaseHTTPRequestHandler):
    """A server, or a proxy, that is no hub."""

    def do_GET(self):
        self.send_response(200)
        self.end_headers()

    def do_CONNECT(self):
        self.send_response(403, "Forbidden")
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def plain():
    server = HTTPServer(("127.0.0.1", 0), Plain)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()
    thread.join()


def test_another_program_answers(plain):
    with pytest.raises(OperatorError, match=r"does not speak TLS as Atoll does.*another program may answer there"):
        get(f"https://127.0.0.1:{plain}")


def test_a_proxy_refuses_and_its_password_is_not_shown(plain):
    with pytest.raises(Unreachable, match=r"The proxy 127\.0\.0\.1:\d+ refused the way.*allow this address") as caught:
        get("https://hub.example:8443", proxy=f"http://wang:secret@127.0.0.1:{plain}")
    assert "secret" not in str(caught.value)


def test_a_proxy_that_is_away(tmp_path):
    with pytest.raises(Unreachable, match=r"cannot be reached through the proxy 127\.0\.0\.1:1"):
        get("https://hub.example:8443", proxy="http://127.0.0.1:1")


def test_a_web_page_is_no_hub(hub, tmp_path):
    home = SiteHome.init(tmp_path / "a")
    join(home, invite(hub.hub_home, "north"))
    store = home.store()
    line = home.line(store)
    with pytest.raises(OperatorError, match=r"is no Atoll hub: it answers .+ with status 404"):
        line.ask("/nothing", Renewal(()), Renewed)
    line.connection.close()
    store.close()


@pytest.mark.parametrize("kept", [True, False])
def test_a_folder_that_holds_another_sites_key_does_not_start(world, kept):
    """South's folder with north's key.pem would answer in north's name. `kept`: south joined since the key is kept."""
    study, _ = world.submit(world.signed({"toy": {"rounds": 1}}))
    world.start_sites()
    world.decide("south", study, "approve")
    world.programs["south"].kill()
    south, north = world.homes["south"], world.homes["north"]
    joined = south.fingerprint()
    with closing(south.store()) as store:
        if not kept:
            with store.writing() as connection:
                connection.execute("DELETE FROM facts WHERE name = 'key'")
        shutil.copy(north.folder / "key.pem", south.folder / "key.pem")
        sentence = rf"with which 'south' joined: it joined with {joined}, and this is {north.fingerprint()}\. Put"
        with pytest.raises(NotPermitted, match=sentence):
            south.line(store)
    assert world.programs["south"].start() == "" and "is not the one with which" in world.programs["south"].log()


# ---- the hub's start


def test_a_port_that_is_in_use(hub, tmp_path):
    path = hub.hub_home.folder / "hub.json"
    port = json.loads(path.read_text())["port"]
    other = init(tmp_path / "other", f"https://127.0.0.1:{port}")
    from atoll.hub.serve import serve

    with pytest.raises(
        OperatorError, match=rf"Port {port} on 127\.0\.0\.1 is in use by another program\. Stop that"
    ) as told:
        serve(other)
    assert f"call this hub at https://127.0.0.1:{port}; before" in told.value.remedy
    options = {option for command in (commands.serve, commands.init) for each in command.params for option in each.opts}
    assert set(re.findall(r"--\w+", told.value.remedy)) == {"--url", "--home"} <= options


def test_an_address_that_is_not_this_machines(tmp_path):
    from atoll.hub.serve import serve

    other = init(tmp_path / "other", "https://127.0.0.1:0", host="192.0.2.1")
    with pytest.raises(OperatorError, match=r"The hub cannot listen on 192\.0\.2\.1, port 0") as told:
        serve(other)
    assert f"as `host` into {other.folder / 'hub.json'}" in told.value.remedy


def test_a_hub_runs_once(hub):
    from atoll.hub.serve import serve

    with pytest.raises(OperatorError, match="is in use by another process"):
        serve(hub.hub_home)


def test_a_certificate_is_issued_anew_before_it_ends(tmp_path):
    home = init(tmp_path / "hub", "https://127.0.0.1:1", hosts=("hub.example",))
    before = home.files.certificate.read_bytes()
    assert not renew(home.files)
    assert renew(home.files, now=datetime.now(UTC) + timedelta(days=350))
    assert home.files.certificate.read_bytes() != before
    home.files.authority_key.unlink()
    with pytest.raises(OperatorError, match="The hub's certificate ended on"):
        renew(home.files, now=datetime.now(UTC) + timedelta(days=1000))


def test_given_certificate_files(tmp_path):
    from atoll.hub.home import Given

    source = init(tmp_path / "a", "https://127.0.0.1:1").files
    given = Given(source.certificate, source.key, source.authority)
    taken = init(tmp_path / "b", "https://127.0.0.1:1", given=given)
    assert taken.files.certificate.read_bytes() == source.certificate.read_bytes()
    assert not taken.files.authority_key.exists()
    other = Files.under(tmp_path / "a")
    with pytest.raises(OperatorError, match="are no certificate and its key"):
        init(tmp_path / "c", "https://127.0.0.1:1", given=Given(other.certificate, other.authority_key, None))


def test_secrets_are_readable_by_their_owner_only(tmp_path):
    home = init(tmp_path / "hub", "https://127.0.0.1:1")
    site = SiteHome.init(tmp_path / "site")
    secret = [home.files.key, home.files.authority_key, home.folder / "key.pem", home.folder / "hub.json"]
    for path in [*secret, site.folder / "key.pem", site.path]:
        assert path.stat().st_mode & 0o077 == 0, path


# ---- investigators


def test_a_token_and_its_replacement(hub):
    assert hub.api("GET", "/api/runs")[0] == 200
    status, document = hub.api("GET", "/api/runs", token="atoll_wrong")
    assert status == 401 and document["error"]["what"] == "The hub does not know this token."
    new = new_token(hub.hub_home, "wang-fang")
    assert hub.api("GET", "/api/runs")[0] == 401, "the earlier token ended"
    assert hub.api("GET", "/api/runs", token=new)[0] == 200


def test_studies_of_others_are_not_shown(world):
    study, (run,) = world.submit(world.signed({"toy": {}}))
    other = new_token(world.hub_home, "li-na")
    for path in (f"/api/studies/{study}", f"/api/runs/{run}", f"/api/runs/{run}/result"):
        assert world.api("GET", path, token=other)[0] == 404
    assert world.api("GET", "/api/runs", token=other) == (200, [])
    assert world.api("POST", f"/api/studies/{study}/stop", token=other)[0] == 404


def test_an_investigator_s_key_is_pinned_at_the_first_study(world):
    world.submit(world.signed({"toy": {}}))
    world.key = signatures.new_key()
    status, document = world.api("POST", "/api/studies", world.signed({"toy": {}}, title="Other").to_bytes())
    assert status == 403 and "the key of 'wang-fang' at this hub is SHA256:" in document["error"]["what"]


def test_a_study_with_a_site_that_is_not_here_or_has_another_key(world):
    text = world.signed({"toy": {}}).body.decode()
    stranger = signatures.fingerprint(signatures.public_bytes(signatures.new_key()))
    for changed, sentence in (
        (text.replace('"north"', '"harbour"'), "No site named 'harbour' has joined this hub."),
        (text.replace(world.homes["north"].fingerprint(), stranger), "but that site joined with"),
    ):
        signed = signatures.sign_study(read(changed), world.key)
        status, document = world.api("POST", "/api/studies", signed.to_bytes())
        assert status == 422 and sentence in document["error"]["what"]


def test_a_study_that_was_changed_after_signing_or_is_submitted_twice(world):
    signed = world.signed({"toy": {}})
    first = world.submit(signed)
    assert world.submit(signed) == first
    content = signed.to_bytes().replace(b'"study": "ey', b'"study": "ez')
    assert world.api("POST", "/api/studies", content)[0] == 403


def test_an_expired_study_is_not_accepted(world):
    status, document = world.api("POST", "/api/studies", world.signed({"toy": {}}, days=-1).to_bytes())
    assert status == 422 and "The study runs from" in document["error"]["what"]


# ---- in the middle of a run


def test_the_investigator_stops_a_study_at_once(world):
    world.start_sites()
    study, (run,) = world.submit(world.signed({"slow": {"rounds": 100, "pause": 0.2}}))
    world.approve_all(study)
    world.wait_for(run, "running")
    assert world.api("POST", f"/api/studies/{study}/stop")[0] == 200
    assert world.run(run)["sentence"] == "wang-fang stopped the study."


def test_a_site_is_stopped_in_mid_round_and_nothing_more_leaves_it(world):
    world.start_sites()
    study, (run,) = world.submit(world.signed({"slow": {"rounds": 100, "pause": 0.3}}))
    world.approve_all(study)
    wait_until(
        lambda: (
            world.run(run)["sites"]["river"]["state"] == "computing" and world.run(run)["sites"]["river"]["shares"] > 0
        )
    )
    store = world.homes["river"].store()
    store.decide(study, "stop")
    stopped_at = store.head().number
    world.homes["river"].wake()
    assert world.wait_for(run, "stopped", "failed")["state"] == "stopped"
    assert world.run(run)["site"] == "river"
    wait_until(lambda: "The study was stopped at this site" in world.programs["river"].log())
    assert store.head().number == stopped_at, "the answer that was being computed was not recorded"
    assert ledger.verify(store.entries()) is None
    with pytest.raises(
        NotPermitted, match=r"The study is stopped \(ended by a person, for good\); one cannot approve it"
    ):
        store.decide(study, "approve")
    store.close()


def test_a_paused_study_goes_on_where_it_was(world):
    world.start_sites()
    study, (run,) = world.submit(world.signed({"slow": {"rounds": 40, "pause": 0.1}}))
    world.approve_all(study)
    world.wait_for(run, "running")
    world.decide("river", study, "pause")
    wait_until(lambda: world.study(study)["waits_for"] == "Paused at river.")
    world.decide("river", study, "approve")
    assert world.wait_for(run, "finished", "failed")["state"] == "finished"
    assert world.result(run)["hex"] == undisturbed(world, 40)


def test_a_refused_study_waits_and_says_so(world):
    world.start_sites()
    study, (run,) = world.submit(world.signed({"toy": {}}))
    world.decide("north", study, "approve")
    world.decide("river", study, "refuse")
    wait_until(lambda: world.study(study)["waits_for"].startswith("Refused by river. Ask the steward for the reason"))
    assert world.run(run)["state"] == "waiting"


def test_a_refused_question_ends_the_run_and_the_next_one_starts(world):
    world.start_sites()
    study, (first, second) = world.submit(world.signed({"a": {"rounds": 3, "refuse": 1}, "b": {"rounds": 2}}))
    world.approve_all(study)
    failed = world.wait_for(first, "failed", "finished")
    assert failed["code"] == "TOO_FEW_PERSONS" and "refused round 2 of “a”: A number would" in failed["sentence"]
    assert world.wait_for(second, "finished", "failed")["state"] == "finished"


def test_the_hub_is_away_and_comes_back(world):
    world.start_sites()
    study, (run,) = world.submit(world.signed({"slow": {"rounds": 20, "pause": 0.1}}))
    world.approve_all(study)
    world.wait_for(run, "running")
    world.hub.kill()
    wait_until(lambda: all("cannot be reached" in program.log() for program in world.programs.values()))
    world.hub.start()
    assert world.wait_for(run, "finished", "failed")["state"] == "finished"
    check_books(world, run, 20)


def test_a_disk_without_space_gives_no_answer_and_goes_on_later(world):
    world.start_sites()
    study, (run,) = world.submit(world.signed({"long": {"rounds": 100}}))
    world.programs["river"].signal(signal.SIGUSR1)  # its file cannot grow any more
    store = world.homes["river"].store()
    for site in ("north", "south"):
        world.decide(site, study, "approve")
    store.decide(study, "approve")
    world.homes["river"].wake()
    wait_until(lambda: world.run(run)["sites"]["river"]["code"] == "DISK_FULL")
    assert world.run(run)["state"] == "running"
    world.programs["river"].signal(signal.SIGUSR2)
    assert world.wait_for(run, "finished", "failed")["state"] == "finished"
    assert world.result(run)["hex"] == undisturbed(world, 100)
    store.close()
    check_books(world, run, 100)


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("mount") is None, reason="needs to mount a small file system")
def test_a_file_system_without_space(world, tmp_path):
    folder = world.homes["river"].folder
    small = tmp_path / "small"
    small.mkdir()
    if os.system(f"mount -t tmpfs -o size=600k none {small} 2>/dev/null"):
        pytest.skip("this machine does not let us mount")
    try:
        shutil.copytree(folder, small, dirs_exist_ok=True)
        world.homes["river"] = SiteHome(small)
        world.programs["river"].folder = small
        world.start_sites()
        study, (run,) = world.submit(world.signed({"long": {"rounds": 200}}))
        world.approve_all(study)
        wait_until(lambda: world.run(run)["sites"]["river"]["code"] == "DISK_FULL")
        assert os.system(f"mount -o remount,size=50m {small}") == 0
        assert world.wait_for(run, "finished", "failed")["state"] == "finished"
        check_books(world, run, 200)
    finally:
        for program in world.programs.values():
            program.kill()
        os.system(f"umount {small}")


def test_one_byte_of_the_study_changed_after_approval(world):
    """Somebody writes into the site's file: another study, well signed, in the place of the approved one."""
    study, (run,) = world.submit(world.signed({"toy": {"rounds": 5}}))
    world.programs["north"].start()
    world.programs["south"].start()
    world.programs["river"].start()
    world.approve_all(study)
    world.wait_for(run, "finished")
    again, (second,) = world.submit(world.signed({"toy": {"rounds": 6}}, title="Second"))
    with closing(world.homes["river"].store()) as store:
        wait_until(lambda: any(row["hash"] == again for row in store.studies()))
    world.programs["river"].kill()
    other = world.signed({"toy": {"rounds": 6}}, title="Third")
    with sqlite3.connect(world.homes["river"].path) as connection:
        connection.execute("UPDATE studies SET signed = ? WHERE hash = ?", (other.to_bytes(), again))
    connection.close()
    world.programs["river"].start()
    world.approve_all(again)
    wait_until(lambda: world.run(second)["sites"]["river"]["code"] == "HASH_MISMATCH")
    assert world.run(second)["sites"]["river"]["shares"] == 0
    assert "differs from the one that was approved" in world.run(second)["sites"]["river"]["says"]


def test_a_ledger_that_was_changed_is_found(world):
    world.start_sites()
    study, (run,) = world.submit(world.signed({"toy": {"rounds": 3}}))
    world.approve_all(study)
    world.wait_for(run, "finished")
    store = world.homes["north"].store()
    entries = store.entries()
    with store.writing() as connection:
        row = connection.execute("SELECT entry FROM ledger WHERE number = 4").fetchone()
        changed = json.loads(row["entry"]) | {"bytes": 1}
        connection.execute("UPDATE ledger SET entry = ? WHERE number = 4", (json.dumps(changed),))
    assert ledger.verify(entries) is None and ledger.verify(store.entries()) == 3
    store.close()


def test_a_site_runs_once(world):
    world.programs["north"].start()
    with pytest.raises(OperatorError, match="is running already"), world.homes["north"].alone():
        pass


def test_a_store_of_a_newer_version(hub, tmp_path):
    home = SiteHome.init(tmp_path / "a")
    with sqlite3.connect(home.path) as connection:
        connection.execute("PRAGMA user_version=99")
    connection.close()
    with pytest.raises(OperatorError, match="The site's store has version 99; this Atoll knows version 1"):
        home.store()


def test_sigterm_ends_a_site_in_its_long_poll_and_a_hub_that_holds_one(world):
    world.start_sites()
    wait_until(lambda: all(site["online"] for site in world.api("GET", "/api/sites")[1]))
    for program in (world.programs["north"], world.hub):
        program.signal(signal.SIGTERM)
        wait_until(lambda program=program: not program.alive())
    assert "Traceback" not in world.programs["north"].log() + world.hub.log()
