"""``smalltext audit``: what is found in a file of texts, where, and how the command ends."""

from __future__ import annotations

import json
import multiprocessing
import random
import sys
from itertools import chain

import numpy as np
import polars as pl
import pytest

from cli.conftest import sentences
from smalltext_cli.auditing import token_limits, training_time
from smalltext_cli.auditing.checks import script_of
from smalltext_cli.auditing.near_duplicates import near_duplicates, similarity
from smalltext_cli.auditing.texts import AuditedTexts
from smalltext_cli.auditing.token_limits import limit_of_model, word_counts
from smalltext_cli.auditing.wrong_labels import find_wrong_labels

FAST = ("--no-wrong-labels", "--no-times")


@pytest.fixture(scope="module")
def dirty(tmp_path_factory):
    """60 clean texts with unique words, then one row (or two) for each problem, with ids."""
    texts, labels = sentences(60, seed=3)
    texts = [f"{text} number {row} of the sixty letters" for row, text in enumerate(texts)]
    rows = list(zip(texts, labels, strict=True))
    rows += [
        (texts[0], labels[0]),  # line 62: an exact copy
        (texts[1] + "!", labels[1]),  # a near copy
        (texts[2].upper(), "spam" if labels[2] != "spam" else "ham"),  # the same text with another label
        ("", "ham"),
        ("a report " * 400, "ham"),
        ("こんにちは世界", "ham"),
        ("12345 !", "Spam"),  # a name that looks alike, of one text
        ("a last one", None),
    ]
    path = tmp_path_factory.mktemp("dirty") / "mails.csv"
    frame = pl.DataFrame(rows, schema=["text", "label"], orient="row").with_row_index("id", offset=1000)
    frame.write_csv(path)
    return path


@pytest.fixture
def found(smalltext, dirty):
    content = json.loads(smalltext("audit", dirty, "--json", *FAST).out)
    return {one["check"]: one for one in content["findings"]}


@pytest.mark.parametrize(
    ("check", "count", "lines"),
    [
        ("missing_labels", 1, {69}),
        ("contradictory_labels", 2, {4, 64}),
        ("suspicious_names", 1, set()),
        ("single_text_classes", 1, {68}),
        ("exact_duplicates", 1, {2, 62}),
        ("near_duplicates", 2, {3, 63, 4, 64}),
        ("empty_texts", 1, {65}),
        ("long_texts", 1, {66}),
        ("rare_scripts", 2, {67, 68}),
    ],
)
def test_each_problem_is_found_where_it_is(found, check, count, lines):
    assert found[check]["count"] == count
    rows = [row for one in found[check]["found"] if isinstance(one, dict) for row in one.get("rows", [one])]
    assert {row["line"] for row in rows} == lines
    assert all(row["id"] == str(998 + row["line"]) for row in rows)


def test_names_that_look_alike_are_reported(found):
    assert "'Spam'" in found["suspicious_names"]["found"][0]


def test_near_duplicates_say_how_similar_they_are_and_whether_their_labels_differ(found):
    differing = {one["rows"][0]["line"]: one["labels_differ"] for one in found["near_duplicates"]["found"]}
    assert differing == {3: False, 4: True}
    assert all(one["similarity"] >= 0.8 for one in found["near_duplicates"]["found"])


def test_the_table_names_lines_and_ids_and_the_file_holds_all(smalltext, dirty, tmp_path):
    output = tmp_path / "audit.json"
    ended = smalltext("audit", dirty, "--output", output, *FAST)
    assert ended.code == 0
    assert "mails.csv: 68 texts in 4 classes" in ended.out
    assert "line 65 (1063)" in ended.out
    content = json.loads(output.read_text())
    assert content["texts"] == 68
    assert content["scripts"]["Kana"] == 1
    limits = {one["classifier"]: one for one in content["truncation"]}
    assert limits["sklearn"]["max_tokens"] is None
    if "kimcnn" in limits:
        assert (limits["kimcnn"]["max_tokens"], limits["kimcnn"]["texts"]) == (500, 1)


def test_with_strict_findings_end_with_1(smalltext, dirty, tmp_path):
    assert smalltext("audit", dirty, "--strict", *FAST).code == 1
    clean = tmp_path / "clean.csv"
    clean.write_text("text,label\nbuy cheap pills,spam\nwin money,spam\nlunch tomorrow,ham\nreport please,ham\n")
    assert smalltext("audit", clean, "--strict", *FAST).code == 0
    assert smalltext("audit", tmp_path / "none.csv").code == 2


