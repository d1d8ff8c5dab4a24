-- For wrk: one ended call a request, each with a callId of its own. Arguments: a seed, and the
-- milliseconds that a connection pauses on average after each answer.

local thread_number = 0

function setup(thread)
  thread:set("number", thread_number)
  thread_number = thread_number + 1
end

function init(args)
  math.randomseed(os.time() + number * 7919 + (tonumber(args[1]) or 0) * 104729)
  local pause = tonumber(args[2]) or 0
  if pause > 0 then
    delay = function() return -pause * math.log(1 - math.random()) end
  end
  count = 0
  prefix = string.format("c-%08x-%08x-%04x-%04x-%04x-",
    math.random(0, 2 ^ 31 - 1), math.random(0, 2 ^ 31 - 1),
    math.random(0, 65535), math.random(0, 65535), math.random(0, 65535))
end

local head = '{"eventType":"disconnect","eventTime":"2026-06-01T12:01:00.000Z",'
  .. '"accountId":"55555555","applicationId":"04e88489-df02-4e34-a0ee-27a91849555f",'
  .. '"from":"+15555550100","to":"+15555550101","callId":"'
local tail = '","direction":"outbound","callUrl":"https://voice.bandwidth.com/api/v2/calls/x",'
  .. '"enqueuedTime":"2026-06-01T12:00:00.000Z","startTime":"2026-06-01T12:00:00.000Z",'
  .. '"answerTime":"2026-06-01T12:00:10.000Z","endTime":"2026-06-01T12:01:00.000Z",'
  .. '"cause":"hangup","errorMessage":null,"errorId":null,"tag":null}'

function request()
  count = count + 1
  return wrk.format("POST", nil, { ["Content-Type"] = "application/json" },
    head .. prefix .. string.format("%012x", count) .. tail)
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format('{"answered": %d, "seconds": %.3f, "p50_ms": %.3f, "p99_ms": %.3f, "failed": %d}\n',
    summary.requests, summary.duration / 1e6,
    latency:percentile(50) / 1000, latency:percentile(99) / 1000,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
