"""The hub's pages without a browser: who sees what, what a page's answer allows, what cannot be done by a link."""

import re

import numpy as np
import pytest
from starlette.testclient import TestClient

from atoll.algorithms.newton import solve
from atoll.errors import StudyError
from atoll.hub import pages
from atoll.hub.api import application
from atoll.hub.home import new_token
from atoll.hub.sentences import Reason
from atoll.hub.service import Service
from atoll.ui import guard
from tests.browser.world import SITES, Hub
from tests.unit.test_charts import model

URL = "https://hub.example"
OWN = {"sec-fetch-site": "same-origin", "origin": URL}
RESULT = {**model(["Intercept", "=age"], [-1.0, 0.5], [0.1, 0.1]), "n": 7500, "rounds": 2}


@pytest.fixture
def hub(tmp_path):
    made = Hub(tmp_path)
    made.join()
    yield made
    made.store.close()


@pytest.fixture
def client(hub):
    service = Service(hub.home.store(), hub.home.identity())
    with TestClient(application(service, pages.routes(service)), base_url=URL, follow_redirects=False) as client:
        yield client


def form_token(text):
    return re.search(r'name="token" value="([0-9a-f]{64})"', text)[1]


def login(client, access, **more):
    """Sign in as a browser does; the answer."""
    token = form_token(client.get("/login").text)
    return client.post("/login", data={"access": access, "token": token, **more}, headers=OWN)


@pytest.fixture
def done(hub):
    """A study with a result, of wang-fang."""
    study, (run,) = hub.study(("risk",))
    hub.finish(run, RESULT)
    return study, run


def test_without_a_session_every_page_leads_to_the_login(client, done):
    study, run = done
    for path in ("/", "/sites", f"/studies/{study}", f"/runs/{run}", f"/runs/{run}/result.csv", f"/runs/{run}/live"):
        answer = client.get(path)
        assert answer.status_code == 303 and answer.headers["location"].startswith("/login"), path
        assert "7,500" not in answer.text
    assert client.get(f"/runs/{run}/live", headers={"hx-request": "true"}).headers["hx-redirect"] == "/login"


def test_a_token_opens_a_session_and_logout_closes_it(client, hub, done):
    _, run = done
    answer = login(client, hub.token, next=f"/runs/{run}")
    assert answer.status_code == 303 and answer.headers["location"] == f"/runs/{run}"
    said = answer.headers["set-cookie"]
    assert all(part in said for part in ("__Host-atoll=", "Secure", "HttpOnly", "SameSite=Strict", "Path=/"))
    assert "Domain" not in said and "Max-Age" not in said
    page = client.get(f"/runs/{run}")
    assert "7,500" in page.text and hub.token not in page.text
    old = client.cookies[guard.COOKIE]
    out = client.post("/logout", data={"token": form_token(page.text)}, headers=OWN)
    assert out.headers["location"] == "/login"
    client.cookies.set(guard.COOKIE, old, domain="hub.example")
    assert client.get(f"/runs/{run}").status_code == 303


def test_the_cookie_changes_at_login(client, hub):
    client.get("/login")
    before = client.cookies[guard.COOKIE]
    login(client, hub.token)
    assert client.cookies[guard.COOKIE] != before


def test_a_replaced_token_ends_its_sessions(client, hub):
    login(client, hub.token)
    assert client.get("/").status_code == 200
    new_token(hub.home, "wang-fang")
    assert client.get("/").status_code == 303


def test_another_investigator_sees_nothing_and_not_even_that_it_exists(client, hub, done):
    study, run = done
    login(client, hub.stranger)
    assert "You have no study yet" in client.get("/").text
    unknown = client.get("/runs/000000000000-9").text
    for path in (f"/runs/{run}", f"/runs/{run}/result.json", f"/runs/{run}/result.csv", f"/runs/{run}/live"):
        answer = client.get(path)
        assert answer.status_code == 404, path
        assert "You have no study or run at this address." in answer.text
        assert "Early screening" not in answer.text
    of_another = client.get(f"/runs/{run}").text.replace(run, "000000000000-9")
    assert re.sub(r'value="\w+"', "", of_another) == re.sub(r'value="\w+"', "", unknown)
    token = form_token(client.get("/").text)
    answer = client.post(f"/studies/{study}/stop", data={"token": token}, headers=OWN)
    assert answer.status_code == 404