def test_texts_without_labels_are_checked_for_the_rest(smalltext, tmp_path):
    path = tmp_path / "pool.jsonl"
    path.write_text('{"text": "lunch?", "number": 7}\n{"text": "lunch?", "number": 8}\n')
    ended = smalltext("audit", path, "--id-column", "number", "--json")
    content = json.loads(ended.out)
    found = {one["check"]: one for one in content["findings"]}
    assert "missing_labels" not in found
    assert [row["id"] for row in found["exact_duplicates"]["found"][0]["rows"]] == ["7", "8"]
    assert "there is no column 'label'" in content["not_checked"][0]
    ended = smalltext("audit", path, "--id-column", "key")
    assert ended.code == 2
    assert "--id-column" in ended.err


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("pool.txt", "lunch?\nlunch?\n"),
        ("pool.csv", "text\nlunch?\nlunch?\n"),
        ("pool.json", '[{"text": "lunch?"}, {"text": "lunch?"}]'),
    ],
)
def test_files_of_any_format_without_labels_are_checked_for_the_rest(smalltext, tmp_path, name, content):
    path = tmp_path / name
    path.write_text(content)
    ended = smalltext("audit", path, "--json", *FAST)
    assert ended.code == 0, ended.err
    content = json.loads(ended.out)
    assert {one["check"]: one["count"] for one in content["findings"]}["exact_duplicates"] == 1
    assert content["not_checked"][0].startswith("labels. ")


def test_several_labels_a_text(smalltext, tagged):
    content = json.loads(smalltext("audit", tagged, "--multi-label", "--json", *FAST).out)
    assert content["classes"]["odd"] > 1
    assert {one["check"]: one["count"] for one in content["findings"]}["missing_labels"] == 0


def test_without_cleanlab_one_line_says_how_to_get_it(smalltext, mails, monkeypatch):
    monkeypatch.setitem(sys.modules, "cleanlab", None)
    ended = smalltext("audit", mails, "--no-times")
    assert ended.code == 0
    assert "pip install 'smalltext-cli[audit]'" in ended.out


def test_wrong_labels_are_found_with_the_label_that_is_likely(smalltext, tmp_path):
    pytest.importorskip("cleanlab")
    texts, labels = sentences(60, seed=5)
    wrong = [7, 30]
    for row in wrong:
        labels[row] = "ham" if labels[row] != "ham" else "spam"
    path = tmp_path / "mails.csv"
    pl.DataFrame({"text": texts, "label": labels}).write_csv(path)
    content = json.loads(smalltext("audit", path, "--json", "--no-times", "-c", "sklearn").out)
    found = {one["check"]: one for one in content["findings"]}["wrong_labels"]["found"]
    assert {row + 2 for row in wrong} <= {one["line"] for one in found}
    assert all(one["predicted"] != one["label"] for one in found)


@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize(
    "added",
    {
        "copies": [("meet at noon", "odd")] * 2,
        "contradictory copies": [("meet at noon", "odd"), ("meet at noon", "odd"), ("meet at noon", "ham")],
    }.items(),
    ids=lambda added: added[0],
)
def test_a_class_with_only_copies_of_a_text_is_not_checked(added, multi_label):
    pytest.importorskip("cleanlab")
    texts = [(text, "ham") for text in sentences(12, seed=5)[0]] + added[1]
    assert not found_wrong(texts, multi_label=multi_label)
    texts += [(f"{text} too", "spam") for text in sentences(12, seed=6)[0]]
    assert "odd" not in json.dumps([one.details for one in found_wrong(texts, multi_label=multi_label)])


@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize("first", ["odd", "ham"])
@pytest.mark.parametrize("times", [1, 6])
def test_labels_are_checked_if_all_texts_of_a_class_are_contradictory(first, times, multi_label):
    pytest.importorskip("cleanlab")
    both = [(text, label) for label in sorted(("ham", "odd"), reverse=first == "odd") for text in ("meet", "call")]
    texts = both * times + [(text, "ham") for text in sentences(12, seed=5)[0]]
    assert found_wrong(texts, multi_label=multi_label)


