#!lua name=hearth
-- The directory's functions. All keys of one call share the user's hash tag, so that a cluster can run it.

local OWNER_SECONDS = 15     -- a dispatcher that wrote nothing about a user for so long shares it no more
local CLAIM_SECONDS = 10     -- a claim that came to nothing is void after that
local KEEP_SECONDS = 86400   -- of fences and claims: older writers are gone by then

local function now() return tonumber(redis.call('TIME')[1]) end

-- How many dispatchers have written about the user or read it lately, after `writer` has been noted as one of them.
local function note_owner(key, writer)
  local at = now()
  redis.call('ZADD', key, at, writer)
  redis.call('ZREMRANGEBYSCORE', key, '-inf', '(' .. (at - OWNER_SECONDS))
  redis.call('EXPIRE', key, OWNER_SECONDS)
  return redis.call('ZCARD', key)
end

-- Writes slots of one user, in order. What an executor said of a slot earlier does not replace what it said later: the
-- fence of a write is the time of the change, which the executor gives and which never falls.
-- keys: u:{user}:slots, u:{user}:idle, u:{user}:instances, u:{user}:fences, u:{user}:claims, u:{user}:owners
-- args: writer, then for each slot: id, "container" or "instance", state, since_ms, value (empty: remove)
-- returns the number of slots and of owners that the user has now, then the ids of those that were refused
local function write(keys, args)
  local refused = {}
  for i = 2, #args, 5 do
    local slot, kind, state, since, value = args[i], args[i + 1], args[i + 2], args[i + 3], args[i + 4]
    local known = tonumber(redis.call('HGET', keys[4], slot) or '0')
    if tonumber(since) < known then
      table.insert(refused, slot)
    else
      local index = keys[2]
      if kind == 'instance' then index = keys[3] end
      if value == '' then
        redis.call('HDEL', keys[1], slot)
        redis.call('ZREM', index, slot)
        redis.call('HDEL', keys[5], slot)
        redis.call('HSET', keys[4], slot, since)  -- else a late write would bring it back
      else
        redis.call('HSET', keys[1], slot, value)
        redis.call('HSET', keys[4], slot, since)
        if kind == 'instance' or state == 'idle' then
          redis.call('ZADD', index, since, slot)
        else
          redis.call('ZREM', index, slot)
        end
      end
    end
  end
  redis.call('EXPIRE', keys[4], KEEP_SECONDS)
  return {redis.call('HLEN', keys[1]), note_owner(keys[6], args[1]), unpack(refused)}
end

-- Claims an idle container for one dispatcher. The fence of a claim is the moment since which the container is idle: each
-- idle period can be claimed once, so two dispatchers that both see it idle do not both count on it.
-- keys: u:{user}:claims
-- args: dispatcher, slot, since_ms
-- returns 1 where it was set or was the dispatcher's already, else 0
local function claim(keys, args)
  local dispatcher, slot, since = args[1], args[2], tonumber(args[3])
  local at = now()
  local held = redis.call('HGET', keys[1], slot)
  if held then
    local held_since, held_at, holder = string.match(held, '^(%d+) (%d+) (.*)$')
    local void = at - tonumber(held_at) > CLAIM_SECONDS
    if not void and holder ~= dispatcher and since <= tonumber(held_since) then return 0 end
  end
  redis.call('HSET', keys[1], slot, string.format('%.0f %.0f %s', since, at, dispatcher))
  redis.call('EXPIRE', keys[1], KEEP_SECONDS)
  return 1
end

-- Removes slots of an executor that is gone, unless somebody else's executor has them by now.
-- keys: u:{user}:slots, u:{user}:idle, u:{user}:instances, u:{user}:claims
-- args: executor, then ids of slots
-- returns the number of slots that the user has left
local function reap(keys, args)
  for i = 2, #args do
    local value = redis.call('HGET', keys[1], args[i])
    local known, slot = pcall(cmsgpack.unpack, value or '')
    if value and (not known or type(slot) ~= 'table' or slot['executor'] == args[1]) then
      redis.call('HDEL', keys[1], args[i])
      redis.call('ZREM', keys[2], args[i])
      redis.call('ZREM', keys[3], args[i])
      redis.call('HDEL', keys[4], args[i])
    end
  end
  return redis.call('HLEN', keys[1])
end

-- All slots of a user. keys: u:{user}:slots
local function read(keys, args)
  return redis.call('HGETALL', keys[1])
end

redis.register_function('hearth_write', write)
redis.register_function('hearth_claim', claim)
redis.register_function('hearth_reap', reap)
redis.register_function{function_name = 'hearth_read', callback = read, flags = {'no-writes'}}
