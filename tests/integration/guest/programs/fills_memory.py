import os
def handler(event, context):
  space = [os.statvfs(path).f_blocks * os.statvfs(path).f_frsize >> 20 for path in ('/tmp', '/dev/shm')]
  block = bytearray(event << 20)
  for at in range(0, len(block), 4096): block[at] = 1
  return [len(block) >> 20] + space
