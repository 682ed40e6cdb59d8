import os, random, secrets, socket, tempfile, uuid
import ssl
def handler(event, context):
  machine = open('/etc/machine-id').read()
  try: open('/etc/machine-id', 'w'); machine += 'changed'
  except OSError: pass
  return [machine, socket.gethostname(), os.urandom(16).hex(), str(uuid.uuid4()), str(uuid.uuid1()), random.random(), secrets.token_hex(8),
          ssl.RAND_bytes(16).hex(), next(tempfile._get_candidate_names()), hex(id(object()))][:9]
