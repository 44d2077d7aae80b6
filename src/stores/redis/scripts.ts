/**
 * The atomic steps of lanes as Redis scripts. Each is one command, and runs whole or not at all: what may be
 * refused (a full memory, a read-only replica, a broken record) is met before or with the first write.
 *
 * The keys of one lane lie in one slot of a cluster:
 * - `lane`, a hash: of the running turn `run` (its event), `turn` (JSON of key and body), `platform`, `fence`,
 *   `owner`, `until` (ms), `attempt`, `claimed`, `facts`, `merged`, `interrupted`; of each waiting turn `t:EVENT`
 *   (its JSON) and `m:EVENT` (what follows in `waiting`). Gone when the lane is idle.
 * - `queue`, a list: the events that wait.
 * - `seen`, one key per event: empty when it was taken, or what its parked turn had come to. It expires.
 * - `record`: the session's, as Keyv keeps it.
 * Outside the slot: `leases`, a sorted set of the lanes that have turns, by when to look at them (the last key,
 * but not on a cluster), and `owners`, a sorted set of the processes, by how long they are taken for alive.
 *
 * All times are the server's, so that no process's clock matters. Numbers of more than 14 digits travel as
 * text: Lua's own conversion and cjson would round them.
 */
const step = `
local me, name, event = cjson.decode(ARGV[1]), ARGV[2], ARGV[3]
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
    redis.call('ZADD', KEYS[#KEYS], text(score), name)
  else
    redis.call('ZREM', KEYS[#KEYS], name)
  end
end

-- A fence is the server's time in microseconds: it grows also when the lane, or all data, is forgotten.
local function newFence() return time[1] * 1000000 + time[2] end

local function finish() return cjson.encode(answer) end
`;

/** A grant, as its owner is told. */
const granting = `
local function grant()
  local fields = redis.call('HMGET', lane, 'turn', 'fence', 'attempt', 'platform', 'facts', 'merged')
  return { turn = fields[1], fence = fields[2], attempt = fields[3], platform = fields[4], facts = fields[5],
    merged = fields[6], record = redis.call('GET', record) }
end

-- Gives a lane that is in use to an owner.
local function hold(owner, lease, attempt, claimed)
  local last = tonumber(redis.call('HGET', lane, 'fence') or 0)
  redis.call('HSET', lane, 'fence', text(math.max(newFence(), last + 1)), 'owner', owner,
    'until', text(now + lease), 'attempt', attempt, 'claimed', claimed)
end
`;

/** Who comes next. */
const succession = `${granting}
-- Whether the owner gives signs of life, and listens. A cluster's node sees neither by itself: there, all are
-- alive that the caller does not know to be dead.
local function beats(owner)
  if owner == '' then return false end
  if me.dead then
    for _, known in ipairs(me.dead) do
      if known == owner then return false end
    end
    return true
  end
  local untilThen = redis.call('ZSCORE', me.owners, owner)
  return untilThen and tonumber(untilThen) > now
end

local function alive(owner)
  if not beats(owner) then return false end
  return me.dead or redis.call('PUBSUB', 'NUMSUB', me.channel .. owner)[2] > 0
end

local function tell(owner, what, event)
  if owner ~= '' then
    redis.call('PUBLISH', me.channel .. owner, cjson.encode({ is = what, lane = name, event = event }))
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
    -- Nobody but its owner can deliver a turn without a platform: one that only does not listen for a moment,
    -- will again.
    local isAway = carrier.platform == '' and beats(owner)
    if isAway or not canTake(carrier.platform) then return index(now) end
    owner, lease = me.owner, me.lease
  end
  local merged = {}
  local function carry(texts)
    for _, text in ipairs(texts) do merged[#merged + 1] = text end
  end
  for place = 1, count - 1 do
    local earlier = events[place]
    local other = waiting(earlier)
    tell(other.owner, 'merged', earlier)
    carry(cjson.decode(other.merged or '[]'))
    carry({ redis.call('HGET', lane, 't:' .. earlier) })
    redis.call('HDEL', lane, 't:' .. earlier, 'm:' .. earlier)
  end
  carry(cjson.decode(carrier.merged or '[]'))
  local turn = redis.call('HGET', lane, 't:' .. event)
  redis.call('HDEL', lane, 't:' .. event, 'm:' .. event, 'facts', 'merged', 'interrupted')
  redis.call('LTRIM', queue, count, -1)
  redis.call('HSET', lane, 'run', event, 'turn', turn, 'platform', carrier.platform)
  if carrier.facts then redis.call('HSET', lane, 'facts', carrier.facts) end
  if #merged > 0 then redis.call('HSET', lane, 'merged', cjson.encode(merged)) end
  -- The attempt counts when the owner claims it: one that is dead by now never runs it.
  hold(owner, lease, carrier.attempt, 0)
  index(now + lease)
  if owner == me.owner then answer.next = event else tell(owner, 'granted', event) end
end
`;

