/**
 * The atomic steps of lanes as Redis scripts. Each is one command, and runs whole or not at all: what may be
 * refused (a full memory, a read-only replica, a broken record) is met before or with the first write.
 *
 * The keys of one lane lie in one slot of a cluster:
 * - `lane`, a hash: of the running turn `run` (its event), `turn` (JSON of key and body), `platform`, `fence`,
 *   `owner`, `until` (ms), `attempt`, `claimed`, `facts`, `merged`; of each waiting turn `t:EVENT` (its JSON)
 *   and `m:EVENT` (what follows in `waiting`). Gone when the lane is idle.
 * - `queue`, a list: the events that wait.
 * - `seen`, one key per event: empty when it was taken, or what its parked turn had come to. It expires.
 * - `record`: the session's, as Keyv keeps it.
 * Outside the slot: `leases`, a sorted set of the lanes that have turns, by when to look at them (the last key,
 * but not on a cluster), and `owners`, a sorted set of the processes, by how long they are taken for alive.
 *
 * All times are the server's, so that no process's clock matters. Numbers of more than 14 digits travel as
 * text: Lua's own conversion and cjson would round them.
 */
const prelude = `
local me = cjson.decode(ARGV[1])
local event = ARGV[2]
local lane, queue, record, seen = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local answer = {}

local function text(number) return string.format('%.0f', number) end

-- When takeOver shall look at this lane; never, without a score. Too early does no harm.
local function index(score)
  if not me.indexed then
    answer.score = score and text(score) or ''
  elseif score then
    redis.call('ZADD', KEYS[#KEYS], text(score), me.lane)
  else
    redis.call('ZREM', KEYS[#KEYS], me.lane)
  end
end

-- Whether the owner gives signs of life, and listens. A cluster's node sees neither by itself: there, all are
-- alive that the caller does not know to be dead.
local function alive(owner)
  if owner == '' then return false end
  if me.dead then
    for _, known in ipairs(me.dead) do
      if known == owner then return false end
    end
    return true
  end
  local untilThen = redis.call('ZSCORE', me.owners, owner)
  if not untilThen or tonumber(untilThen) <= now then return false end
  return redis.call('PUBSUB', 'NUMSUB', me.channel .. owner)[2] > 0
end

local function tell(owner, what, event)
  if owner ~= '' then
    redis.call('PUBLISH', me.channel .. owner, cjson.encode({ is = what, lane = me.lane, event = event }))
  end
end

local function canTake(platform)
  if not me.platforms then return false end
  if platform == '' then return true end
  for _, known in ipairs(me.platforms) do
    if known == platform then return true end
  end
  return false
end

-- A fence is the server's time in microseconds: it grows also when the lane, or all data, is forgotten.
local function hold(owner, lease, attempt, claimed)
  local last = tonumber(redis.call('HGET', lane, 'fence') or 0)
  local fence = math.max(time[1] * 1000000 + time[2], last + 1)
  redis.call('HSET', lane, 'fence', text(fence), 'owner', owner, 'until', text(now + lease),
    'attempt', attempt, 'claimed', claimed)
end

local function grant()
  local fields = redis.call('HMGET', lane, 'turn', 'fence', 'attempt', 'platform', 'facts', 'merged')
  return { turn = fields[1], fence = fields[2], attempt = fields[3], platform = fields[4], facts = fields[5],
    merged = fields[6], record = redis.call('GET', record) }
end

local function waiting(event) return cjson.decode(redis.call('HGET', lane, 'm:' .. event)) end

-- How many of those that wait run as one turn, from the first on.
local function countMerged(events, first)
  if first.overlap ~= 'merge' and first.overlap ~= 'interrupt' then return 1 end
  for place = 2, #events do
    local other = waiting(events[place])
    if other.overlap ~= first.overlap or other.mergeKey ~= first.mergeKey then return place - 1 end
  end
  return #events
end

-- Grants an idle lane to those that wait: to their owner, or to this one where that is gone. If neither can
-- have it, takeOver shall find it.
local function grantNext()
  local events = redis.call('LRANGE', queue, 0, -1)
  if #events == 0 then
    redis.call('DEL', lane)
    return index()
  end
  local count = countMerged(events, waiting(events[1]))
  local event = events[count]
  local carrier = waiting(event)
  local owner, lease = carrier.owner, carrier.lease
  if not alive(owner) then
    if not canTake(carrier.platform) then return index(now) end
    owner, lease = me.owner, me.lease
  end
  local merged = {}
  for place = 1, count - 1 do
    local earlier = events[place]
    tell(waiting(earlier).owner, 'merged', earlier)
    merged[place] = redis.call('HGET', lane, 't:' .. earlier)
    redis.call('HDEL', lane, 't:' .. earlier, 'm:' .. earlier)
  end
  local turn = redis.call('HGET', lane, 't:' .. event)
  redis.call('HDEL', lane, 't:' .. event, 'm:' .. event, 'facts', 'merged')
  redis.call('LTRIM', queue, count, -1)
  redis.call('HSET', lane, 'run', event, 'turn', turn, 'platform', carrier.platform)
  if carrier.facts then redis.call('HSET', lane, 'facts', carrier.facts) end
  if count > 1 then redis.call('HSET', lane, 'merged', cjson.encode(merged)) end
  -- The attempt counts when the owner claims it: one that is dead by now never runs it.
  hold(owner, lease, carrier.attempt, 0)
  index(now + lease)
  if owner == me.owner then answer.next = event else tell(owner, 'granted', event) end
end

-- Writes to a full memory are refused only as a script's first write. What ends or keeps a turn that was taken
-- must go through.
local function writeInAnyCase() redis.call('HDEL', lane, '') end

-- Whether the lane is without a trace although the grant is not old: the server lost its data, so that nobody
-- else can have the turn either.
local function isForgotten(fence)
  return redis.call('EXISTS', lane, seen) == 0 and time[1] * 1000000 + time[2] - fence < me.memory * 500
end

local function isHeld(fence)
  local fields = redis.call('HMGET', lane, 'run', 'fence')
  return fields[1] and fields[2] == fence
end

local function finish() return cjson.encode(answer) end
`;

