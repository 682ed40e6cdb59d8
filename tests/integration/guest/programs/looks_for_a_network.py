kept = []
def handler(event, context):
  wrong = []
  devices = [line.split(':')[0].strip() for line in open('/proc/net/dev').read().splitlines()[2:]]
  if devices != ['lo']: wrong.append(devices)
  routes = open('/proc/net/route').read().splitlines()[1:]
  if routes: wrong.append(routes)
  if os.path.exists('/sys/class/net') or os.path.exists('/dev/net/tun'): wrong.append('devices')
  hosts = ('169.254.169.254', '10.0.2.2', '10.0.2.3', '192.168.122.1', '172.17.0.1', '8.8.8.8', '255.255.255.255')
  for host in hosts:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
      for port in (53, 80, 443, 6379, 9092, 16509):
        with socket.socket(socket.AF_INET, kind) as s:
          got = attempt(lambda: s.connect((host, port)))
          if got not in ('ENETUNREACH', 'EACCES'): wrong.append([host, port, got])
  for host in ('fe80::1', '2001:4860:4860::8888', 'ff02::1'):
    with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as s:
      got = attempt(lambda: s.connect((host, 80, 0, 0)))
      if got not in ('ENETUNREACH', 'EADDRNOTAVAIL', 'EINVAL', 'EAFNOSUPPORT'): wrong.append([host, got])
  try: wrong.append(socket.getaddrinfo('example.org', 80))
  except OSError: pass
  for kind in (socket.SOCK_RAW,):
    got = attempt(lambda: socket.socket(socket.AF_INET, kind, 1))
    if got != 'EPERM': wrong.append(['raw', got])
  with socket.socket() as s:
    if s.connect_ex(('127.0.0.1', 4712)) == 0: wrong.append('a neighbour answers')
  kept.append(socket.create_server(('0.0.0.0', 4712)))
  return wrong
