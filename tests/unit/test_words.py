"""Two languages: every sentence is translated, places are kept, a person's choice wins."""

import re

import pytest

from atoll.ui.words import Say, catalogue, choose, read
from tests.unit.messages import messages

PLACE = re.compile(r"{(\w*)}")


def test_every_sentence_is_translated_and_none_is_left_over():
    assert messages() - set(catalogue("zh")) == set()
    assert set(catalogue("zh")) - messages() == set()


def test_a_translation_keeps_the_places_and_says_it_in_chinese():
    for english, chinese in catalogue("zh").items():
        assert set(PLACE.findall(english)) == set(PLACE.findall(chinese)), english
        assert english in ("AUC", "{site}: {sentence}") or re.search(r"[\u4e00-\u9fff]", chinese), english


def test_no_english_word_stands_in_a_translation():
    neutral = {"AUC", "CSV", "JSON", "SVG", "UTC", "Atoll", "Cox", "Brier"}
    for english, chinese in catalogue("zh").items():
        typed = re.compile(r"`[^`]*`")  # a command or an option is typed as it is
        words = set(re.findall(r"[A-Za-z]{2,}", PLACE.sub("", typed.sub("", chinese))))
        assert words <= neutral, english


def test_places_are_filled_after_translation():
    assert Say("zh")("Paused at {sites}.", sites="north") == "已在以下医院暂停：north。"
    assert Say("en")("Paused at {sites}.", sites="{0}") == "Paused at {0}."
    assert Say("zh")("") == ""


@pytest.mark.parametrize(
    ("chosen", "accepted", "language"),
    [
        (None, "", "en"),
        (None, "zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        (None, "en-GB,en;q=0.9,zh;q=0.5", "en"),
        (None, "fr,zh;q=0.4,en;q=0.2", "zh"),
        (None, "zh;q=0,en", "en"),
        (None, "zh;q=much", "en"),
        ("zh", "en", "zh"),
        ("en", "zh", "en"),
        ("fr", "zh", "zh"),
    ],
)
def test_a_choice_wins_over_the_browser(chosen, accepted, language):
    assert choose(chosen, accepted) == language


def test_a_catalogue_may_spread_a_sentence_over_lines():
    head, untranslated = 'msgid ""\nmsgstr "Language: zh\\n"\n\n', '\nmsgid "no"\nmsgstr ""\n'
    text = head + '#: page\nmsgid "one "\n"two"\nmsgstr ""\n"一\\"二"\n' + untranslated
    assert read(text) == {"one two": '一"二'}
