"""Libraries are silent while models are loaded, and log as before after the last thread has finished."""

from __future__ import annotations

import logging as standard
import threading

import pytest

from smalltext_torch.progress import silence

logging = pytest.importorskip("transformers.utils.logging")


@pytest.fixture(autouse=True)
def talking():
    verbosity = logging.get_verbosity()
    logging.set_verbosity_info()
    logging.enable_progress_bar()
    yield
    logging.set_verbosity(verbosity)


def is_silent() -> bool:
    return logging.get_verbosity() == standard.ERROR and not logging.is_progress_bar_enabled()


def is_talking() -> bool:
    return logging.get_verbosity() == standard.INFO and logging.is_progress_bar_enabled()


def test_a_block_is_silent_and_later_messages_are_shown():
    with silence():
        assert is_silent()
    assert is_talking()


def test_an_error_ends_the_silence():
    with pytest.raises(ZeroDivisionError), silence():
        _ = 1 / 0
    assert is_talking()


def test_disabled_bars_stay_disabled():
    logging.disable_progress_bar()
    with silence():
        pass
    assert not logging.is_progress_bar_enabled()


def test_additional_libraries_can_be_silenced():
    logger = standard.getLogger("smalltext-test-library")
    logger.setLevel(standard.DEBUG)
    with silence():
        assert logger.level == standard.DEBUG
    with silence("smalltext-test-library"):
        assert logger.level == standard.ERROR
    assert logger.level == standard.DEBUG


def test_overlapping_blocks_of_two_threads_restore_everything():
    first_is_in, second_is_in, first_is_out = (threading.Event() for _ in range(3))

    def second():
        first_is_in.wait()
        with silence():
            second_is_in.set()
            first_is_out.wait()
            silent.append(is_silent())

    silent: list[bool] = []
    thread = threading.Thread(target=second)
    thread.start()
    with silence():
        first_is_in.set()
        second_is_in.wait()
    first_is_out.set()
    thread.join()
    assert silent == [True]
    assert is_talking()