/** Steps of a turn that runs. */
const holding = `
-- Writes to a full memory are refused only as a script's first write. What ends or keeps a turn that was taken
-- must go through.
local function writeInAnyCase() redis.call('HDEL', lane, '') end

-- Whether the lane is without a trace although the grant is not old: the server lost its data, so that nobody
-- else can have the turn either.
local function isForgotten(fence)
  return redis.call('EXISTS', lane, seen) == 0 and newFence() - fence < me.memory * 500
end

local function isHeld(fence)
  local fields = redis.call('HMGET', lane, 'run', 'fence')
  return fields[1] and fields[2] == fence
end
`;

const begin = `${step}
local turn, limit, overlap, mergeKey, platform = ARGV[4], tonumber(ARGV[5]), ARGV[6], ARGV[7], ARGV[8]
local known = redis.call('GET', seen)

-- Takes a turn into an idle lane. Nothing is written before the record was read.
local function run(parked)
  local grant = { fence = text(newFence()), attempt = parked.attempt + 1, facts = parked.facts,
    merged = parked.merged, record = redis.call('GET', record) }
  redis.call('SET', seen, '', 'PX', me.memory)
  redis.call('HSET', lane, 'run', event, 'turn', turn, 'platform', platform, 'fence', grant.fence,
    'owner', me.owner, 'until', text(now + me.lease), 'attempt', grant.attempt, 'claimed', 1)
  if parked.facts then redis.call('HSET', lane, 'facts', parked.facts) end
  if parked.merged then redis.call('HSET', lane, 'merged', parked.merged) end
  index(now + me.lease)
  answer.is, answer.grant = 'run', grant
end

-- Nearly all turns: this spares them the rest.
if not known and redis.call('EXISTS', lane) == 0 then
  run({ attempt = 0 })
  return finish()
end
${succession}
local function again()
  local running = redis.call('HGET', lane, 'run')
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

local function wait(parked)
  local running = redis.call('HGET', lane, 'run')
  if not running then
    -- Those that wait have lost their owners. They come first.
    grantNext()
    running = redis.call('HGET', lane, 'run')
    -- Nobody waited: the last one had been withdrawn.
    if redis.call('EXISTS', lane) == 0 then return run(parked) end
  end
  local count = redis.call('LLEN', queue)
  if overlap == 'reject' or count >= limit then
    if not known then redis.call('SET', seen, '', 'PX', me.memory) end
    answer.is = overlap == 'reject' and 'busy' or 'full'
    return
  end
  redis.call('SET', seen, '', 'PX', me.memory)
  redis.call('RPUSH', queue, event)
  redis.call('HSET', lane, 't:' .. event, turn, 'm:' .. event, cjson.encode({ owner = me.owner,
    lease = me.lease, overlap = overlap, mergeKey = mergeKey, platform = platform,
    attempt = parked.attempt, facts = parked.facts, merged = parked.merged }))
  if overlap == 'interrupt' and running then
    redis.call('HSET', lane, 'interrupted', 1)
    tell(redis.call('HGET', lane, 'owner'), 'interrupted', running)
  end
  -- On a cluster the owner of the running turn may have died before it was noted.
  if running and not me.indexed then index(tonumber(redis.call('HGET', lane, 'until'))) end
  answer.is, answer.ahead = 'wait', count + (running and 1 or 0)
end

local function take()
  local parked = known and cjson.decode(known) or { attempt = 0 }
  if redis.call('EXISTS', lane) == 0 then run(parked) else wait(parked) end
end

if known == '' then again() else take() end
return finish()`;

/**
 * Gives a grant that came by a wake, or that was missed, to the owner it is for. Once: `ARGV[4]` is `unsure`
 * where the owner never got the answer of `begin`.
 */
const claim = `${step}${granting}${holding}
local fields = redis.call('HMGET', lane, 'run', 'owner', 'claimed', 'attempt')
if fields[1] == event then
  answer.is = 'gone'
  if fields[2] == me.owner and (fields[3] == '0' or ARGV[4] == 'unsure') then
    local attempt = fields[4] + 1 - fields[3]
    answer.is, answer.grant = 'run', grant()
    answer.grant.attempt = attempt
    writeInAnyCase()
    redis.call('HSET', lane, 'until', text(now + me.lease), 'claimed', 1, 'attempt', attempt)
  end
  return finish()
end
local mine = redis.call('HGET', lane, 'm:' .. event)
if mine then
  answer.is = cjson.decode(mine).owner == me.owner and 'wait' or 'gone'
else
  answer.is = redis.call('EXISTS', seen) == 0 and 'forgotten' or 'gone'
end
return finish()`;

