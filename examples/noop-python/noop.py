"""Does nothing: what is left of an invocation's time is hearth's own. `tools/dev bench warm` measures it."""


def handler(event, context):
    return None
