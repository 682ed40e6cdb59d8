import os, errno
def handler(event, context):
  answer = []
  for folder in ('/tmp', '/dev/shm'):
    space = os.statvfs(folder)
    answer.append([space.f_blocks * space.f_frsize >> 20, space.f_files <= 65536])
  with open('/tmp/sparse', 'wb') as file:
    for size in (256 << 20, 1 << 40, (1 << 63) - 1):
      try: os.ftruncate(file.fileno(), size); answer.append(size)
      except OSError as error: answer.append(errno.errorcode[error.errno])
  answer.append(os.stat('/tmp/sparse').st_blocks)
  for folder in ('', 'code', 'usr', 'dev', 'proc', 'var/tmp', 'etc', 'run', 'home', 'root'):
    try: open(f'/{folder}/x', 'w'); answer.append(folder)
    except OSError: pass
  return answer
