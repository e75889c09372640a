"""The one team of threads that runs compiled programs."""

import atexit
import os
import threading

from minigrad.kernels.jit import _driver

Code = tuple[int, int]
"""The address of a program, and the number of its instructions; see `kernels.jit._driver.run`."""

_NOBODY = _driver.new_state()  # where those who work alone would meet others

# How often a thread that has nothing to do looks for a task before it sleeps: that takes some 200 us, so that the steps
# of a loop find it awake.
PATIENCE = 10_000


class Team:
    """The calling thread and others, which run programs together.

    Arguments:
        threads: of all, the caller included.
    """

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._state = _driver.new_state()
        self._door = threading.Lock()
        self._is_task_near = False
        self._asleep: dict[int, threading.Semaphore] = {}
        self._workers = [
            threading.Thread(target=self._work, args=(number,), daemon=True, name=f"minigrad-{number}")
            for number in range(1, threads)
        ]
        for worker in self._workers:
            worker.start()

    def run(self, code: Code, steps: int) -> None:
        """Run a program `steps` times, together."""
        try:
            with self._door:
                self._is_task_near = True
                self._wake()
            _driver.lead(*code, steps, self._state, self.threads)
        finally:
            self._is_task_near = False

    def close(self) -> None:
        """End the threads."""
        with self._door:
            self._state[_driver.TASK] = _driver.CLOSED
            self._wake()
        for worker in self._workers:
            worker.join()

    def _wake(self) -> None:
        for bell in self._asleep.values():
            bell.release()
        self._asleep.clear()

    def _work(self, number: int) -> None:
        task, bell = 0, threading.Semaphore(0)
        while True:
            task = _driver.serve(self._state, task, PATIENCE, number, self.threads)
            if task == _driver.CLOSED:
                return
            with self._door:
                if self._is_task_near or self._state[_driver.TASK] != task:
                    continue
                self._asleep[number] = bell
            bell.acquire()


class Pool:
    """Lends its team to one caller at a time. Another one that comes meanwhile works alone, with the same result."""

    def __init__(self) -> None:
        self._team: Team | None = None
        self._busy = threading.Lock()

    def run(self, code: Code, steps: int, threads: int) -> None:
        """Run a program `steps` times, with up to so many threads.

        Arguments:
            code: the program.
            steps: how often.
            threads: at least 1.
        """
        if threads > 1 and self._busy.acquire(blocking=False):
            try:
                self._team_of(threads).run(code, steps)
            finally:
                self._busy.release()
        else:
            _driver.run(*code, steps, _NOBODY, 0, 1)

    def _team_of(self, threads: int) -> Team:
        if self._team is None or self._team.threads != threads:
            self.close()
            self._team = Team(threads)
        return self._team

    def close(self) -> None:
        """End the threads of the team."""
        if self._team is not None:
            self._team.close()
            self._team = None


_pool = Pool()
atexit.register(lambda: _pool.close())


def run(code: Code, steps: int, threads: int) -> None:
    """Run a program in this process's pool; see `Pool.run`."""
    _pool.run(code, steps, threads)


def _begin_anew() -> None:
    """Forget the team: a forked process has none of its threads."""
    global _pool
    _pool = Pool()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)
