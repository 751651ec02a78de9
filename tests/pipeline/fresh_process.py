"""A process of its own for what a test measures, or for what it would leave behind."""

import concurrent.futures
import multiprocessing


def in_a_fresh_process(function, *arguments):
    """Calls a function of a module in a new Python process; returns its result."""
    spawn = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=spawn) as pool:
        return pool.submit(function, *arguments).result()
