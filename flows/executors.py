"""Where shards are measured: in this process, or by local worker processes that may die without harm."""

import multiprocessing
import multiprocessing.connection
import os
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Protocol

from flows.shards import Shard
from flows.walk import ShardResult, Work, run_shard


class WorkerDied(Exception):
    """The process that measured a shard is gone: killed, out of memory, or crashed in native code."""


class Executor(Protocol):
    """A shard that is lost may be submitted again: exactly-once comes from staging and ledger."""

    def submit(self, work: Work, shard: Shard, /) -> "Future[ShardResult]":
        """The future raises `WorkerDied` if nobody is left to answer."""
        ...


class InProcess:
    """Measures in this process: for tests, and where a debugger is to be had."""

    def submit(self, work: Work, shard: Shard, /) -> "Future[ShardResult]":
        future: Future[ShardResult] = Future()
        future.set_result(run_shard(work, shard))
        return future


class Pool:
    """Local worker processes, spawned afresh; a new set of them where one was broken."""

    def __init__(self, num_workers: int) -> None:
        self.num_workers = num_workers
        self._processes = self._start()

    def submit(self, work: Work, shard: Shard, /) -> "Future[ShardResult]":
        try:
            measured = self._processes.submit(run_shard, work, shard)
        except BrokenProcessPool:
            self._processes = self._start()
            measured = self._processes.submit(run_shard, work, shard)
        answer: Future[ShardResult] = Future()
        measured.add_done_callback(lambda done: _pass_on(done, answer))
        return answer

    def close(self) -> None:
        self._processes.shutdown(cancel_futures=True)

    def _start(self) -> ProcessPoolExecutor:
        spawn = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(self.num_workers, mp_context=spawn, initializer=end_with_parent)


@contextmanager
def executor(num_workers: int) -> Iterator[Executor]:
    """`num_workers` processes, or none but this one."""
    if num_workers == 0:
        yield InProcess()
        return
    pool = Pool(num_workers)
    try:
        yield pool
    finally:
        pool.close()


def end_with_parent() -> None:
    """Have this worker end when its parent does: one whose parent was killed would wait for work for ever."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _pass_on(done: "Future[ShardResult]", answer: "Future[ShardResult]") -> None:
    if done.cancelled():
        answer.cancel()
        return
    error = done.exception()
    if isinstance(error, BrokenProcessPool):
        answer.set_exception(WorkerDied(str(error)))
    elif error is not None:
        answer.set_exception(error)
    else:
        answer.set_result(done.result())