def test_a_wrong_token_is_told_and_after_five_the_address_waits(client, hub):
    for _ in range(5):
        answer = login(client, "atoll_wrong")
        assert (
            answer.status_code == 401
            and "The hub does not know this token. Its operator makes a new one" in answer.text
        )
    answer = login(client, hub.token)
    assert answer.status_code == 429 and "Wait ten minutes, then try again." in answer.text
    assert client.get("/").status_code == 303


@pytest.mark.parametrize(
    "wanted", ["https://evil.example", "//evil.example", "/runs/../../x", "/login", "javascript:1"]
)
def test_a_login_leads_only_to_our_own_pages(client, hub, wanted):
    assert login(client, hub.token, next=wanted).headers["location"] == "/"


def test_what_changes_something_needs_a_form_of_our_own(client, hub, done):
    waiting, _ = hub.study(("hazard",), "Waiting")
    login(client, hub.token)
    token = form_token(client.get(f"/studies/{waiting}").text)
    path = f"/studies/{waiting}/stop"
    assert client.get(path).status_code == 404
    assert client.post(path, data={"token": token}).status_code == 403
    assert client.post(path, data={"token": token}, headers=OWN | {"sec-fetch-site": "cross-site"}).status_code == 403
    assert client.post(path, data={"token": "0" * 64}, headers=OWN).status_code == 403
    assert client.post(path, content=b"token=" + b"x" * 20_000, headers=OWN).status_code == 403
    assert "waiting" in client.get(f"/studies/{waiting}").text
    assert client.post(path, data={"token": token}, headers=OWN).status_code == 303
    assert "wang-fang stopped the study." in client.get(f"/studies/{waiting}").text


@pytest.mark.parametrize("path", ["/login", "/", "/sites", "/runs/nothing", "/nothing", "/static/atoll.css"])
def test_every_answer_tells_the_browser_what_it_may(client, hub, path):
    login(client, hub.token)
    answer = client.get(path)
    policy = answer.headers["content-security-policy"]
    for part in (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    ):
        assert part in policy
    assert "unsafe" not in policy and answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "same-origin"
    assert answer.headers["strict-transport-security"].startswith("max-age=31536000")
    assert answer.headers["cache-control"] == (
        "public, max-age=31536000, immutable" if path.startswith("/static") else "no-store"
    )


def test_what_people_wrote_is_never_markup(client, hub):
    study, (run,) = hub.study(("risk",), "<script>alert(1)</script>")
    hub.finish(run, RESULT | {"terms": ["Intercept", "<img src=x>"]})
    login(client, hub.token)
    for path in ("/", f"/studies/{study}", f"/runs/{run}"):
        assert "<script>alert" not in client.get(path).text and "<img src=x>" not in client.get(path).text
    assert "&lt;script&gt;alert(1)" in client.get("/").text


def test_downloads_are_files_and_safe_for_spreadsheets(client, hub, done):
    _, run = done
    login(client, hub.token)
    table = client.get(f"/runs/{run}/result.csv")
    assert table.headers["content-disposition"] == f'attachment; filename="{run}-risk.csv"'
    assert "'=age,0.5" in table.text
    assert client.get(f"/runs/{run}/result.json").json()["n"] == 7500
    assert client.get(f"/runs/{run}/chart.svg").headers["content-type"] == "image/svg+xml"


def test_no_count_of_one_hospital_is_shown_that_was_not_released(client, hub, done):
    _, run = done
    login(client, hub.token)
    assert "How many patients each hospital has is not released" in client.get(f"/runs/{run}").text