const begin = `${prelude}
local turn, limit = ARGV[3], tonumber(ARGV[4])
local running = redis.call('HGET', lane, 'run')
local known = redis.call('GET', seen)

local function again()
  answer.is = 'duplicate'
  if running == event then
    local fields = redis.call('HMGET', lane, 'until', 'attempt')
    if tonumber(fields[1]) > now then return end
    hold(me.owner, me.lease, fields[2] + 1, 1)
    answer.is, answer.grant = 'run', grant()
    return
  end
  for place, other in ipairs(redis.call('LRANGE', queue, 0, -1)) do
    if other == event then
      local mine = waiting(event)
      if alive(mine.owner) then return end
      mine.owner, mine.lease = me.owner, me.lease
      redis.call('HSET', lane, 'm:' .. event, cjson.encode(mine))
      answer.is, answer.ahead = 'wait', place - 1 + (running and 1 or 0)
      -- Nobody runs, since all owners were gone.
      if not running then grantNext() end
      return
    end
  end
end

local function take()
  local count = redis.call('LLEN', queue)
  if not running and count > 0 then
    -- Their owners are gone: they come first.
    grantNext()
    running = redis.call('HGET', lane, 'run')
    count = redis.call('LLEN', queue)
  end
  local parked = known and cjson.decode(known) or { attempt = 0 }
  if not running and count == 0 then
    answer.is, answer.grant = 'run', { record = redis.call('GET', record), facts = parked.facts }
    redis.call('SET', seen, '', 'PX', me.memory)
    redis.call('HSET', lane, 'run', event, 'turn', turn, 'platform', me.platform)
    if parked.facts then redis.call('HSET', lane, 'facts', parked.facts) end
    hold(me.owner, me.lease, parked.attempt + 1, 1)
    answer.grant.fence = redis.call('HGET', lane, 'fence')
    answer.grant.attempt = parked.attempt + 1
    index(now + me.lease)
    return
  end
  if me.overlap == 'reject' then answer.is = 'busy' return end
  if count >= limit then answer.is = 'full' return end
  redis.call('SET', seen, '', 'PX', me.memory)
  redis.call('RPUSH', queue, event)
  redis.call('HSET', lane, 't:' .. event, turn, 'm:' .. event, cjson.encode({ owner = me.owner,
    lease = me.lease, overlap = me.overlap, mergeKey = me.mergeKey, platform = me.platform,
    attempt = parked.attempt, facts = parked.facts }))
  if me.overlap == 'interrupt' and running then
    tell(redis.call('HGET', lane, 'owner'), 'interrupted', running)
  end
  answer.is, answer.ahead = 'wait', count + (running and 1 or 0)
end

if known == '' then again() else take() end
return finish()`;

