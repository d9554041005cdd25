"""Several processes give the results of one, in order; the death of a process is an error that skips no text."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
from functools import partial
from itertools import count, islice
from pathlib import Path

import pytest

from scale.stand_ins import UnpicklableError, killed_by, leaving_at, lengths, refusing, terminated_at
from smalltext_core.errors import InvalidInputError, ModelFolderError
from smalltext_scale import BatchScorer, WorkerError, workers
from smalltext_scale.workers import device_names, predict_in_processes, worker_devices


@pytest.mark.nightly
@pytest.mark.parametrize("several", [False, True], ids=["one", "several"])
def test_a_stream_is_labelled_in_order_by_two_processes(several, model, multi_label_model):
    texts = [f"{'very ' * (number * 7 % 5)}{('good', 'bad')[number % 2]} film" for number in range(60)]
    scorer = BatchScorer(multi_label_model if several else model, proba=True)
    assert list(scorer.predict_iter(texts, 1, workers=2)) == list(scorer.predict_iter(texts))


def test_an_infinite_stream_is_read_two_batches_a_process_ahead():
    numbers = count()
    batches = ([str(number)] for number in numbers)
    found = predict_in_processes([lengths] * 2, batches)
    assert [texts for texts, _ in islice(found, 20)] == [[str(number)] for number in range(20)]
    assert next(numbers) <= 20 + 4
    found.close()


def test_no_texts_give_no_predictions():
    assert list(predict_in_processes([lengths], [])) == []


def test_ctrl_c_reaches_no_process_not_even_one_that_is_starting():
    def interrupted():
        for process in multiprocessing.active_children():
            os.kill(process.pid, signal.SIGINT)
        yield ["a"]

    assert [texts for texts, _ in predict_in_processes([lengths] * 2, interrupted())] == [["a"]]


@pytest.mark.parametrize(
    ("ends", "how"),
    [
        (killed_by, "was ended by SIGKILL.*when memory runs out: use fewer workers"),
        (terminated_at, "was ended by SIGTERM"),
        (leaving_at, "exit code 3"),
    ],
)
def test_a_process_that_dies_is_an_error_and_no_text_is_skipped(ends, how):
    batches = [[f"text {number}"] for number in range(10)]
    found = []
    scored = predict_in_processes([partial(ends, "text 6")] * 2, batches)
    with pytest.raises(WorkerError, match=rf"worker \d of 2 .*{how}"):
        found.extend(texts for texts, _ in scored)
    assert found == batches[: len(found)]
    assert len(found) <= 6


@pytest.mark.parametrize("read", [20, 3], ids=["all", "some"])
def test_processes_leave_no_semaphores(read, tmp_path):
    """The resource tracker of Python warns of those of a process that was ended by a signal."""
    script = tmp_path / "script.py"
    script.write_text(
        "from itertools import islice\n"
        "from scale.stand_ins import locking\n"
        "from smalltext_scale.workers import predict_in_processes\n"
        "if __name__ == '__main__':\n"
        "    scored = predict_in_processes([locking] * 2, [['a']] * 20)\n"
        f"    assert len(list(islice(scored, {read}))) == {read}\n"
        "    scored.close()\n"
    )
    tests = str(Path(__file__).parents[1])
    path = os.pathsep.join(filter(None, (tests, os.environ.get("PYTHONPATH"))))
    ended = subprocess.run(
        [sys.executable, script],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")


def test_an_exception_in_a_process_is_raised():
    error = ModelFolderError("no model")
    with pytest.raises(ModelFolderError, match="no model"):
        list(predict_in_processes([partial(refusing, error)], [["a"]]))


def test_an_exception_that_cannot_be_pickled_is_described():
    assert str(workers._picklable(UnpicklableError("one"))) == "UnpicklableError in a worker: one"
    error = InvalidInputError("a", "b", "c")
    assert workers._picklable(error) is error
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_a_script_without_a_main_guard_gets_an_error_with_advice(model, tmp_path):
    script = tmp_path / "script.py"
    call = f"list(smalltext_scale.BatchScorer({model!r}).predict_iter(['good'], workers=2))"
    script.write_text(f"import smalltext_scale\n{call}\n")
    ended = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "WorkerError: worker 1 of 2 ended with exit code 1" in ended.stderr
    assert 'needs `if __name__ == "__main__":` around that' in ended.stderr


def test_processes_share_the_threads_of_the_machine(monkeypatch):
    for name in workers._THREADS:
        monkeypatch.delenv(name, raising=False)
    with workers._threads_of_children(3):
        assert os.environ["OMP_NUM_THREADS"] == "3"
    assert "OMP_NUM_THREADS" not in os.environ
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "2")
    with workers._threads_of_children(3):
        assert "OMP_NUM_THREADS" not in os.environ


@pytest.mark.parametrize(
    ("number", "devices", "expected"),
    [
        (None, None, []),
        (1, None, []),
        (3, None, ["cpu"] * 3),
        (None, "cuda:0, cuda:1", ["cuda:0", "cuda:1"]),
        (4, "cuda:0,cuda:1", ["cuda:0", "cuda:1"] * 2),
        (None, ["cuda:1"], ["cuda:1"]),
        (None, "all", ["cuda:0", "cuda:1"]),
    ],
)
def test_processes_are_divided_among_devices(number, devices, expected, monkeypatch):
    monkeypatch.setattr(workers, "_cuda_devices", lambda: 2)
    assert worker_devices(number, devices, "cpu") == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"workers": 0}, "workers: got 0; allowed: an int, 1 or above, or None"),
        ({"workers": 1.5}, "workers: got 1.5"),
        ({"devices": ""}, "devices: got ''; allowed: 'all', or devices such as 'cuda:0,cuda:1'"),
        ({"devices": []}, r"devices: got \[\]"),
        ({"devices": "cuda:0,"}, "devices: got 'cuda:0,'"),
    ],
)
def test_wrong_arguments_are_refused_before_a_process_starts(arguments, message, model):
    with pytest.raises(InvalidInputError, match=message):
        BatchScorer(model).predict_iter(["good"], **arguments)


def test_all_devices_of_a_machine_without_any_are_refused(monkeypatch):
    monkeypatch.setattr(workers, "_cuda_devices", lambda: 0)
    with pytest.raises(InvalidInputError, match=r"there is no CUDA device.*workers=N"):
        device_names("all")