@pytest.mark.parametrize("others", [(), ("spam",), ("spam", "ham")])
def test_a_class_of_all_texts_is_not_checked(others):
    """Cleanlab refuses labels with a class that all texts have, and those with one class."""
    pytest.importorskip("cleanlab")
    texts = [f"{text} {number}" for text in ("win a prize", "meet at noon") for number in range(20)]
    labels = ["spam"] * 20 + ["ham"] * 20
    labels[25] = "spam"
    tags = [("mail", *(label for label in others if label == given)) for given in labels]
    findings = find_wrong_labels(AuditedTexts(texts, tags, range(40)), "sklearn", multi_label=True)
    assert [one["line"] for finding in findings for one in finding.details] == ([25] if others else [])


@pytest.mark.parametrize("count", [10, 11])
def test_outliers_are_searched_among_few_texts(count):
    """Cleanlab compares each text with ten others by default."""
    pytest.importorskip("cleanlab")
    texts, labels = [f"win a prize {number}" for number in range(count)], ["spam", "ham"] * 6
    findings = find_wrong_labels(AuditedTexts(texts, labels[:count], range(count)), "embeddings")
    assert [one.check for one in findings] == ["wrong_labels", "outliers"]


def found_wrong(texts, *, multi_label):
    labels = [(label,) if multi_label else label for _, label in texts]
    data = AuditedTexts([text for text, _ in texts], labels, range(len(texts)))
    return find_wrong_labels(data, "sklearn", multi_label=multi_label)


@pytest.mark.parametrize("multi_label", [False, True])
def test_cleanlab_starts_no_processes(multi_label, monkeypatch):
    """A pool that is forked from the command, which handles SIGTERM, may never end."""
    pytest.importorskip("cleanlab")

    def refuse(*args, **options):
        raise AssertionError("a pool of processes")

    monkeypatch.setattr(multiprocessing, "Pool", refuse)
    assert found_wrong(list(zip(*sentences(60, seed=5), strict=True)), multi_label=multi_label)


def test_times_are_estimated_from_a_sample_or_from_rates(monkeypatch):
    monkeypatch.setattr(training_time, "_SAMPLES", (10, 20))
    texts, labels = sentences(60)
    y = np.unique(labels, return_inverse=True)[1].astype(np.int32)
    found = {one.name: one for one in training_time.estimates(texts, y, 3, word_counts(texts))}
    assert found["sklearn"].basis == "timed on 10 and 20 of these texts"
    assert found["sklearn"].train_seconds > 0
    for name in {"kimcnn", "setfit", "transformers"} & set(found):
        assert "measured rates" in found[name].basis
        assert found[name].train_seconds > 1


def test_no_text_is_timed_that_a_classifier_may_have_encoded_before(monkeypatch):
    given = []

    class Recorder:
        def fit(self, data):
            given.append(set(data.x))
            return self

        def predict_proba(self, data):
            given.append(set(data.x))

    spec = training_time.classifiers()["sklearn"]
    monkeypatch.setattr(training_time, "classifiers", lambda: {"sklearn": spec})
    monkeypatch.setattr(training_time, "create_classifier", lambda name, num_classes: Recorder())
    texts = [f"text {number}" for number in range(200)]
    y = np.arange(200, dtype=np.int32) % 2
    (found,) = training_time.estimates(texts, y, 2, word_counts(texts))
    assert found.basis == "timed on 40 and 160 of these texts"
    timed = given[-3:]
    assert [len(some) for some in timed] == [40, 160, 100]
    assert len(set().union(texts, *timed)) == 200 + 40 + 160 + 100


def test_long_texts_cost_no_more_in_training_than_the_classifiers_read_of_them():
    rule = pytest.importorskip("smalltext_torch.training_set")
    assert (token_limits.READ_IN_TRAINING, training_time._TRAINING_TOKENS) == (
        rule.MIN_TRAINING_LENGTH,
        rule.TRAINING_TOKENS,
    )
    assert training_time._FEW_TEXTS == rule.FEW_TEXTS
    of_words = (np.full(40, 100), np.full(40, 1_000))
    for name in ("transformers", "setfit"):
        short, long = (training_time._RATES[name](40, words)[0] for words in of_words)
        assert short < long < 1.5 * short
        assert training_time._RATES[name](40, np.full(40, 20))[0] < short / 3


def test_the_limit_of_the_model_is_estimated_and_reported_as_lower_in_training():
    found = {one.name: one for one in token_limits.limits_of_classifiers(np.array([50, 600]))}
    for name in {"setfit", "transformers"} & set(found):
        assert (found[name].max_tokens, found[name].texts) == (512, 1)
        assert found[name].counted == "estimated: 1.2 tokens per word; training may stop at 128"


