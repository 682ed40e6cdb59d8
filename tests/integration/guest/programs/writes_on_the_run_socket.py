import os, struct, time
def answer(size):
  head = struct.pack('<III', 12 + 6 + size, 2, 6) + b'ok 1 2' + struct.pack('<I', size)
  return head + bytes(size)
def handler(event, context):
  left = memoryview(eval(event))
  try:
    while left: left = left[os.write(3, left):]
  except OSError: pass
  time.sleep(1000)
