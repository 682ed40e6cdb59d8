import os
def handler(event, context):
  read = 0
  for _ in range(2):
    for folder, _, files in os.walk('/usr/lib'):
      for name in files:
        path = os.path.join(folder, name)
        if not os.path.islink(path): read += len(open(path, 'rb').read())
  return read > 40 << 20
