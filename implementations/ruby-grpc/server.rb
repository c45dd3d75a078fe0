# frozen_string_literal: true

# StreamService on the grpc gem: ruby server.rb --port 50051 serves it on the loopback interface.

require 'optparse'

$LOAD_PATH.unshift File.join(__dir__, 'gen')
require 'grpc'
require 'stream_services_pb'

# The whole contract except "watch": the gem does not notify a method that its client went away.
class StreamService < Proto::StreamService::Service
  LIST_RESPONSES = 7
  RECORD_NAME = 'gRPC Stream Server: Record'
  ROUTE_NAME = 'gRPC Stream Server: Route'
  INITIAL_KEY = 'x-grpc-test-echo-initial'
  TRAILING_KEY = 'x-grpc-test-echo-trailing-bin'

  # Answers one request with responses that count up from its value.
  def list(request, call)
    echoing(call) { |responses| list_into(responses, request, call) }
  end

  # Reads requests up to the half-close and answers once.
  def record(call)
    trailing = echo(call)
    refusing(trailing) { record_of(call) }
  end

  # Answers each request as soon as it is read.
  def route(requests, call)
    echoing(call) { |responses| route_into(responses, requests, call) }
  end

  private

  def list_into(responses, request, call)
    point = point_of(request)
    word, rest = cut(point.name)
    first = point.value
    count = LIST_RESPONSES
    status = nil
    case word
    when '!abort'
      count, status = abort(rest, point.value)
      first = 0
    when '!finish' then count = 0
    when '!repeat' then count = number(rest)
    when '!sleep' then wait(rest, call)
    end
    count.times { |k| responses << response(point.name, first + k) }
    raise status if status
  end

  def record_of(call)
    received = 0
    texts = []
    echo = false
    call.each_remote_read do |request|
      point = point_of(request)
      received += 1
      word, rest = cut(point.name)
      case word
      when '!abort' then raise abort(rest, point.value).last
      when '!finish' then break
      when '!echo'
        echo = true
        texts << rest
      when '!sleep' then wait(rest, call)
      else texts << point.name
      end
    end
    echo ? response(texts.join(','), received) : response(RECORD_NAME, 1)
  end

  def route_into(responses, requests, call)
    sent = 0
    requests.each do |request|
      point = point_of(request)
      word, rest = cut(point.name)
      name = ROUTE_NAME
      first = sent
      count = 1
      case word
      when '!abort' then raise abort(rest, point.value).last
      when '!finish' then break
      when '!repeat'
        name = point.name
        first = point.value
        count = number(rest)
      when '!echo'
        name = point.name
        first = point.value
      when '!sleep' then wait(rest, call)
      end
      count.times { |k| responses << response(name, first + k) }
      sent += count
    end
  end

  # An enumerator of the responses that a block yields, with the RPC's metadata around them.
  def echoing(call)
    trailing = echo(call)
    Enumerator.new { |responses| refusing(trailing) { yield responses } }
  end

  # Echoes the contract's two keys; returns the trailing one, which an error must carry itself.
  def echo(call)
    # Only the first of several values: sending an array corrupts memory.
    # https://github.com/grpc/grpc/pull/42827
    initial, trailing = [INITIAL_KEY, TRAILING_KEY].map do |key|
      call.metadata.slice(key).transform_values { |value| Array(value).first }
    end
    call.merge_metadata_to_send(initial)
    # At once, because an error is trailers-only.
    call.send_initial_metadata unless initial.empty?
    call.output_metadata.update(trailing)
    trailing
  end

  def refusing(trailing)
    yield
  rescue GRPC::BadStatus => e
    raise GRPC::BadStatus.new(e.code, e.details, trailing)
  end

  # A request's pt; raises INVALID_ARGUMENT if it has none.
  def point_of(request)
    request.pt || raise(GRPC::InvalidArgument, 'a request must have a pt')
  end

  # The text before the first space, and everything after it.
  def cut(text)
    word, _, rest = text.partition(' ')
    [word, rest]
  end

  # The number at the start of a directive's rest.
  def number(rest)
    first, = cut(rest)
    raise GRPC::InvalidArgument, 'a directive needs a number of at most 9 digits' unless first.match?(/\A[0-9]{1,9}\z/)

    Integer(first, 10)
  end

  # What "!abort K TEXT" requests: K responses, then this status.
  def abort(rest, code)
    count = number(rest)
    raise GRPC::InvalidArgument, "!abort takes a status code from 1 to 16, not #{code}" unless (1..16).cover?(code)

    [count, GRPC::BadStatus.new(code, cut(rest).last)]
  end

  # Waits for the MS of "!sleep MS", but not beyond the deadline, the only end of its RPC that a method can know.
  def wait(rest, call)
    seconds = number(rest) / 1000.0
    # For an RPC without a deadline, the gem reports one before 1970.
    left = call.deadline > Time.at(0) ? call.deadline - Time.now : seconds
    sleep(seconds.clamp(0, [left, 0].max))
    raise GRPC::DeadlineExceeded if left < seconds
  end

  # A response; the value wraps around at 2^31.
  def response(name, value)
    wrapped = (value + 2**31) % 2**32 - 2**31
    Proto::StreamResponse.new(pt: Proto::StreamPoint.new(name: name, value: wrapped))
  end
end

port = 50_051
OptionParser.new { |options| options.on('--port PORT', Integer, 'Port to listen on') { |given| port = given } }.parse!
# Each open call holds a thread of the pool; calls beyond its size are refused.
server = GRPC::RpcServer.new(pool_size: 300, poll_period: 1, server_args: { 'grpc.so_reuseport' => 0 })
server.add_http2_port("127.0.0.1:#{port}", :this_port_is_insecure)
server.handle(StreamService)
puts "listening on 127.0.0.1:#{port}"
server.run_till_terminated_or_interrupted(%w[INT TERM])
