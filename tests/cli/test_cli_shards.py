"""``smalltext predict --shard`` and ``smalltext merge``: several jobs write what one would have written."""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
from pathlib import Path

import polars as pl
import pytest

import smalltext_core as st
from smalltext_cli import evaluation
from smalltext_cli.console import UsageError
from smalltext_cli.sharding import plan
from smalltext_cli.sharding.locks import FolderInUseError, exclusive_folder
from smalltext_cli.sharding.shard import Shard

ROWS = 23
STRANGE = ["buy cheap pills", 'lunch, "tomorrow"', "", "добрый\tдень", "zwei\nZeilen", "line\rend", "🙂" * 3]
FRAME = pl.DataFrame(
    {"id": [f"{n:03}" for n in range(ROWS)], "text": [f"{STRANGE[n % 7]} {n}" for n in range(ROWS)]}
)


def write(frame, path):
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(frame.write_csv().encode()))
        return path
    {
        ".csv": frame.write_csv,
        ".jsonl": frame.write_ndjson,
        ".parquet": frame.write_parquet,
        ".json": lambda target: target.write_text(json.dumps(frame.to_dicts())),
    }[path.suffix](path)
    return path


@pytest.fixture
def data(tmp_path):
    return write(FRAME, tmp_path / "new.parquet")


@pytest.fixture
def ran(smalltext):
    """Return a function that runs the command, which must succeed, and returns what it said."""

    def run(*arguments):
        ended = smalltext(*arguments)
        assert ended.code == 0, ended.err
        return ended.err

    return run


@pytest.fixture
def refused(smalltext):
    """Return a function that runs the command, which must end with exit code 2 and one line, and returns that."""

    def run(*arguments):
        ended = smalltext(*arguments)
        assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1), ended.err
        return ended.err

    return run


def shards(ran, model, *data, count=3, folder, options=()):
    for number in range(1, count + 1):
        ran("predict", model, *data, "-o", folder, "--shard", f"{number}/{count}", "--part-rows", 3, *options)


def parts(folder):
    return sorted(path.name for path in folder.iterdir() if path.name.startswith("shard"))


def same(one, other):
    if one.suffix == ".parquet":
        one, other = pl.read_parquet(one), pl.read_parquet(other)
        return one.schema == other.schema and one.equals(other)
    return one.read_bytes() == other.read_bytes()


DEFAULT = {("csv", "csv"), ("csv.gz", "tsv"), ("json", "parquet"), ("jsonl", "jsonl"), ("parquet", "parquet")}


@pytest.mark.parametrize(
    ("source", "target"),
    [
        pytest.param(source, target, marks=() if (source, target) in DEFAULT else pytest.mark.nightly)
        for source in ("csv", "csv.gz", "json", "jsonl", "parquet")
        for target in ("csv", "tsv", "jsonl", "parquet")
    ],
)
def test_merged_shards_are_what_one_job_writes(ran, model, tmp_path, source, target):
    data = write(FRAME, tmp_path / f"new.{source}")
    ran("predict", model, data, "-o", tmp_path / f"one.{target}", "--proba")
    options = ("--proba", "--output-format", target)
    shards(ran, model, data, folder=tmp_path / "parts", options=options)
    assert len(parts(tmp_path / "parts")) == 9
    ran("merge", tmp_path / "parts", "-o", tmp_path / f"merged.{target}")
    assert same(tmp_path / f"merged.{target}", tmp_path / f"one.{target}")


@pytest.mark.parametrize("target", ["csv", "tsv", "jsonl"])
def test_parquet_is_merged_to_any_format(ran, smalltext, model, data, tmp_path, target):
    ran("predict", model, data, "-o", tmp_path / f"one.{target}")
    shards(ran, model, data, folder=tmp_path / "parts")
    ran("merge", tmp_path / "parts", "-o", tmp_path / f"merged.{target}")
    assert same(tmp_path / f"merged.{target}", tmp_path / f"one.{target}")
    if target == "csv":
        assert (
            smalltext("merge", tmp_path / "parts", "-o", "-").out == (tmp_path / "one.csv").read_bytes().decode()
        )


