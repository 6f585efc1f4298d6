package redis

import (
	"crypto/sha1" //nolint:gosec // the name of a script at the server, which gives no security
	"encoding/hex"
)

// script runs at the server, at once: nobody else writes meanwhile.
type script struct{ text, sum string }

func newScript(text string) *script {
	sum := sha1.Sum([]byte(text)) //nolint:gosec // see above
	return &script{text, hex.EncodeToString(sum[:])}
}

// recordAt begins scripts. It is the record of a stream at a position; empty if there is none, or without a position.
const recordAt = `
local function recordAt(stream, id)
	if id == '' then return '' end
	local found = redis.call('XRANGE', stream, id, id)
	return #found == 1 and found[1][2][2] or ''
end`

var (
	// swapScript replaces what is under KEYS[1] if it is what was read. ARGV: whether something was there, what, what
	// to store, and for how many milliseconds; nothing to store deletes it, and 0 milliseconds are forever.
	swapScript = newScript(`
local present = redis.call('GET', KEYS[1])
if ARGV[1] == '0' then
	if present then return 0 end
elseif present ~= ARGV[2] then
	return 0
end
if ARGV[3] == '' then
	redis.call('DEL', KEYS[1])
elseif ARGV[4] == '0' then
	redis.call('SET', KEYS[1], ARGV[3])
else
	redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[4])
end
return 1`)

	// appendScript adds a record to the stream KEYS[1], and its end to the sorted set KEYS[2]. ARGV: record, end; 0 is
	// never.
	appendScript = newScript(`
local id = redis.call('XADD', KEYS[1], '*', 'r', ARGV[1])
if ARGV[2] ~= '0' then redis.call('ZADD', KEYS[2], ARGV[2], id) end
return id`)

	// readScript returns the record of KEYS[1] at the position ARGV[4], if there is one, and then positions and records,
	// in turn. ARGV: the position after which they are, how many records, and after how many bytes it ends. It reads a
	// few at a time, because each may have a mebibyte.
	readScript = newScript(recordAt + `
local from, most, room = '(' .. ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local found, count = {recordAt(KEYS[1], ARGV[4])}, 0
while count < most and room > 0 do
	local some = redis.call('XRANGE', KEYS[1], from, '+', 'COUNT', math.min(most - count, 16))
	if #some == 0 then break end
	for _, one in ipairs(some) do
		if room <= 0 then break end
		found[#found + 1] = one[1]
		found[#found + 1] = one[2][2]
		count, room = count + 1, room - #one[2][2]
	end
	from = '(' .. some[#some][1]
end
return found`)

	// sweepScript deletes records of KEYS[1] whose end in KEYS[2] is over by two clocks: ours, in ARGV[1], and that of
	// the server. So a clock that is ahead deletes nothing of others. ARGV[2] is how many at most. It returns how many.
	sweepScript = newScript(`
local time = redis.call('TIME')
local now = math.min(tonumber(ARGV[1]), time[1] * 1000 + math.floor(time[2] / 1000))
local ids = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', string.format('%.0f', now), 'LIMIT', 0, ARGV[2])
if #ids == 0 then return 0 end
redis.call('XDEL', KEYS[1], unpack(ids))
redis.call('ZREM', KEYS[2], unpack(ids))
return #ids`)

	// checkScript returns the epoch in KEYS[1], and the record of KEYS[2] at the position ARGV[1], if there is one. It
	// writes, or deletes what is not there, to KEYS[3]: a replica refuses both. The last part of the answer is the last
	// position that the stream has given to a record, if there is a stream.
	checkScript = newScript(recordAt + `
local record = recordAt(KEYS[2], ARGV[1])
if ARGV[2] == '1' then redis.call('SET', KEYS[3], '1') else redis.call('DEL', KEYS[3]) end
local last = ''
if redis.call('EXISTS', KEYS[2]) == 1 then
	local about = redis.call('XINFO', 'STREAM', KEYS[2])
	for i = 1, #about, 2 do
		if about[i] == 'last-generated-id' then last = about[i + 1] end
	end
end
return {redis.call('GET', KEYS[1]) or '', record, last}`)

	// initScript replaces the epoch ARGV[1] in KEYS[1] by ARGV[2], unless there is one, and the stream KEYS[2], too. It
	// makes the stream. It reports whether it replaced the epoch.
	initScript = newScript(`
local there = redis.call('EXISTS', KEYS[2]) == 1
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] or there and ARGV[1] ~= '' then return 0 end
if not there then redis.call('XDEL', KEYS[2], redis.call('XADD', KEYS[2], '*', 'r', '')) end
redis.call('SET', KEYS[1], ARGV[2])
return 1`)
)
