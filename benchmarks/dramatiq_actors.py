"""The baseline on Dramatiq: processes with many threads, each with its own session and connection."""

import os

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from benchmarks.delivering import deliver

dramatiq.set_broker(RedisBroker(url=os.environ["BENCH_REDIS"]))
deliver_event = dramatiq.actor(deliver)
