import os, signal, time
def handler(event, context):
  if os.fork() == 0:
    os.setsid()
    for number in range(1, 65):
      try: signal.signal(number, signal.SIG_IGN)
      except (OSError, ValueError): pass
    if os.fork() != 0: os._exit(0)
    for fd in range(3): os.close(fd)
    while True: time.sleep(100)
  os.wait()
  return 'left'