def test_several_labels_a_text(ran, multi_label_model, data, tmp_path):
    ran("predict", multi_label_model, data, "-o", tmp_path / "one.parquet")
    shards(ran, multi_label_model, data, folder=tmp_path / "parts")
    ran("merge", tmp_path / "parts", "-o", tmp_path / "merged.parquet")
    assert same(tmp_path / "merged.parquet", tmp_path / "one.parquet")


OBJECTS = [{"text": "buy", "id": 1}, {"text": "pills", "id": 2.5, "tags": ["a"]}, {"text": "lunch", "label": True}]


@pytest.mark.parametrize("target", ["csv", "jsonl", "parquet"])
def test_objects_with_different_keys_have_the_same_columns_in_all_parts(ran, model, tmp_path, target):
    data = tmp_path / "new.jsonl"
    data.write_text("".join(f"{json.dumps(one)}\n" for one in OBJECTS))
    ran("predict", model, data, "-o", tmp_path / f"one.{target}")
    shards(ran, model, data, folder=tmp_path / "parts", options=("--output-format", target))
    ran("merge", tmp_path / "parts", "-o", tmp_path / f"merged.{target}")
    assert same(tmp_path / f"merged.{target}", tmp_path / f"one.{target}")


def test_a_part_with_quoted_fields_and_one_without_make_one_tsv(ran, model, tmp_path):
    texts = ["buy pills", "lunch tomorrow", 'a "quoted" one', "tab\there", "buy now", "meeting"]
    data = write(pl.DataFrame({"text": texts}), tmp_path / "new.csv")
    ran("predict", model, data, "-o", tmp_path / "one.tsv")
    shards(ran, model, data, folder=tmp_path / "parts", options=("--output-format", "tsv"))
    heads = {path.read_bytes()[:1] for path in (tmp_path / "parts").glob("shard*")}
    assert heads == {b"t", b'"'}
    ran("merge", tmp_path / "parts", "-o", tmp_path / "merged.tsv")
    assert same(tmp_path / "merged.tsv", tmp_path / "one.tsv")


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_rows_of_several_files_are_numbered_through(ran, model, tmp_path, ending):
    texts = tmp_path / "texts"
    texts.mkdir()
    write(FRAME[:1], texts / f"a.{ending}")
    write(FRAME[1:15].select("text", "id"), texts / f"b.{ending}")
    write(FRAME[15:15], texts / f"c.{ending}")
    write(FRAME[15:], texts / f"d.{ending}")
    ran("predict", model, write(FRAME, tmp_path / f"all.{ending}"), "-o", tmp_path / f"one.{ending}")
    for given in ([texts], [texts / f"*.{ending}"], sorted(texts.iterdir(), reverse=True)):
        shutil.rmtree(tmp_path / "parts", ignore_errors=True)
        shards(ran, model, *given, folder=tmp_path / "parts", count=4, options=("--output-format", ending))
        ran("merge", tmp_path / "parts", "-o", tmp_path / f"merged.{ending}")
        assert same(tmp_path / f"merged.{ending}", tmp_path / f"one.{ending}")


def test_files_with_other_columns_are_refused_before_a_folder_has_a_plan(refused, model, tmp_path):
    write(FRAME, tmp_path / "a.csv")
    write(FRAME.rename({"id": "number"}), tmp_path / "b.csv")
    said = refused("predict", model, tmp_path / "*.csv", "-o", tmp_path / "parts", "--shard", "1/2")
    assert (
        f"{tmp_path / 'b.csv'}: its columns are not those of {tmp_path / 'a.csv'}: it lacks 'id' and has" in said
    )
    assert not list((tmp_path / "parts").iterdir())


@pytest.mark.parametrize("rows", [0, 2])
def test_shards_without_rows(ran, model, tmp_path, rows):
    data = write(FRAME[:rows], tmp_path / "new.csv")
    ran("predict", model, data, "-o", tmp_path / "one.parquet")
    said = [
        ran("predict", model, data, "-o", tmp_path / "parts", "--shard", f"{number}/5", "--resume")
        for number in range(1, 6)
    ]
    assert sum("has no rows" in one for one in said) == 5 - rows
    assert len(parts(tmp_path / "parts")) == max(rows, 1)
    ran("merge", tmp_path / "parts", "-o", tmp_path / "merged.parquet")
    assert same(tmp_path / "merged.parquet", tmp_path / "one.parquet")


