import errno, os
def handler(event, context):
  made = 0
  try:
    while made < 100000:
      fd = os.open(f'/tmp/{made}', os.O_CREAT | os.O_WRONLY); os.close(fd); made += 1
  except OSError as error: return [made, errno.errorcode[error.errno]]
  return made
