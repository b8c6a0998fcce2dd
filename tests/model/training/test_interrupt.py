"""Ctrl-C is held back once, and never lost."""

import signal
import threading

import pytest

from model.training.interrupt import interrupt_held


def press():
    signal.raise_signal(signal.SIGINT)


def test_the_first_is_held_back_and_the_second_is_not():
    done = []
    with pytest.raises(KeyboardInterrupt), interrupt_held() as interrupted:
        assert not interrupted()
        press()
        assert interrupted()
        done.append("the step")
        press()
        done.append("what follows")
    assert done == ["the step"]
    with pytest.raises(KeyboardInterrupt):  # as ever
        press()


def test_one_that_nobody_asked_about_comes_at_the_end():
    with pytest.raises(KeyboardInterrupt), interrupt_held():
        press()


def test_an_error_goes_before_it():
    with pytest.raises(ZeroDivisionError), interrupt_held():
        press()
        _ = 1 / 0


@pytest.mark.parametrize("handler", [signal.SIG_IGN, lambda signum, frame: None])
def test_who_handles_it_already_goes_on_to(handler):
    before = signal.signal(signal.SIGINT, handler)
    try:
        with interrupt_held() as interrupted:
            press()
            assert not interrupted() and signal.getsignal(signal.SIGINT) is handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_beside_the_main_thread_it_is_left_alone():
    found = []

    def work():
        with interrupt_held() as interrupted:
            found.append((interrupted(), signal.getsignal(signal.SIGINT)))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [(False, signal.default_int_handler)]