def test_a_refusal_is_told_by_its_sentence_in_both_languages(client, hub):
    _, (run,) = hub.study(("survival",))
    hub.fail(run, "TOO_FEW_PERSONS", "lagoon", "weight")
    login(client, hub.token)
    english = (
        "lagoon refused round 1 of “survival”: A number would describe too few persons. It is about “weight”. "
        "Merge rare levels, use broader groups or a longer time grid, take one column in the place of two that "
        "say nearly the same, or leave this site out of the sites that the study names."
    )
    assert english in client.get(f"/runs/{run}").text
    chinese = client.get(f"/runs/{run}", headers={"accept-language": "zh-CN"}).text
    said = (
        "lagoon 拒绝回答“survival”的第 1 轮：某个数字所对应的人数过少。涉及“weight”。"
        "请合并少见的取值，采用更粗的分组或更长的时间间隔，两列所说几乎相同时只取其一，或在研究所列的医院中去掉该医院。"
    )
    assert said in chinese and english in chinese, "the hub's own words stand below, to be opened"
    assert said in client.get("/", headers={"accept-language": "zh-CN"}).text


def test_a_site_that_failed_did_not_refuse(client, hub):
    _, (run,) = hub.study(("survival",))
    hub.fail(run, "SITE_FAILED", "lagoon")
    login(client, hub.token)
    assert "lagoon could not answer round 1 of “survival”: The site failed" in client.get(f"/runs/{run}").text
    chinese = client.get(f"/runs/{run}", headers={"accept-language": "zh-CN"}).text
    assert "lagoon 未能回答“survival”的第 1 轮" in chinese


def test_what_a_program_at_the_hub_finds_is_told_in_chinese_with_its_term_and_what_to_do(client, hub):
    with pytest.raises(StudyError) as caught:
        solve(np.diag([1.0, 0.0]), np.zeros(2), ["Intercept", "C(sex)[T.other]"])
    study, (run,) = hub.study(("risk",))
    hub.end(run, Reason.of(caught.value, "risk", SITES))
    login(client, hub.token)
    said = "模型中的某一项在患者之间没有变化。涉及“C(sex)[T.other]”。请去掉该项，或把该取值与其他取值合并。"
    for address in (f"/runs/{run}", f"/studies/{study}", "/"):
        assert said in client.get(address, headers={"accept-language": "zh-CN"}).text
        assert "&#39;C(sex)[T.other]&#39; does not vary" in client.get(address).text


def test_a_term_that_is_called_like_a_hospital_blames_no_hospital():
    found = Reason.of(StudyError("reef is constant.", code="TERM_CONSTANT", subject="reef"), "risk", SITES)
    assert (found.sites, found.subject) == ((), "reef")


def test_empty_pages_say_what_to_do_next(tmp_path):
    hub = Hub(tmp_path)
    service = Service(hub.home.store(), hub.home.identity())
    with TestClient(application(service, pages.routes(service)), base_url=URL) as client:
        login(client, hub.token)
        assert "atoll study submit study.yaml" in client.get("/").text
        assert "atoll hub invite NAME" in client.get("/sites").text
    hub.store.close()


def test_a_question_to_several_hospitals_is_one_card(client, hub):
    """Eight questions to five hospitals were forty cards on the first page."""
    asked = hub.questions("Screening · 2026-11-29")
    for name, (run,) in asked[:2]:
        hub.decide(name, **{SITES[0]: "approve"})
        hub.finish(run, RESULT)
    hub.questions("Screening · 2026-11-30")
    study, _ = hub.study(("risk",))
    login(client, hub.token)
    text = client.get("/").text
    assert text.count('class="card"') == 3 and text.count("<details") == 2
    assert "2 of 5 hospitals have answered" in text and "0 of 5 hospitals have answered" in text
    assert all(f"/studies/{name}" in text for name, _ in asked) and f"/studies/{study}" in text
    assert "5 家医院中有 2 家已回答" in client.get("/", headers={"accept-language": "zh"}).text


