import builtins, ctypes, json, os, socket, sys
libc = ctypes.CDLL(None)
def handler(event, context):
  found = [folder for folder in ('/tmp', '/dev/shm', '/var/tmp') if os.listdir(folder)]
  found += [name for name in ('LEFT', 'LD_PRELOAD') if name in os.environ]
  found += [place.__name__ for place in (builtins, sys, json) if hasattr(place, 'LEFT')]
  if json.dumps(1) != '1' or '/tmp' in sys.path or os.umask(0o22) != 0o22: found.append('state')
  if libc.shmget(4711, 4096, 0) >= 0: found.append('segment')
  if libc.msgget(4711, 0) >= 0: found.append('queue')
  if libc.semget(4711, 1, 0) >= 0: found.append('semaphore')
  for family, address in ((socket.AF_UNIX, '\0left'), (socket.AF_INET, ('127.0.0.1', 4711))):
    if socket.socket(family).connect_ex(address) == 0: found.append(str(address))
  return found
