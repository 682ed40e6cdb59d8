import os, signal
def handler(event, context):
  made = []
  try:
    while len(made) < 2000:
      pid = os.fork()
      if pid == 0: signal.pause()
      made.append(pid)
  except OSError: pass
  for pid in made: os.kill(pid, 9)
  for pid in made: os.waitpid(pid, 0)
  return len(made)