def test_the_page_of_a_study_shows_what_its_definitions_say(client, hub):
    from atoll.knowledge import library
    from atoll.study import circe

    gout, old = (library.phenotype(name).definition() for name in ("gout", "asthma"))
    texts = [circe.written(one, indent=None) for one in (gout, old)]
    datasets = {
        "losses": {"cohort": texts[0], "attrition": True},
        "both": {"cohort": texts[0], "diagnose": "overlap", "with": texts[1]},
    }
    analyses = {"lost": {"dataset": "losses", "algorithm": "attrition", "columns": ["rule_1", "stays"]}}
    study, _ = hub.study(("lost",), datasets=datasets, analyses=analyses)
    login(client, hub.token)
    text = client.get(f"/studies/{study}").text
    for title in ("Gout", "Asthma"):
        assert text.count(f'What the definition says: <span translate="no">{title}</span>') == 1
    assert "Who enters" in text
    assert "谁进入队列" in client.get(f"/studies/{study}", headers={"accept-language": "zh"}).text


def test_a_study_tells_whom_it_waits_for(client, hub):
    study, _ = hub.study(("risk",))
    login(client, hub.token)
    assert "Waits for the decision of coral, harbour, lagoon, mangrove, reef." in client.get("/").text
    hub.decide(study, **{**dict.fromkeys(SITES, "approve"), "reef": "refuse"})
    assert "Refused by reef." in client.get("/").text
    chinese = client.get("/", headers={"accept-language": "zh"}).text
    assert "以下医院已拒绝：reef。" in chinese


def test_a_page_tells_whose_answer_is_owed_and_what_became_of_it(client, hub, monkeypatch):
    monkeypatch.setattr("atoll.hub.views.WORTH_A_WORD", 0.0)
    study, (run,) = hub.study(("risk",))
    hub.decide(study, **dict.fromkeys(SITES, "approve"))
    hub.rounds(run, 3, last=("coral", "harbour", "lagoon"))
    login(client, hub.token)
    for address in (f"/runs/{run}", f"/studies/{study}", "/"):
        assert "Waits for the answer of mangrove, reef to round 3 of “risk” since 20" in client.get(address).text
        chinese = client.get(address, headers={"accept-language": "zh"}).text
        assert "起等待 mangrove、reef 回答“risk”的第 3 轮；若无回答，本次运行将于" in chinese
    hub.end(run, Reason("NO_ANSWER", ("mangrove", "reef"), "risk", 3, hours=24.0))
    assert "mangrove, reef did not answer round 3 of “risk” within 24 hours." in client.get(f"/runs/{run}").text
    chinese = client.get(f"/runs/{run}", headers={"accept-language": "zh"}).text
    assert "mangrove、reef 未在 24 小时内回答“risk”的第 3 轮。请询问该医院的运维人员" in chinese


@pytest.mark.parametrize(
    ("reason", "english", "chinese"),
    [
        (
            Reason("STOPPED", ("reef",)),
            "reef stopped the study. Ask its steward",
            "reef 终止了本研究。请向其数据管理员",
        ),
        (Reason("STOPPED", subject="li-na"), "li-na stopped the study.", "li-na 终止了本研究。"),
        (
            Reason("STUDY_EXPIRED", subject="2026-11-30"),
            "The study ended on 2026-11-30.",
            "本研究已于 2026-11-30 结束。",
        ),
        (
            Reason("SHARE_UNUSABLE", ("reef",)),
            "reef sent a share that cannot be used.",
            "reef 发来的汇总结果无法使用。",
        ),
        (Reason("STUDY_INVALID", subject="bmi", words="bmi is constant."), "bmi is constant.", "涉及“bmi”。"),
    ],
)
def test_every_end_of_a_run_is_told_in_both_languages(client, hub, reason, english, chinese):
    _, (run,) = hub.study(("risk",))
    hub.end(run, reason, "fail" if reason.code != "STOPPED" else "stop")
    login(client, hub.token)
    assert english in client.get(f"/runs/{run}").text
    assert chinese in client.get(f"/runs/{run}", headers={"accept-language": "zh"}).text


def test_the_interfaces_still_answer_as_interfaces(client, hub):
    assert client.get("/api/nothing").json()["error"]["code"] == "UNKNOWN"
    assert client.get("/api/runs", headers={"authorization": f"Bearer {hub.token}"}).json() == []
    assert client.get("/static/nothing.css").status_code == 404
