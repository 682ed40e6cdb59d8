import os, socket
def handler(event, context):
  seen = sorted(os.listdir('/tmp')), sorted(os.listdir('/dev/shm')), [p for p in os.listdir('/proc') if p.isdigit()]
  open('/tmp/' + event, 'w').close()
  open('/dev/shm/' + event, 'w').close()
  return [*seen, os.getuid(), os.listdir('/code')]
