"""Loading, listing and creating classifiers in several threads, while plugins are added and removed."""

from __future__ import annotations

COUNTED = """
import threading
from concurrent.futures import ThreadPoolExecutor

registry = sys.modules["smalltext_core.registry"]
scans, loads = [], []
scan, load = registry.entry_points, registry.random_state_kept

def counted_scan(**selection):
    scans.append(selection)
    return scan(**selection)

def counted_load(module):
    loads.append(module)
    return load(module)

registry.entry_points, registry.random_state_kept = counted_scan, counted_load

def at_once(work, threads=32):
    start = threading.Barrier(threads)
    def begin(number):
        start.wait()
        return work(number)
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(begin, range(threads)))
"""


def test_the_first_listing_in_many_threads_loads_each_plugin_once_and_is_complete_in_each(ask):
    listings, resolved, scans, loads = ask(
        COUNTED
        + """
def look(number):
    names = list(st.classifiers())
    spec = st.classifier_spec("majority")
    parts = [spec.resolve(part).__name__ for part in ("builder", "classifier", "factory")]
    classifier = st.create_classifier("majority", num_classes=2).fit(st.TextDataset(["a"], [1]))
    return names, parts, classifier.predict(st.TextDataset(["b"])).tolist()

found = at_once(look)
answer([[names for names, _, _ in found], [rest for _, *rest in found], len(scans), sorted(loads)])
""",
        "works",
        "several",
        "raises_on_import",
    )
    assert listings == [["first", "majority", "second"]] * 32
    assert resolved == [[["build", "Classifier", "Factory"], [1]]] * 32
    assert scans == 1
    assert loads == ["acme_raises_on_import.plugin", "acme_several.plugin", "acme_works.plugin"]


def test_listing_again_reads_no_files(ask):
    scans, same = ask(
        COUNTED
        + """
first = st.classifiers()
for _ in range(100):
    again = st.classifiers()
    st.plugins(), st.classifier_spec("majority"), st.create_factory("majority", num_classes=2)
answer([len(scans), again is first])
""",
        "works",
        "raises_on_import",
    )
    assert scans == 1
    assert same


def test_refresh_during_listing_and_creating_never_gives_an_incomplete_list(ask):
    listings, wrong = ask(
        COUNTED
        + """
def work(number):
    seen = set()
    for turn in range(15):
        if number % 4 == 0:
            st.refresh()
        seen.add(tuple(st.classifiers()))
        classifier = st.create_classifier("majority", num_classes=2).fit(st.TextDataset(["a"], [1]))
        seen.add(classifier.predict(st.TextDataset(["b"])).tolist() == [1])
    return seen

seen = set().union(*at_once(work, threads=12))
answer([[list(one) for one in seen if isinstance(one, tuple)], False in seen])
""",
        "works",
        "several",
    )
    assert listings == [["first", "majority", "second"]]
    assert not wrong


def test_a_plugin_that_lists_classifiers_while_it_is_loaded_gets_an_error_and_affects_no_other(ask, tmp_path):
    metadata = tmp_path / "asks-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: asks\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[smalltext]\nasks = asks\n")
    (tmp_path / "asks.py").write_text("import smalltext_core\nprint(list(smalltext_core.classifiers()))\n")
    names, status, refused = ask(
        "answer([list(st.classifiers()), listed(), refusal('asks')])", "works", folders=(tmp_path,)
    )
    assert names == ["majority"]
    assert status == {"acme-works": "ready", "asks": "broken"}
    assert refused[0] == refused[2] == "PluginError"
    assert "Ask on first use, in a function" in refused[3]


def test_a_child_forked_while_another_thread_lists_can_list(ask):
    assert ask(
        """
        import os, threading
        registry = sys.modules["smalltext_core.registry"]
        load, begun, forking = registry.random_state_kept, threading.Event(), threading.Event()
        os.register_at_fork(before=forking.set)

        def slow(module):
            begun.set()
            forking.wait()
            return load(module)

        registry.random_state_kept = slow
        looking = threading.Thread(target=st.classifiers)
        looking.start()
        begun.wait()
        child = os.fork()
        if child == 0:
            import signal
            signal.alarm(1800)  # a child that waits for ever ends by this signal
            os._exit(0 if list(st.classifiers()) == ["majority"] else 1)
        answer(os.waitpid(child, 0)[1])
        """,
        "works",
    ) == 0  # fmt: skip


UNINSTALL = """
import pathlib, shutil, sys
import smalltext_core as st

room = pathlib.Path({room!r})

def install(source):
    shutil.copytree(source, room, dirs_exist_ok=True)

def uninstall():
    for path in room.iterdir():
        shutil.rmtree(path)
"""


def test_refresh_detects_removed_plugins_whose_classifiers_still_work(ask, install, tmp_path):
    before, kept, after, refused, labels, module = ask(
        UNINSTALL.format(room=str(tmp_path))
        + f"""
install({str(install("works"))!r})
before = list(st.classifiers())
classifier = st.create_classifier("majority", num_classes=2).fit(st.TextDataset(["a"], [1]))
uninstall()
kept = list(st.classifiers())
st.refresh()
labels = classifier.predict(st.TextDataset(["b"])).tolist()
modules = [name for name in sys.modules if name.startswith("acme_works")]
answer([before, kept, list(st.classifiers()), refusal("majority"), labels, modules])
""",
        folders=(tmp_path,),
    )
    assert (before, kept, after) == (["majority"], ["majority"], [])
    assert refused[0] == "UnknownClassifierError"
    assert labels == [1]
    assert module == []


def test_another_version_that_is_installed_after_a_removal_is_loaded(ask, install, tmp_path):
    assert ask(
        UNINSTALL.format(room=str(tmp_path))
        + f"""
install({str(install("works"))!r})
first = st.classifier_spec("majority").summary
uninstall()
st.refresh()
st.classifiers()
install({str(install("works"))!r})
plugin = room / "acme_works" / "plugin.py"
plugin.write_text(plugin.read_text().replace(first, "Another version"))
st.refresh()
factory = st.create_factory("majority", num_classes=2)
answer([st.classifier_spec("majority").summary, factory.new().fit(st.TextDataset(["a"], [1])).num_classes])
""",
        folders=(tmp_path,),
    ) == ["Another version", 2]


def test_a_plugin_that_was_repaired_works_after_refresh(ask, install, tmp_path):
    before, after = ask(
        UNINSTALL.format(room=str(tmp_path))
        + f"""
install({str(install("raises_on_import"))!r})
before = listed()
(room / "acme_raises_on_import" / "plugin.py").write_text(
    pathlib.Path({str(install("works") / "acme_works" / "plugin.py")!r}).read_text()
)
st.refresh()
answer([before, listed()])
""",
        folders=(tmp_path,),
    )
    assert before == {"acme-raises-on-import": "broken"}
    assert after == {"acme-raises-on-import": "ready"}
