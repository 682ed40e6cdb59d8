import py_compile
def handler(event, context):
  open('/tmp/app.py', 'w').write("def handler(event, context): return 'byte code'")
  mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
  return open(py_compile.compile('/tmp/app.py', '/tmp/app.pyc', '/code/app.py', True, invalidation_mode=mode), 'rb').read()