const note = `${step}${holding}
if not isHeld(ARGV[4]) then
  answer.is = isForgotten(ARGV[4]) and 'forgotten' or 'lost'
  return finish()
end
writeInAnyCase()
redis.call('HSET', lane, 'facts', ARGV[5])
answer.is = 'done'
return finish()`;

const save = `${step}${holding}
if not isHeld(ARGV[4]) and not isForgotten(ARGV[4]) then
  answer.is = 'lost'
  return finish()
end
writeInAnyCase()
redis.call('SET', record, ARGV[5])
answer.is = 'done'
return finish()`;

/** `ARGV[5]`: `keep` the record, `delete` it, or write `ARGV[6]`; `park` keeps what the turn has come to. */
const end = `${step}${holding}${succession}
local what = ARGV[5]
local fields = redis.call('HMGET', lane, 'run', 'fence', 'attempt', 'facts', 'merged')
if not fields[1] or fields[2] ~= ARGV[4] then
  if not isForgotten(ARGV[4]) then
    answer.is = 'lost'
    return finish()
  end
  redis.call('SET', seen, '', 'PX', me.memory)
end
redis.call('HDEL', lane, 'run', 'turn', 'platform', 'owner', 'until', 'attempt', 'claimed', 'facts', 'merged',
  'interrupted')
if what == 'delete' then
  redis.call('DEL', record)
elseif what == 'write' then
  redis.call('SET', record, ARGV[6])
elseif what == 'park' then
  local parked = { attempt = tonumber(fields[3]) or 1, facts = fields[4] or nil, merged = fields[5] or nil }
  redis.call('SET', seen, cjson.encode(parked), 'PX', me.memory)
end
grantNext()
answer.is = 'done'
return finish()`;

const withdraw = `${step}
answer.is = 'gone'
if redis.call('LREM', queue, 1, event) > 0 then
  redis.call('HDEL', lane, 't:' .. event, 'm:' .. event)
  answer.is = 'done'
end
return finish()`;

/** Leaves a waiting turn to whoever takes it. */
const leave = `${step}${holding}
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

const takeOver = `${step}${holding}${succession}
-- One that cannot be read is met before anything is written.
redis.call('GET', record)
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

/**
 * Puts a running turn back after the server lost its data: `done`, or `wait` where a later turn began meanwhile,
 * which then comes first. `ARGV`: fence, turn, platform, attempt, facts, merged; empty ones are missing.
 */
const restore = `${step}${holding}
local fence, turn, platform, attempt = ARGV[4], ARGV[5], ARGV[6], tonumber(ARGV[7])
local facts, merged = ARGV[8] ~= '' and ARGV[8] or nil, ARGV[9] ~= '' and ARGV[9] or nil
answer.is = 'lost'
if isForgotten(fence) then
  redis.call('SET', seen, '', 'PX', me.memory)
  redis.call('HSET', lane, 'fence', fence, 'owner', me.owner, 'until', text(now + me.lease), 'claimed', 1,
    'run', event, 'turn', turn, 'platform', platform, 'attempt', attempt)
  if facts then redis.call('HSET', lane, 'facts', facts) end
  if merged then redis.call('HSET', lane, 'merged', merged) end
  index(now + me.lease)
  answer.is = 'done'
elseif redis.call('EXISTS', seen) == 0 and newFence() - fence < me.memory * 500 then
  redis.call('SET', seen, '', 'PX', me.memory)
  redis.call('LPUSH', queue, event)
  redis.call('HSET', lane, 't:' .. event, turn, 'm:' .. event, cjson.encode({ owner = me.owner, lease = me.lease,
    overlap = 'queue', mergeKey = '', platform = platform, attempt = attempt, facts = facts, merged = merged }))
  answer.is = 'wait'
end
return finish()`;

/** Prolongs the leases of many lanes: `KEYS`. `ARGV`: the lease, then the fences. */
const renew = `
local time = redis.call('TIME')
local untilThen = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[1])
local states = {}
for place, lane in ipairs(KEYS) do
  local fields = redis.call('HMGET', lane, 'run', 'fence', 'interrupted')
  if fields[1] and fields[2] == ARGV[place + 1] then
    -- Goes through when the memory is full: only a script's first write is refused.
    redis.call('HDEL', lane, '')
    redis.call('HSET', lane, 'until', untilThen)
    states[place] = fields[3] and 'interrupted' or 'held'
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
