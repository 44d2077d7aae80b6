-- Owners whose time is over, and of each '1' if that was so long ago that nobody need remember it.
-- KEYS: the owners. ARGV: how long they are remembered (ms).
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local answer = {}
local found = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'WITHSCORES')
for index = 1, #found, 2 do
  answer[index] = found[index]
  answer[index + 1] = math.abs(tonumber(found[index + 1])) + ARGV[1] < now and '1' or ''
end
return answer
