"""A handler of Nuclio's Python runtime. Its Kafka trigger has no output, so the handler produces the reply itself."""

import os

from confluent_kafka import Producer


def init_context(context):
    context.user_data.producer = Producer({"bootstrap.servers": os.environ["BOOTSTRAP"], "linger.ms": 0})


def handler(context, event):
    producer = context.user_data.producer
    producer.produce(os.environ["REPLIES"], key=event.body, value=event.body)
    producer.poll(0)
