-- A sign of life. KEYS: the owners, sorted by until when they are taken for alive (ms); a buried one by the time of its
-- burial, negative. ARGV: the owner, how long it is taken for alive (ms).
-- Answers: whether it is buried, until when it was taken for alive before ('' if it was not known), the time.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local known = redis.call('ZSCORE', KEYS[1], ARGV[1])
if known and tonumber(known) < 0 then return { '1', '', tostring(now) } end
-- A script that has removed something may write also where the server's memory is full.
if known then redis.call('ZREM', KEYS[1], ARGV[1]) end
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
return { '', known or '', tostring(now) }
