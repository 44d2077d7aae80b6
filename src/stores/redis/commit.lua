-- Replaces a lane's document if it is still the one that was seen, and writes what belongs to it: all of it, or nothing.
--
-- KEYS: the document, the record, then marks, restored marks, removed marks, lists entered, lists left.
-- ARGV: the version seen ('' for none), the time from which on it is too late (ms), the lane, the new document ('' for
--   none), how long it lives (ms, or ''), what happens to the record ('' nothing, '-' deleted, '=' and its text),
--   how long marks live (ms), how many keys there are of each of the five kinds, then channels of owners to wake.
-- Answers: 'done', the new version, the record before (of a lane with a document), the time (ms), and the places of
--   channels that nobody heard;
--   or why nothing was done, what is true (version and document), the record, the time, and the places of marks found.
--
-- Times are the server's, so that no process's clock matters. A version has 16 digits and travels as text: Lua's own
-- conversion of numbers would round it.
-- Most of its time goes into the calls: none is made that is not needed.
local call = redis.call
local document, record = KEYS[1], KEYS[2]
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local seen = call('GETRANGE', document, 0, 15)
local counts = { tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10]), tonumber(ARGV[11]), tonumber(ARGV[12]) }

local refusal = {}
local reason
if now >= tonumber(ARGV[2]) then
  reason = 'late'
elseif seen ~= ARGV[1] then
  reason = 'changed'
else
  for index = 1, counts[1] do
    if call('EXISTS', KEYS[2 + index]) == 1 then
      reason = 'duplicate'
      refusal[#refusal + 1] = tostring(index)
    end
  end
end
if reason then
  return { reason, call('GET', document) or '', call('GET', record), tostring(now), unpack(refusal) }
end

local version = string.format('%d%06d', time[1], time[2])
if version <= seen then version = string.format('%.0f', tonumber(seen) + 1) end
local known = ARGV[4] ~= '' and call('GET', record)
-- What takes no more room than before is written also where the server's memory is full: a script that has removed
-- something may. So turns can end, and make room.
if seen ~= '' and (ARGV[4] == '' or call('STRLEN', document) >= #version + #ARGV[4]) then
  call('DEL', document)
end
if ARGV[4] == '' then
  version = '0'
elseif ARGV[5] == '' then
  call('SET', document, version .. ARGV[4])
else
  call('SET', document, version .. ARGV[4], 'PX', ARGV[5])
end
local change = string.sub(ARGV[6], 1, 1)
if change == '=' then
  call('SET', record, string.sub(ARGV[6], 2))
elseif change ~= '' then
  call('DEL', record)
end

local key = 2
for _ = 1, counts[1] + counts[2] do
  key = key + 1
  call('SET', KEYS[key], 1, 'PX', ARGV[7])
end
for _ = 1, counts[3] do
  key = key + 1
  call('DEL', KEYS[key])
end
for _ = 1, counts[4] do
  key = key + 1
  call('SADD', KEYS[key], ARGV[3])
end
for _ = 1, counts[5] do
  key = key + 1
  call('SREM', KEYS[key], ARGV[3])
end

local unheard = {}
for index = 13, #ARGV do
  if call('PUBLISH', ARGV[index], ARGV[3]) == 0 then unheard[#unheard + 1] = tostring(index - 12) end
end
return { 'done', version, known, tostring(now), unpack(unheard) }
