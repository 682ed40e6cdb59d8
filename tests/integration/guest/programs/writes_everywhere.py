import os
def handler(event, context):
  for fd in (1, 2): os.write(fd, event)
  os.write(3, event)
  return 1
