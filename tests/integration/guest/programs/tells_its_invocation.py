import os, time
def handler(event, c):
  left = c.deadline_ms - time.time() * 1000
  return [c.invocation_id, c.function, c.version, c.attempt, c.memory_mib, 0 < left <= 20000, 0 < c.remaining_ms() <= 20000,
          os.environ['COLOUR'], os.environ['HEARTH_FUNCTION'], int(time.time()) // 1000000]
