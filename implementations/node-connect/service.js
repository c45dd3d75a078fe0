// StreamService: the whole contract, the core and every directive.
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";

import { Code, ConnectError } from "@connectrpc/connect";

const LIST_RESPONSES = 7;
const RECORD_NAME = "gRPC Stream Server: Record";
const ROUTE_NAME = "gRPC Stream Server: Route";
const INITIAL_KEY = "x-grpc-test-echo-initial";
const TRAILING_KEY = "x-grpc-test-echo-trailing-bin";

/** The tokens of the marked RPCs that ended because the client went away. */
const gone = new Set();

/** A status that a method chose itself. */
class Refusal extends ConnectError {}

/** One RPC: the tokens with which it was marked, and a signal that fires when it is over. */
class Rpc {
  constructor(context) {
    this.signal = context.signal;
    this.tokens = [];
    this.ended = false;
    copy(INITIAL_KEY, context.requestHeader, context.responseHeader);
    copy(TRAILING_KEY, context.requestHeader, context.responseTrailer);
    // The signal fires after every RPC; it means that the client went away only before the method has ended.
    this.signal.addEventListener("abort", () => {
      if (!this.ended) this.tokens.forEach((token) => gone.add(token));
    });
  }

  sleep(milliseconds) {
    return sleep(milliseconds, undefined, { signal: this.signal });
  }

  /** Waits until the client goes away or the deadline passes. */
  async untilOver() {
    if (!this.signal.aborted) await once(this.signal, "abort");
    this.signal.throwIfAborted();
  }

  /** The method has thrown. Only a status that it chose itself ended the RPC; all others come from the connection. */
  failed(error) {
    this.ended ||= error instanceof Refusal;
    if (this.signal.aborted) this.signal.throwIfAborted(); // an interrupted sleep throws another error
    throw error;
  }
}

/** Turns a generator method into a handler. If the client goes away, the generator returns at a yield. */
function streaming(method) {
  return async function* (requests, context) {
    const rpc = new Rpc(context);
    try {
      yield* method(rpc, requests);
      rpc.ended = true;
    } catch (error) {
      rpc.failed(error);
    }
  };
}

/** The same for a method that returns its one response. */
function answering(method) {
  return async (requests, context) => {
    const rpc = new Rpc(context);
    try {
      const answer = await method(rpc, requests);
      rpc.ended = true;
      return answer;
    } catch (error) {
      return rpc.failed(error);
    }
  };
}

async function* list(rpc, request) {
  const { name, value } = pointOf(request);
  const [word, rest] = cut(name);
  let [first, count, end] = [value, LIST_RESPONSES, null];
  if (word === "!abort") [first, count, end] = [0, ...abort(rest, value)];
  else if (word === "!finish") count = 0;
  else if (word === "!repeat") count = number(rest);
  else if (word === "!sleep") await rpc.sleep(number(rest));
  else if (word === "!watch") {
    rpc.tokens.push(rest);
    await rpc.untilOver();
  } else if (word === "!cancelled") [first, count] = [Number(gone.has(rest)), 1];
  for (let k = 0; k < count; k++) yield response(name, first + k);
  if (end) throw end;
}

async function record(rpc, requests) {
  const texts = [];
  let [received, echo] = [0, false];
  for await (const request of requests) {
    const { name, value } = pointOf(request);
    const [word, rest] = cut(name);
    received++;
    if (word === "!abort") throw abort(rest, value)[1];
    else if (word === "!finish") break;
    else if (word === "!echo") {
      echo = true;
      texts.push(rest);
    } else if (word === "!sleep") await rpc.sleep(number(rest));
    else if (word === "!watch") rpc.tokens.push(rest);
    else texts.push(name);
  }
  return echo ? response(texts.join(","), received) : response(RECORD_NAME, 1);
}

async function* route(rpc, requests) {
  let sent = 0;
  for await (const request of requests) {
    const { name, value } = pointOf(request);
    const [word, rest] = cut(name);
    let [answer, first, count] = [ROUTE_NAME, sent, 1];
    if (word === "!abort") throw abort(rest, value)[1];
    else if (word === "!finish") return;
    else if (word === "!repeat") [answer, first, count] = [name, value, number(rest)];
    else if (word === "!echo") [answer, first] = [name, value];
    else if (word === "!sleep") await rpc.sleep(number(rest));
    else if (word === "!watch") rpc.tokens.push(rest);
    for (let k = 0; k < count; k++, sent++) yield response(answer, first + k);
  }
}

/** A request's pt; throws INVALID_ARGUMENT if it has none. */
function pointOf(request) {
  if (!request.pt) throw new Refusal("a request must have a pt", Code.InvalidArgument);
  return request.pt;
}

/** The text before the first space, and everything after it. */
function cut(text) {
  const space = text.indexOf(" ");
  return space < 0 ? [text, ""] : [text.slice(0, space), text.slice(space + 1)];
}

/** The number at the start of a directive's rest. */
function number(rest) {
  const [first] = cut(rest);
  if (!/^[0-9]{1,9}$/.test(first)) {
    throw new Refusal("a directive needs a number of at most 9 digits", Code.InvalidArgument);
  }
  return Number(first);
}

/** What "!abort K TEXT" requests: K responses, then this status. Connect's codes equal gRPC's. */
function abort(rest, code) {
  const count = number(rest);
  if (code < 1 || code > 16) {
    throw new Refusal(`!abort takes a status code from 1 to 16, not ${code}`, Code.InvalidArgument);
  }
  return [count, new Refusal(cut(rest)[1], code)];
}

/** A response; the value wraps around at 2^31. */
function response(name, value) {
  return { pt: { name, value: value | 0 } };
}

function copy(key, from, to) {
  const value = from.get(key);
  if (value !== null) to.set(key, value);
}

export const streamService = { list: streaming(list), record: answering(record), route: streaming(route) };
