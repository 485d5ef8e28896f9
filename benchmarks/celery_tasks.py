"""The baseline on Celery: prefork, late acknowledgement, no result backend since the task stores its result itself."""

import os
from typing import Any

from celery import Celery
from celery.signals import worker_ready

from benchmarks.delivering import deliver

app = Celery("benchmarks", broker=os.environ["BENCH_REDIS"])
app.conf.update(
    task_acks_late=True,
    task_ignore_result=True,
    task_serializer="json",
    accept_content=["json"],
    worker_prefetch_multiplier=16,
    worker_disable_rate_limits=True,
    worker_redirect_stdouts=False,
    worker_hijack_root_logger=False,
    worker_send_task_events=False,
    broker_connection_retry_on_startup=True,
    broker_pool_limit=16,
)
deliver_event = app.task(deliver, name="deliver")


def _say_ready(**_about: Any) -> None:
    print("worker ready", flush=True)


worker_ready.connect(_say_ready)
