"""The scripts for SLURM and Kubernetes are sound, and the lines with `smalltext` in them run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from docs.pages import TOP, blocks

FILES = {block.title: block.content for block in blocks(TOP / "docs" / "how-to" / "array-jobs.md") if block.title}
JOB = yaml.safe_load(FILES["label.yaml"])
CONTAINER = JOB["spec"]["template"]["spec"]["containers"][0]


@pytest.mark.parametrize(("shell", "script"), [("bash", FILES["label.sbatch"]), ("sh", CONTAINER["args"][0])])
def test_scripts_are_valid(shell, script):
    checked = subprocess.run([shell, "-n"], input=script, capture_output=True, encoding="utf-8", check=False)
    assert (checked.returncode, checked.stderr) == (0, "")


def test_directives_of_slurm_come_first_and_name_as_many_jobs_as_shards():
    first, *lines = FILES["label.sbatch"].splitlines()
    assert first == "#!/bin/bash"
    directives = [line for line in lines if line.startswith("#SBATCH --")]
    assert lines[: len(directives)] == directives
    assert "#SBATCH --array=1-3" in directives
    assert '"$SLURM_ARRAY_TASK_ID/3"' in lines[-1]


def test_the_job_of_kubernetes_has_as_many_completions_as_shards():
    assert (JOB["apiVersion"], JOB["kind"], JOB["spec"]["completionMode"]) == ("batch/v1", "Job", "Indexed")
    environment = {one["name"]: one["value"] for one in CONTAINER["env"]}
    assert int(environment["SHARDS"]) == JOB["spec"]["completions"] >= JOB["spec"]["parallelism"]
    mounted = {one["name"] for one in CONTAINER["volumeMounts"]}
    assert mounted == {one["name"] for one in JOB["spec"]["template"]["spec"]["volumes"]}


@pytest.mark.nightly
def test_the_containers_of_kubernetes_label_all_rows(smalltext, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mails.csv").write_text("text,label\n" + "buy pills,spam\nlunch today,ham\n" * 6)
    assert smalltext("train", "mails.csv", "-c", "sklearn", "-o", "model", "--held-out", 0).code == 0
    Path("pool.jsonl").write_text("".join(json.dumps({"id": n, "text": "buy pills"}) + "\n" for n in range(5)))
    scripts = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for index in range(2):
        environment = {**os.environ, "PATH": scripts, "SHARDS": "2", "JOB_COMPLETION_INDEX": str(index)}
        subprocess.run([*CONTAINER["command"], *CONTAINER["args"]], env=environment, check=True)
    assert smalltext("merge", "parts", "-o", "all.jsonl").code == 0
    assert [json.loads(line)["id"] for line in Path("all.jsonl").read_text().splitlines()] == list(range(5))
