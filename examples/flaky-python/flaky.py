"""Fails when it is told to: what hearth does then is seen from outside."""


def handler(event, context):
    if event.get("fail"):
        raise ValueError(f"told to fail, attempt {context.attempt}")
    return {"attempt": context.attempt}
