"""A task that does nothing; broker and results in Redis. The worker: celery -A tasks worker --pool prefork."""

import os

from celery import Celery

URL = f"redis://127.0.0.1:{os.environ['REDIS_PORT']}/1"
app = Celery("tasks", broker=URL, backend=URL)
app.conf.worker_hijack_root_logger = False


@app.task
def noop(value):
    return value
