import builtins, ctypes, json, os, socket, subprocess, sys, time
libc = ctypes.CDLL(None)
kept = []
def handler(event, context):
  for folder in ('/tmp', '/dev/shm', '/var/tmp'):
    try: open(folder + '/left', 'w').write('left')
    except OSError: pass
  os.environ['LEFT'] = os.environ['LD_PRELOAD'] = '/tmp/left'
  builtins.LEFT = sys.LEFT = json.LEFT = 'left'
  json.dumps = lambda *a, **k: 'poisoned'
  json.JSONEncoder.encode = lambda *a: 'poisoned'
  sys.path.insert(0, '/tmp')
  os.umask(0)
  segment = libc.shmget(4711, 4096, 0o1666)
  queue = libc.msgget(4711, 0o1666)
  semaphore = libc.semget(4711, 1, 0o1666)
  for family, address in ((socket.AF_UNIX, '\0left'), (socket.AF_INET, ('127.0.0.1', 4711))):
    kept.append(socket.socket(family)); kept[-1].bind(address); kept[-1].listen()
  return [segment >= 0, queue >= 0, semaphore >= 0]
