"""The room for large images: one at a time in a process, small ones beside it."""

import threading
import time

from pipeline.images import memory
from pipeline.images.memory import room_for


def test_large_images_wait_for_each_other_and_small_ones_do_not(monkeypatch):
    monkeypatch.setattr(memory, "LARGE_PIXELS", 100)
    counting, inside, most = threading.Lock(), [0, 0], [0, 0]

    def hold(pixels):
        large = int(pixels > 100)
        with room_for(pixels):
            with counting:
                inside[large] += 1
                most[large] = max(most[large], inside[large])
            time.sleep(0.05)
            with counting:
                inside[large] -= 1

    threads = [threading.Thread(target=hold, args=(size,)) for size in (100, 101) * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most[0] > 1 and most[1] == 1


def test_a_thread_that_has_the_room_gets_it_again(monkeypatch):
    """As when the large ground truth of a large image is decoded beside it."""
    monkeypatch.setattr(memory, "LARGE_PIXELS", 100)
    done = threading.Event()

    def nested():
        with room_for(101), room_for(102):
            done.set()

    threading.Thread(target=nested, daemon=True).start()
    assert done.wait(5)


def test_the_room_is_free_again_after_an_error(monkeypatch):
    monkeypatch.setattr(memory, "LARGE_PIXELS", 100)
    done = threading.Event()

    def fail():
        try:
            with room_for(101):
                raise ValueError("a broken image")
        except ValueError:
            pass

    def next_one():
        with room_for(101):
            done.set()

    for function in (fail, next_one):
        threading.Thread(target=function, daemon=True).start()
    assert done.wait(5)
