-- Declares an owner dead, if its time is over. KEYS: the owners. ARGV: the owner, '1' if also one that is not known.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local known = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not known and ARGV[2] ~= '1' then return 'unknown' end
if known and tonumber(known) > now then return 'alive' end
if not known or tonumber(known) >= 0 then redis.call('ZADD', KEYS[1], -now, ARGV[1]) end
return 'dead'
