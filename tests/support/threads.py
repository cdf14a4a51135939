"""Functions that run at the same time, each in a thread of its own."""
import contextlib
import threading


@contextlib.contextmanager
def beside(functions):
    """While the block runs, so do the functions, each called with an event that is set when the block ends; at the end
    they are waited for, and what any of them raised is raised."""
    stop = threading.Event()
    failures = []

    def guarded(function):
        try:
            function(stop)
        except BaseException as error:  # noqa: BLE001 - it is raised again below
            failures.append(error)
    threads = [threading.Thread(target=guarded, args=(function,)) for function in functions]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    if failures:
        raise failures[0]


def together(functions):
    """Runs the functions to their ends; raises what any of them raised."""
    with beside([lambda _, function=function: function() for function in functions]):
        pass
