import socket
def handler(event, context):
  for address in ('169.254.169.254', '10.0.2.2', '8.8.8.8'):
    try: socket.create_connection((address, 80), 2); return 'connected to ' + address
    except OSError: pass
  return 'none'