def test_parts_sorted_by_name_are_in_the_order_of_the_rows(ran, model, data, tmp_path):
    shards(ran, model, data, folder=tmp_path / "parts", count=11)
    found = pl.concat([pl.read_parquet(tmp_path / "parts" / name) for name in parts(tmp_path / "parts")])
    assert found.drop("label", "score").equals(FRAME)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("0/16", "--shard 0/16: shards are numbered from 1: the first is 1/16, the last 16/16. Add 1"),
        ("17/16", "--shard 17/16: there are 16 shards, so the last is 16/16"),
        ("3", "give the number of the shard and how many there are, such as 3/16"),
        *((one, "such as 3/16") for one in ("a/b", "-1/4", "1/2/3", "", "1/", "٣/٤", "1 / 4")),
        ("1/0", "there may be 1 to 99,999 shards"),
    ],
)
def test_a_shard_that_is_none_is_explained(given, said):
    with pytest.raises(UsageError) as error:
        Shard.parse(given)
    assert said in str(error.value)


@pytest.mark.parametrize("total", [0, 1, 5, 16, 17, 1000])
def test_shards_are_equal_and_parts_cover_each_row_once(total):
    shards = [Shard(number, 16) for number in range(1, 17)]
    assert [row for one in shards for row in one.rows(total)] == list(range(total))
    assert {len(one.rows(total)) for one in shards} <= {total // 16, total // 16 + 1}
    for rows in (1, 7, 10_000):
        found = [row for one in shards for part in one.parts(total, rows, "csv") for row in part.rows]
        assert found == list(range(total))


def test_resume_continues_with_what_is_missing_and_reports_if_nothing_is(
    ran, refused, model, data, tmp_path, monkeypatch
):
    folder = tmp_path / "parts"
    shards(ran, model, data, folder=folder)
    command = ("predict", model, data, "-o", folder, "--shard", "2/3", "--part-rows", 3)
    before = {name: (folder / name).stat().st_mtime_ns for name in parts(folder)}
    missing = [name for name in before if "shard-00002" in name][1]
    (folder / missing).unlink()
    assert "has 2 of its 3 parts already. Pass --resume" in refused(*command)
    said = ran(*command, "--resume")
    assert re.fullmatch(
        rf"Labelled 3 texts in .* s: shard 2/3 in {folder}, rows 8 to 15 of 23", said.splitlines()[0]
    )
    after = {name: (folder / name).stat().st_mtime_ns for name in parts(folder)}
    assert [name for name in after if after[name] != before[name]] == [missing]
    monkeypatch.setattr("smalltext_cli.evaluation.load", None)  # no model is loaded
    said = ran(*command, "--resume")
    assert f"Nothing to do: shard 2/3 in {folder} is complete already." in said
    assert f"every shard is complete: smalltext merge {folder} -o FILE" in said
    assert "has 3 of its 3 parts already. Pass --resume" in refused(*command)


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_any_parts_may_be_missing(ran, model, tmp_path, ending):
    data, folder = write(FRAME, tmp_path / f"new.{ending}"), tmp_path / "parts"
    shards(ran, model, data, count=1, folder=folder)
    ran("merge", folder, "-o", tmp_path / "one.parquet")
    for number in (1, 2, 4, 7, 8):
        (folder / f"shard-00001-of-00001-part-0000{number}.parquet").unlink()
    ran("predict", model, data, "-o", folder, "--shard", "1/1", "--part-rows", 3, "--resume")
    ran("merge", folder, "-o", tmp_path / "two.parquet")
    assert same(tmp_path / "one.parquet", tmp_path / "two.parquet")


def other_model(model, data, folder):
    shutil.copytree(model, folder / "other")
    path = folder / "other" / "smalltext.json"
    path.write_bytes(path.read_bytes() + b" ")
    return ["predict", folder / "other", data]


def another_text(model, data, folder):
    write(FRAME.with_columns(text=pl.lit("other")), data)
    return ["predict", model, data]


def as_many_bytes(model, data, folder):
    content = bytearray(data.read_bytes())
    content[len(content) // 2] ^= 1
    data.write_bytes(content)
    return ["predict", model, data]


CHANGES = {
    "model": (other_model, "the model ("),
    "size": (another_text, "the input {data} ("),
    "content": (as_many_bytes, "the content of the input {data}"),
    "files": (lambda model, data, _: ["predict", model, data, model / "scores.json"], "input files (1, now 2)"),
    "options": (
        lambda model, data, _: ["predict", model, data, "--proba", "--top", 2, "--text-column", "id"],
        "--text-column (text, now id); --proba (not given, now given); --top (0, now 2)",
    ),
    "format": (
        lambda model, data, _: ["predict", model, data, "--output-format", "csv"],
        "--output-format (parquet",
    ),
    "part rows": (lambda model, data, _: ["predict", model, data, "--part-rows", 4], "--part-rows (3, now 4)"),
    "shards": (
        lambda model, data, _: ["predict", model, data, "--shard", "2/4"],
        "the number of shards (3, now 4)",
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_parts_of_another_run_are_not_mixed_with_these(ran, refused, model, data, tmp_path, change):
    folder = tmp_path / "parts"
    ran("predict", model, data, "-o", folder, "--shard", "1/3", "--part-rows", 3)
    before = parts(folder)
    make, said = CHANGES[change]
    command = ["predict", *("--shard", "2/3", "--part-rows", 3), *make(model, data, tmp_path)[1:]]
    found = refused(*command, "-o", folder, "--resume")
    assert f"{folder}: its parts come from another run" in found
    assert said.format(data=data) in found
    assert parts(folder) == before


def test_a_copy_of_the_input_and_of_the_model_elsewhere_is_the_same(ran, model, data, tmp_path):
    folder = tmp_path / "parts"
    ran("predict", model, data, "-o", folder, "--shard", "1/2")
    shutil.copytree(model, tmp_path / "copy")
    shutil.copy(data, tmp_path / "copied.parquet")
    os.utime(tmp_path / "copied.parquet", (1, 1))
    ran("predict", tmp_path / "copy", tmp_path / "copied.parquet", "-o", folder, "--shard", "2/2")


def save_other_model(folder):
    texts = st.TextDataset.from_labels(["buy cheap pills", "lunch at noon"] * 3, ["zebra", "yak"] * 3)
    st.create_classifier("sklearn", num_classes=2, seed=1).fit(texts).save(folder)


def test_a_model_that_is_saved_while_rows_are_counted_predicts_all_parts(ran, model, data, tmp_path, monkeypatch):
    own, measured = shutil.copytree(model, tmp_path / "model"), plan._measured

    def replaced(*arguments):
        save_other_model(own)
        return measured(*arguments)

    monkeypatch.setattr(plan, "_measured", replaced)
    ran("predict", own, data, "-o", tmp_path / "parts", "--shard", "1/2")
    monkeypatch.undo()
    ran("predict", own, data, "-o", tmp_path / "parts", "--shard", "2/2")
    ran("merge", tmp_path / "parts", "-o", tmp_path / "all.parquet")
    ran("predict", own, data, "-o", tmp_path / "whole.parquet")
    assert same(tmp_path / "all.parquet", tmp_path / "whole.parquet")


def test_a_model_that_is_saved_while_another_is_loaded_is_refused(
    ran, refused, model, data, tmp_path, monkeypatch
):
    own, load = shutil.copytree(model, tmp_path / "model"), evaluation.load
    ran("predict", own, data, "-o", tmp_path / "parts", "--shard", "1/2")

    def replaced(folder, **options):
        found = load(folder, **options)
        save_other_model(own)
        monkeypatch.undo()
        return found

    monkeypatch.setattr(evaluation, "load", replaced)
    said = refused("predict", own, data, "-o", tmp_path / "parts", "--shard", "2/2")
    assert "What differs: the model" in said
    assert len(parts(tmp_path / "parts")) == 1


def test_other_versions_are_not_mixed(ran, refused, model, data, tmp_path, monkeypatch):
    ran("predict", model, data, "-o", tmp_path / "parts", "--shard", "1/2")
    monkeypatch.setattr("smalltext_cli.sharding.plan.version", lambda _: "9.9")
    said = refused("predict", model, data, "-o", tmp_path / "parts", "--shard", "2/2")
    assert "smalltext-sklearn (0.1.0, now 9.9)" in said


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            ["-o", "{}/new.parquet", "--shard", "1/2"],
            "new.parquet: this is a file. --shard writes a folder of parts",
        ),
        (["-o", "{}/x.csv", "--shard", "1/2"], "x.csv: this is a name of a file. --shard writes a folder"),
        (["-o", "{}/full", "--shard", "1/2"], "full: this folder holds something else"),
        (["-o", "{}", "--shard", "1/2"], "this folder holds something else"),
        (["--shard", "1/2"], "--shard writes a folder of parts, not standard output"),
        (
            ["-o", "{}/parts", "--resume"],
            "--resume is for shards: add --shard 3/16, or --shard 1/1 for a single job",
        ),
        (["-o", "{}/parts.csv", "--part-rows", "5"], "--part-rows is for shards"),
    ],
)
def test_what_cannot_be_the_folder_is_refused_before_any_work(refused, model, data, tmp_path, options, said):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes").write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    assert said in refused("predict", model, data, *(one.format(tmp_path) for one in options))
    assert sorted(tmp_path.rglob("*")) == before


def test_input_must_be_files_outside_of_the_folder(ran, refused, model, data, tmp_path):
    assert "--shard is for files" in refused("predict", model, "-", "-o", tmp_path / "parts", "--shard", "1/2")
    said = refused("predict", model, "--text", "buy", "-o", tmp_path / "parts", "--shard", "1/2")
    assert "--shard is for files" in said
    ran("predict", model, data, "-o", tmp_path / "parts", "--shard", "1/1")
    said = refused("predict", model, tmp_path / "parts", "-o", tmp_path / "parts", "--shard", "1/1")
    assert "is in this folder" in said


def test_a_shard_that_another_process_is_writing_is_refused(refused, ran, model, data, tmp_path):
    folder = tmp_path / "parts"
    with exclusive_folder(folder / ".shard-00001-of-00002.tmp"):
        said = refused("predict", model, data, "-o", folder, "--shard", "1/2", "--resume")
        assert f"--shard 1/2: another process is writing this shard to {folder}" in said
        ran("predict", model, data, "-o", folder, "--shard", "2/2")
    ran("predict", model, data, "-o", folder, "--shard", "1/2")


def test_without_locks_two_jobs_of_a_shard_write_the_same(ran, model, data, tmp_path, monkeypatch):
    from smalltext_cli.predictions import Predictor

    monkeypatch.setattr("smalltext_cli.sharding.locks.fcntl", None)
    ran("predict", model, data, "-o", tmp_path / "one.parquet")
    command = ("predict", model, data, "-o", tmp_path / "parts", "--shard", "1/1", "--part-rows", 5, "--resume")
    table, calls = Predictor.table, []

    def table_meanwhile(self, texts):
        calls.append(texts)
        if len(calls) == 2:
            ran(*command)
        return table(self, texts)

    monkeypatch.setattr(Predictor, "table", table_meanwhile)
    ran(*command)
    ran("merge", tmp_path / "parts", "-o", tmp_path / "merged.parquet")
    assert same(tmp_path / "merged.parquet", tmp_path / "one.parquet")


def test_what_a_killed_job_left_is_removed(ran, model, data, tmp_path):
    working = tmp_path / "parts" / ".shard-00001-of-00001.tmp"
    (working / "smalltext-abc").mkdir(parents=True)
    (working / "1-half.parquet").write_text("half")
    ran("predict", model, data, "-o", tmp_path / "parts", "--shard", "1/1")
    assert sorted(path.name for path in (tmp_path / "parts").iterdir()) == [
        "_shards.json",
        "shard-00001-of-00001-part-00001.parquet",
    ]


def test_a_lock_is_held_by_one_and_ends_with_its_block(tmp_path):
    with exclusive_folder(tmp_path / "a"):
        (tmp_path / "a" / "file").write_text("")
        with pytest.raises(FolderInUseError), exclusive_folder(tmp_path / "a"):
            pass
        assert (tmp_path / "a" / "file").exists()
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("target", [pytest.param("csv", marks=pytest.mark.nightly), "parquet"])
def test_a_full_disk_keeps_finished_parts_and_is_reported(process, ran, model, tmp_path, target):
    texts = [os.urandom(40).hex() for _ in range(4_000)]
    data = write(pl.DataFrame({"text": ["buy"] * 500 + texts}), tmp_path / "new.csv")
    command = ("predict", model, data, "-o", tmp_path / "parts", "--shard", "1/1", "--output-format", target)
    command = (*command, "--resume", "--part-rows", "500")
    # The plan fits, and so does the first part; the second does not.
    ended = process(*command, file_size=20_000)
    assert ended.returncode == 2
    second = tmp_path / "parts" / f"shard-00001-of-00001-part-00002.{target}"
    assert ended.stderr.decode().startswith(f"Error: {second}: this could not be written (")
    assert sorted(path.name for path in (tmp_path / "parts").iterdir()) == [
        "_shards.json",
        f"shard-00001-of-00001-part-00001.{target}",
    ]
    assert "Labelled 4,000 texts" in ran(*command)


def test_input_that_changes_while_a_job_reads_it_ends_the_job(refused, ran, model, tmp_path, monkeypatch):
    from smalltext_cli.predictions import Predictor

    data = write(FRAME, tmp_path / "new.csv")
    table = Predictor.table

    def table_meanwhile(self, texts):
        with data.open("a") as file:
            file.write("999,more\n")
        return table(self, texts)

    monkeypatch.setattr(Predictor, "table", table_meanwhile)
    command = ("predict", model, data, "-o", tmp_path / "parts", "--shard", "1/1")
    assert f"{data}: it was changed while it was read" in refused(*command)
    assert f"the input {data} (" in refused(*command, "--resume")


def test_a_damaged_plan_is_named(ran, refused, model, data, tmp_path):
    ran("predict", model, data, "-o", tmp_path / "parts", "--shard", "1/1")
    plan = tmp_path / "parts" / "_shards.json"
    for content in ("", "{}", "[]", '{"format": 2}', plan.read_text()[:-20]):
        plan.write_text(content)
        assert f"{plan}: this is not a plan of shards" in refused(
            "merge", tmp_path / "parts", "-o", tmp_path / "o.csv"
        )


def test_merging_an_incomplete_folder_names_the_shards_and_the_command(
    smalltext, ran, refused, model, data, tmp_path
):
    folder = tmp_path / "my parts"
    for number in (1, 2, 4):
        ran("predict", model, data, "-o", folder, "--shard", f"{number}/5", "--part-rows", 3, "--proba")
    (folder / "shard-00002-of-00005-part-00001.parquet").unlink()
    said = refused("merge", folder, "-o", tmp_path / "all.csv")
    assert f"{folder}: 3 shards of 5 are not complete: 2/5 (1 of 2 parts), 3/5, 5/5. Run: " in said
    command = f"smalltext predict {model} {data} --proba --part-rows 3 --output '{folder}' --shard 2/5 --resume"
    assert command in said
    assert not (tmp_path / "all.csv").exists()
    for shard in ("2/5", "3/5", "5/5"):
        ran(*command.replace(f"'{folder}'", "FOLDER").replace("2/5", shard).replace("FOLDER", "F").split()[1:-5],
            "--output", folder, "--shard", shard, "--resume")  # fmt: skip
    ran("merge", folder, "-o", tmp_path / "all.csv")


@pytest.mark.parametrize("target", ["csv", "jsonl", "parquet"])
def test_a_part_that_is_cut_is_named(ran, refused, model, data, tmp_path, target):
    shards(ran, model, data, folder=tmp_path / "parts", options=("--output-format", target))
    part = tmp_path / "parts" / f"shard-00002-of-00003-part-00002.{target}"
    content = part.read_bytes()
    part.write_bytes(content[:-4] if target == "parquet" else content[: content.index(b"\n") + 1])
    said = refused("merge", tmp_path / "parts", "-o", tmp_path / f"all.{target}")
    assert f"{part}: this part " in said
    assert "Remove it, and run its shard again with --resume." in said
    assert not (tmp_path / f"all.{target}").exists()


@pytest.mark.parametrize("kept", [-1, -2, -9, "quoted line break"])
@pytest.mark.parametrize("target", ["csv", "tsv", "jsonl"])
def test_a_part_that_is_cut_within_its_last_row_is_named(ran, refused, model, tmp_path, target, kept):
    data = tmp_path / "pool.jsonl"
    data.write_text("".join(json.dumps({"id": row, "text": "good\nfilm"}) + "\n" for row in range(12)))
    shards(ran, model, data, folder=tmp_path / "parts", options=("--output-format", target))
    part = tmp_path / "parts" / f"shard-00002-of-00003-part-00001.{target}"
    content = part.read_bytes()
    if kept == "quoted line break":
        kept = content.rindex(b"\nfilm") + 1 if target != "jsonl" else -1
    part.write_bytes(content[:kept])
    said = refused("merge", tmp_path / "parts", "-o", tmp_path / f"all.{target}")
    assert f"{part}: this part is damaged. Remove it, and run its shard again with --resume." in said
    assert not (tmp_path / f"all.{target}").exists()


@pytest.mark.parametrize("target", ["csv", "jsonl", "parquet"])
def test_a_damaged_part_is_named_rather_than_the_output(ran, refused, model, data, tmp_path, target):
    shards(ran, model, data, folder=tmp_path / "parts", options=("--output-format", "parquet"))
    part = tmp_path / "parts" / "shard-00002-of-00003-part-00001.parquet"
    content = part.read_bytes()
    part.write_bytes(content[:4] + bytes(60) + content[64:])
    said = refused("merge", tmp_path / "parts", "-o", tmp_path / f"all.{target}")
    assert f"{part}: this part is damaged. Remove it, and run its shard again with --resume." in said
    assert not (tmp_path / f"all.{target}").exists()


def test_where_and_into_what_parts_are_merged(ran, refused, model, data, tmp_path):
    folder = tmp_path / "parts"
    shards(ran, model, data, folder=folder, options=("--output-format", "csv"))
    assert "The parts are CSV, which has no types" in refused("merge", folder, "-o", tmp_path / "all.parquet")
    assert "this is in the folder of the parts" in refused("merge", folder, "-o", folder / "all.csv")
    assert "this is not a folder of shards" in refused("merge", tmp_path, "-o", tmp_path / "all.csv")
    assert "there is no such folder" in refused("merge", tmp_path / "x", "-o", tmp_path / "all.csv")
    (tmp_path / "all.csv").write_text("mine")
    assert "it already exists" in refused("merge", folder, "-o", tmp_path / "all.csv", "--no-clobber")
    assert "replaced a file of 4 bytes" in ran("merge", folder, "-o", tmp_path / "all.csv")


def test_rows_of_parquet_before_the_shard_are_not_read(ran, model, data, tmp_path, monkeypatch):
    from smalltext_cli.readers import binary

    asked, ask = [], binary._ask
    monkeypatch.setattr(binary, "_ask", lambda *names, **request: asked.append(request) or ask(*names, **request))
    ran("predict", model, data, "-o", tmp_path / "parts", "--shard", "3/3")
    assert [request["start"] for request in asked if "start" in request] == [0, 15]  # a first row, and the shard


def test_a_whole_file_before_the_shard_is_not_opened(ran, model, tmp_path, monkeypatch):
    from smalltext_cli.readers import files

    for number in range(3):
        write(FRAME[number : number + 2], tmp_path / f"{number}.csv")
    ran("predict", model, tmp_path / "?.csv", "-o", tmp_path / "parts", "--shard", "1/3")
    opened, open_source = [], files.open_source
    monkeypatch.setattr(
        "smalltext_cli.readers.open_source",
        lambda path, *more: opened.append(Path(path).name) or open_source(path, *more),
    )
    ran("predict", model, tmp_path / "?.csv", "-o", tmp_path / "parts", "--shard", "3/3")
    assert opened == ["2.csv"]
