-- May this call of an endpoint begin? One script, so one answer whatever machines ask at once.
-- The clock is Redis's own: skew between the machines that ask does not matter.
-- KEYS: 1 the endpoint's state, 2 its calls in flight (id scored by when it is given up for dead)
-- ARGV: 1 JSON {id, lease_s, fingerprint, last, exempt, lag_s, day,
--               max_qps, max_in_flight, max_error_rate, max_latency_ms, max_queue_lag_s,
--               max_daily_tokens, max_daily_cost, divert, resume_at}; an absent limit is none
-- Returns {verdict, reason}: go, probe (go, on trial), skip (ask the next), divert (to the rules).

local ask = cjson.decode(ARGV[1])
local t = redis.call('TIME')
local now = tonumber(t[1]) + tonumber(t[2]) / 1e6
local flat = redis.call('HGETALL', KEYS[1])
local old = {}
for i = 1, #flat, 2 do old[flat[i]] = flat[i + 1] end
local new = {}

local function number(name) return tonumber(new[name] or old[name] or 0) or 0 end
local function set(name, value) new[name] = tostring(value) end

-- Arrivals: this second and the last one, sliding.
local second = math.floor(now)
if number('second') ~= second then
  set('before', number('second') == second - 1 and number('arrived') or 0)
  set('second', second)
  set('arrived', 0)
end
set('arrived', number('arrived') + 1)
local qps = number('before') * (1 - (now - second)) + number('arrived')

-- Outcomes of about the last minute, fading.
local fade = math.exp(-(now - number('outcomes_at')) / 30)
local calls, failed, ms = number('calls') * fade, number('failed') * fade, number('ms') * fade
local seen_fade = math.exp(-(now - number('seen_at')) / 30)
set('seen', number('seen') * seen_fade + 1)
set('diverted', number('diverted') * seen_fade)
set('seen_at', now)

-- One call in each `every` seconds passes where none may: how else would we see it is well again?
local function trickle(name, every)
  if now - number(name) < every then return false end
  set(name, now)
  return true
end

-- Above the limit: on; below a part of it: off; between the two: as it was.
local function over(name, value, limit)
  if not limit then
    if old['over_' .. name] then set('over_' .. name, 0) end
    return false
  end
  if value > limit then set('over_' .. name, 1)
  elseif value < limit * ask.resume_at then set('over_' .. name, 0) end
  return number('over_' .. name) == 1
end

local function broken()
  if number('cool_until') > now and (old['cool_for'] == '' or old['cool_for'] == ask.fingerprint) then
    if ask.last and trickle('trickled_at', 2) then return 'probe', 'cooling' end
    return 'skip', 'cooling'
  end
  local open_until = number('open_until')
  if open_until == 0 then return nil end
  if open_until > now then
    if ask.last and trickle('trickled_at', 2) then return 'probe', 'circuit_open' end
    return 'skip', 'circuit_open'
  end
  if number('probe_until') > now then return 'skip', 'half_open' end
  set('probe_until', now + ask.lease_s)
  return 'probe', 'half_open'
end

local function spent()
  if old['day'] ~= ask.day then return false end
  return (ask.max_daily_tokens and number('tokens') >= ask.max_daily_tokens)
    or (ask.max_daily_cost and number('cost') >= ask.max_daily_cost)
end

-- Whether one call of those above a limit goes to the rules: all, or as large a part as it is over.
local function surplus(name, value, limit)
  if ask.divert == 'all' then return not trickle('trickled_at', 2) end
  set('owed_' .. name, number('owed_' .. name) + math.min(0.95, math.max(0.5, 1 - limit / value)))
  if number('owed_' .. name) < 1 then return false end
  set('owed_' .. name, number('owed_' .. name) - 1)
  return true
end

local function too_many()
  if not ask.max_qps then return over('qps', 0, nil) end
  local is_over = over('qps', qps, ask.max_qps)
  if ask.divert == 'all' then return is_over end
  local room = math.max(1, ask.max_qps)
  local tokens = old['room_at'] and number('room') + (now - number('room_at')) * ask.max_qps or room
  tokens = math.min(room, tokens)
  set('room_at', now)
  set('room', tokens >= 1 and tokens - 1 or tokens)
  return tokens < 1
end

local function limited()
  local rate, mean = calls >= 4.5 and failed / calls or 0, 0
  if calls - failed >= 0.9 then mean = ms / (calls - failed) end
  if spent() then return 'budget' end
  if ask.exempt then return nil end
  if over('queue_lag', ask.lag_s, ask.max_queue_lag_s) and
    surplus('queue_lag', ask.lag_s, ask.max_queue_lag_s) then return 'queue_lag' end
  if over('error_rate', rate, ask.max_error_rate) and
    surplus('error_rate', rate, ask.max_error_rate) then return 'error_rate' end
  if over('latency', mean, ask.max_latency_ms) and
    surplus('latency', mean, ask.max_latency_ms) then return 'latency' end
  redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
  if ask.max_in_flight and redis.call('ZCARD', KEYS[2]) >= ask.max_in_flight then
    return 'in_flight'
  end
  if too_many() then return 'qps' end
  return nil
end

local verdict, reason = broken()
if verdict ~= 'skip' then
  local limit = limited()
  if limit then
    if verdict == 'probe' then set('probe_until', 0) end
    verdict, reason = limit == 'budget' and 'skip' or 'divert', limit
    if verdict == 'divert' then set('diverted', number('diverted') + 1) end
  end
end
if not verdict then verdict, reason = 'go', '' end
if verdict == 'go' or verdict == 'probe' then
  redis.call('ZADD', KEYS[2], now + ask.lease_s, ask.id)
  redis.call('EXPIRE', KEYS[2], 3600)
end
local flatly = {}
for name, value in pairs(new) do
  flatly[#flatly + 1] = name
  flatly[#flatly + 1] = value
end
redis.call('HSET', KEYS[1], unpack(flatly))
redis.call('EXPIRE', KEYS[1], 172800)
return {verdict, reason}
