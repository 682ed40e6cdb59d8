"""The smallest function: greets whoever the event names."""


def handler(event, context):
    print(f"greeting for {context.invocation_id}")
    return {"greeting": f"Hello, {event.get('name', 'world')}!", "attempt": context.attempt}