def test_the_limit_of_the_encoder_of_embeddings_is_reported():
    multilingual = pytest.importorskip("smalltext_embeddings.multilingual")
    found = {one.name: one for one in token_limits.limits_of_classifiers(np.array([50, 600, 1000]))}
    assert found["embeddings"].max_tokens == multilingual._MAX_TOKENS
    assert found["embeddings"].texts == 1
    assert found["embeddings"].counted == "estimated: 1.2 tokens per word"


def test_measured_rates_grow_with_the_texts():
    few, many = np.full(30, 20), np.full(5000, 20)
    for rate in training_time._RATES.values():
        assert rate(30, few)[0] < rate(5000, many)[0]


def test_a_model_counts_tokens_by_its_tokenizer(tmp_path):
    tokenizers = pytest.importorskip("tokenizers")
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel({"a": 0, "[UNK]": 1}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokenizer.enable_truncation(2)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "config.json").write_text('{"max_position_embeddings": 512}')
    (tmp_path / "tokenizer_config.json").write_text('{"model_max_length": 3}')
    found = limit_of_model(str(tmp_path), ["a b c d e", "a"])
    assert (found.max_tokens, found.texts, found.longest) == (3, 1, 5)
    assert found.share == pytest.approx(2 / 6)
    # What a saved transformer reads, which is less if it was set so as a sentence transformer.
    (tmp_path / "encoder.json").write_text('{"max_length": 2, "tokenizer_id": "a"}')
    assert limit_of_model(str(tmp_path), ["a b c d e", "a"]).max_tokens == 2


def test_a_folder_without_a_tokenizer_is_refused_before_long(smalltext, mails, tmp_path):
    ended = smalltext("audit", mails, "--model", tmp_path, *FAST)
    assert ended.code == 2
    assert "tokenizer.json" in ended.err


def words(count, seed):
    draw = random.Random(seed)
    return ["".join(draw.choices("abcdefghijklmnop", k=draw.randint(3, 9))) for _ in range(count)]


def test_near_duplicates_are_found_among_many_texts():
    draw = random.Random(0)
    vocabulary = words(500, seed=1)
    texts = [" ".join(draw.choices(vocabulary, k=30)) for _ in range(2_000)]
    for row in range(0, 400, 4):
        changed = texts[row].split()
        changed[draw.randrange(30)] = "changed"
        texts[row + 1] = " ".join(changed)
    alike = {(row, row + 1) for row in range(0, 400, 4) if similarity(texts[row], texts[row + 1]) >= 0.8}
    found = {tuple(group) for group in near_duplicates(texts)}
    assert len(alike) > 80
    assert found == alike


def test_texts_of_one_template_are_one_group():
    draw = random.Random(0)
    template = words(60, seed=2)
    texts = []
    for row in range(300):
        filled = list(template)
        filled[draw.randrange(60)] = f"item{row}"
        texts.append(" ".join(filled))
    assert near_duplicates(texts) == [list(range(300))]


@pytest.mark.parametrize("texts", [[], ["one"], ["", "", " "], ["a", "b"], ["日本語", "日本語!"]])
def test_few_and_short_texts_have_no_near_duplicates(texts):
    assert near_duplicates(texts) == []


def test_near_duplicates_in_any_script_ignore_case_spaces_and_variants_of_letters():
    texts = ["Прывітанне, як справы сёння?", "今日はとても良い天気ですね、散歩に行きましょう"]
    alike = ["прывітанне,  ЯК справы сёння?", "今日はとても良い天気ですね、散歩に行きましょう。"]
    pairs = list(chain.from_iterable(zip(texts, alike, strict=True)))
    assert sorted(near_duplicates(pairs)) == [[0, 1], [2, 3]]


@pytest.mark.parametrize(
    ("text", "script"),
    [
        *(
            ("plain", "Latin"),
            ("Größe", "Latin"),
            ("", "no letters"),
            ("👍 12", "no letters"),
            ("한국어", "Hangul"),
        ),
        *(("ﬁne 𝐛𝐨𝐥𝐝", "Latin"), ("中文", "Han"), ("日本の", "Kana"), ("αβγ x", "Greek"), ("สวัสดี", "Thai")),
    ],
)
def test_a_text_has_the_script_of_most_of_its_letters(text, script):
    assert script_of(text) == script
