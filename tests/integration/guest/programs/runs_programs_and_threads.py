import subprocess, threading, socket, sqlite3, hashlib, ssl, concurrent.futures, tempfile
def handler(event, context):
  with concurrent.futures.ThreadPoolExecutor(2) as pool: total = sum(pool.map(lambda n: n * n, range(4)))
  a, b = socket.socketpair()
  listener = socket.create_server(('127.0.0.1', 0))
  socket.create_connection(listener.getsockname())
  with tempfile.NamedTemporaryFile() as f: f.write(b'x')
  return [total, subprocess.run(['cat'], input=b'in', capture_output=True).stdout.decode(), sqlite3.connect(':memory:').execute('select 6*7').fetchone()[0]]