/** Gives a grant that came by a wake, or that was missed, to the owner it is for. Once. */
const claim = `${prelude}
local fields = redis.call('HMGET', lane, 'run', 'owner', 'claimed', 'attempt')
if fields[1] == event then
  answer.is = 'gone'
  if fields[2] == me.owner and fields[3] == '0' then
    local given = grant()
    writeInAnyCase()
    redis.call('HSET', lane, 'until', text(now + me.lease), 'claimed', 1, 'attempt', fields[4] + 1)
    given.attempt = fields[4] + 1
    answer.is, answer.grant = 'run', given
  end
  return finish()
end
local mine = redis.call('HGET', lane, 'm:' .. event)
if mine then
  answer.is = cjson.decode(mine).owner == me.owner and 'wait' or 'gone'
else
  answer.is = redis.call('EXISTS', lane, seen) == 0 and 'forgotten' or 'gone'
end
return finish()`;

const note = `${prelude}
if not isHeld(ARGV[3]) then
  answer.is = isForgotten(ARGV[3]) and 'forgotten' or 'lost'
  return finish()
end
writeInAnyCase()
redis.call('HSET', lane, 'facts', ARGV[4])
answer.is = 'done'
return finish()`;

const save = `${prelude}
if not isHeld(ARGV[3]) and not isForgotten(ARGV[3]) then
  answer.is = 'lost'
  return finish()
end
writeInAnyCase()
redis.call('SET', record, ARGV[4])
answer.is = 'done'
return finish()`;

/** `ARGV[4]`: `keep` the record, `delete` it, or write `ARGV[5]`; `park` keeps what the turn has come to. */
const end = `${prelude}
local what = ARGV[4]
if not isHeld(ARGV[3]) then
  if not isForgotten(ARGV[3]) then
    answer.is = 'lost'
    return finish()
  end
  redis.call('SET', seen, '', 'PX', me.memory)
end
local fields = redis.call('HMGET', lane, 'attempt', 'facts')
redis.call('HDEL', lane, 'run', 'turn', 'platform', 'owner', 'until', 'attempt', 'claimed', 'facts', 'merged')
if what == 'delete' then
  redis.call('DEL', record)
elseif what == 'write' then
  redis.call('SET', record, ARGV[5])
elseif what == 'park' then
  local parked = { attempt = tonumber(fields[1]) or 1, facts = fields[2] or nil }
  redis.call('SET', seen, cjson.encode(parked), 'PX', me.memory)
end
grantNext()
answer.is = 'done'
return finish()`;

const withdraw = `${prelude}
answer.is = 'gone'
if redis.call('LREM', queue, 1, event) > 0 then
  redis.call('HDEL', lane, 't:' .. event, 'm:' .. event)
  answer.is = 'done'
end
return finish()`;

