# redis-rb's cluster mode at work; README.md beside this folder tells what a client program does and prints.
#
# usage: workload.rb HOST:PORT,HOST:PORT,... NAME LANES PAUSE_MS
require "redis"

KEYS = 60
$stdout.sync = true
$stopped = false
$printing = Mutex.new

def attempt(lane, op, key, argument)
  start = Process.clock_gettime(Process::CLOCK_REALTIME, :float_millisecond)
  begin
    result = yield
    text = result.nil? ? "nil" : result == "OK" ? "OK" : "=#{result}"
  rescue StandardError => error
    text = "!#{error.class}: #{error.message}".split.join(" ")
  end
  stop = Process.clock_gettime(Process::CLOCK_REALTIME, :float_millisecond)
  $printing.synchronize { puts format("%.3f\t%.3f\t%d\t%s\t%s\t%s\t%s", start, stop, lane, op, key, argument, text) }
end

def work(client, name, lane, pause)
  turn = 0
  until $stopped
    one = "#{name}:#{lane}:#{turn % KEYS}"
    other = "#{name}:#{lane}:#{turn * 7 % KEYS}"
    value = "#{one}##{turn}"
    attempt(lane, "SET", one, value) { client.set(one, value) }
    attempt(lane, "GET", other, "") { client.get(other) }
    attempt(lane, "INCR", "#{one}:n", "") { client.incr("#{one}:n") }
    attempt(lane, "GET", "#{other}:n", "") { client.get("#{other}:n") }
    turn += 1
    sleep(pause)
  end
end

addresses, name, lanes, pause = ARGV
client = Redis.new(cluster: addresses.split(",").map { |address| "redis://#{address}" })
puts "# #{Redis::VERSION}"
threads = Array.new(lanes.to_i) { |lane| Thread.new { work(client, name, lane, pause.to_i / 1000.0) } }
$stdin.read
$stopped = true
threads.each(&:join)
