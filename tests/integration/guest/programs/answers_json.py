class Odd: pass
def handler(event, context):
  if event == 'odd': return [Odd()]
  if event == 'self':
    circle = []; circle.append(circle); return circle
  if event == 'nan': return [float('nan')]
  return {'is': event, 'attempt': context.attempt}