/** Leaves a waiting turn to whoever takes it. */
const leave = `${prelude}
local field = 'm:' .. event
local mine = redis.call('HGET', lane, field)
if mine then
  mine = cjson.decode(mine)
  if mine.owner == me.owner then
    mine.owner = ''
    writeInAnyCase()
    redis.call('HSET', lane, field, cjson.encode(mine))
  end
end
return finish()`;

const takeOver = `${prelude}
local fields = redis.call('HMGET', lane, 'run', 'until', 'platform', 'attempt', 'claimed')
writeInAnyCase()
if not fields[1] then
  grantNext()
elseif tonumber(fields[2]) > now then
  index(tonumber(fields[2]))
elseif canTake(fields[3]) then
  hold(me.owner, me.lease, fields[4] + 1, 1)
  index(now + me.lease)
  answer.event, answer.grant = fields[1], grant()
end
return finish()`;

/** Puts a running turn back after the server lost its data. `ARGV[4]` on: fields of the lane. */
const restore = `${prelude}
answer.is = 'lost'
if isForgotten(ARGV[3]) then
  redis.call('SET', seen, '', 'PX', me.memory)
  redis.call('HSET', lane, 'fence', ARGV[3], 'owner', me.owner, 'until', text(now + me.lease), 'claimed', 1,
    unpack(ARGV, 4))
  index(now + me.lease)
  answer.is = 'done'
end
return finish()`;

/** Prolongs the leases of many lanes: `KEYS`. `ARGV`: the lease, then the fences. */
const renew = `
local time = redis.call('TIME')
local untilThen = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[1])
local states = {}
for place, lane in ipairs(KEYS) do
  local fields = redis.call('HMGET', lane, 'run', 'fence')
  if fields[1] and fields[2] == ARGV[place + 1] then
    -- Goes through when the memory is full: only a script's first write is refused.
    redis.call('HDEL', lane, '')
    redis.call('HSET', lane, 'until', untilThen)
    states[place] = 'held'
  else
    states[place] = redis.call('EXISTS', lane) == 0 and 'forgotten' or 'lost'
  end
end
return states`;

/**
 * A sign of life of the owner `ARGV[1]`, good for `ARGV[2]` ms; the dead are remembered for `ARGV[3]` ms.
 * Answers the owners that are dead.
 */
const beat = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now - ARGV[3]))
redis.call('ZADD', KEYS[1], string.format('%.0f', now + ARGV[2]), ARGV[1])
return redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now))`;

/** Lanes to look at by now. */
const due = `
local time = redis.call('TIME')
return redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000)),
  'LIMIT', ARGV[1], ARGV[2])`;

/** On a cluster: when to look at a lane. `ARGV[2]`: a time, `''` for never, or `lease` (`ARGV[3]` ms from now). */
const schedule = `
if ARGV[2] == '' then return redis.call('ZREM', KEYS[1], ARGV[1]) end
if ARGV[2] ~= 'lease' then return redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1]) end
local time = redis.call('TIME')
local score = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[3])
return redis.call('ZADD', KEYS[1], 'NX', score, ARGV[1])`;

/** What the server says of its memory and of what it keeps on disk. */
const information = `return redis.call('INFO', 'memory') .. redis.call('INFO', 'persistence')`;

/** Writes `ARGV[1]` only if nothing is there, for `ARGV[2]` milliseconds if given. */
const setIfAbsent = `
if ARGV[2] == '' then return redis.call('SET', KEYS[1], ARGV[1], 'NX') and 1 or 0 end
return redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) and 1 or 0`;

export type Script =
  | "begin"
  | "claim"
  | "note"
  | "save"
  | "end"
  | "withdraw"
  | "leave"
  | "takeOver"
  | "restore"
  | "renew"
  | "beat"
  | "due"
  | "schedule"
  | "information"
  | "setIfAbsent";

export const scripts: Readonly<Record<Script, string>> = {
  begin,
  claim,
  note,
  save,
  end,
  withdraw,
  leave,
  takeOver,
  restore,
  renew,
  beat,
  due,
  schedule,
  information,
  setIfAbsent,
};
