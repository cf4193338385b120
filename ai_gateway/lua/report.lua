-- What came of a call of an endpoint: lets its place go, and moves the breaker.
-- KEYS: as in admit.lua
-- ARGV: 1 JSON {id, outcome: ok|failed|neutral, ms, connect, cool_s, cool_for, day, tokens, cost}

local told = cjson.decode(ARGV[1])
local t = redis.call('TIME')
local now = tonumber(t[1]) + tonumber(t[2]) / 1e6
redis.call('ZREM', KEYS[2], told.id)
local flat = redis.call('HGETALL', KEYS[1])
local old = {}
for i = 1, #flat, 2 do old[flat[i]] = flat[i + 1] end
local new = {}

local function number(name) return tonumber(new[name] or old[name] or 0) or 0 end
local function set(name, value) new[name] = tostring(value) end

local FIRST_OPEN_S, LONGEST_OPEN_S = 15, 300

local function open(longer)
  local open_s = number('open_s')
  open_s = open_s == 0 and FIRST_OPEN_S or (longer and math.min(open_s * 2, LONGEST_OPEN_S) or open_s)
  set('open_s', open_s)
  set('open_until', now + open_s)
  set('probe_until', 0)
  set('good', 0)
end

local function close()
  for _, name in ipairs({'open_until', 'open_s', 'good', 'calls', 'failed', 'ms', 'in_a_row'}) do
    set(name, 0)
  end
end

local fade = math.exp(-(now - number('outcomes_at')) / 30)
if told.outcome ~= 'neutral' then
  local is_bad = told.outcome == 'failed'
  set('calls', number('calls') * fade + 1)
  set('failed', number('failed') * fade + (is_bad and 1 or 0))
  set('ms', number('ms') * fade + (is_bad and 0 or told.ms))
  set('outcomes_at', now)
  set('in_a_row', is_bad and number('in_a_row') + (told.connect and 1 or 0) or 0)
  if is_bad then
    if number('open_until') > 0 then open(true)
    elseif number('in_a_row') >= 3 or (number('calls') >= 4.5 and number('failed') / number('calls') >= 0.5)
    then open(false) end
  else
    set('cool_until', 0)
    if number('open_until') > 0 then
      set('good', number('good') + 1)
      if number('good') >= 2 then close() end
    end
  end
end
set('probe_until', 0)
if told.cool_s > 0 then
  set('cool_until', now + told.cool_s)
  set('cool_for', told.cool_for)
end
local is_today = old['day'] == told.day
set('day', told.day)
set('tokens', (is_today and number('tokens') or 0) + told.tokens)
set('cost', (is_today and number('cost') or 0) + told.cost)
local flatly = {}
for name, value in pairs(new) do
  flatly[#flatly + 1] = name
  flatly[#flatly + 1] = value
end
redis.call('HSET', KEYS[1], unpack(flatly))
redis.call('EXPIRE', KEYS[1], 172800)
return 1
