import os, resource
def handler(event, context):
  held = []
  try:
    while len(held) < 5000: held.append(os.open('/dev/null', 0))
  except OSError: pass
  for fd in held: os.close(fd)
  try: resource.setrlimit(resource.RLIMIT_NOFILE, (1025, 1025)); return 'raised'
  except (ValueError, OSError): return len(held)
