import threading
def handler(event, context):
  threading.stack_size(65536)
  stop, made = threading.Event(), []
  try:
    while len(made) < 2000:
      thread = threading.Thread(target=stop.wait); thread.start(); made.append(thread)
  except RuntimeError: pass
  stop.set()
  for thread in made: thread.join()
  return len(made)
