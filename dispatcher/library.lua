#!lua name=hearth
-- The directory's functions. All keys of one call share the user's hash tag, so that a cluster can run it.

-- Writes slots of one user, in order, and refuses what a writer of an older epoch says about a slot.
-- keys: u:{user}:slots, u:{user}:idle, u:{user}:instances, u:{user}:fences
-- args: fence, then for each slot: id, "container" or "instance", state, since_ms, value (empty: remove)
-- returns the number of slots that the user has now, then the ids of those that were refused
local function write(keys, args)
  local fence = tonumber(args[1])
  local refused = {}
  for i = 2, #args, 5 do
    local slot, kind, state, since, value = args[i], args[i + 1], args[i + 2], args[i + 3], args[i + 4]
    local known = tonumber(redis.call('HGET', keys[4], slot) or '0')
    if fence < known then
      table.insert(refused, slot)
    else
      local index = keys[2]
      if kind == 'instance' then index = keys[3] end
      if value == '' then
        redis.call('HDEL', keys[1], slot)
        redis.call('ZREM', index, slot)
        redis.call('HSET', keys[4], slot, args[1])  -- else a late write of an older owner would bring it back
      else
        redis.call('HSET', keys[1], slot, value)
        redis.call('HSET', keys[4], slot, args[1])
        if kind == 'instance' or state == 'idle' then
          redis.call('ZADD', index, since, slot)
        else
          redis.call('ZREM', index, slot)
        end
      end
    end
  end
  redis.call('EXPIRE', keys[4], 86400)  -- older writers are gone by then
  return {redis.call('HLEN', keys[1]), unpack(refused)}
end

-- All slots of a user. keys: u:{user}:slots
local function read(keys, args)
  return redis.call('HGETALL', keys[1])
end

redis.register_function('hearth_write', write)
redis.register_function{function_name = 'hearth_read', callback = read, flags = {'no-writes'}}
