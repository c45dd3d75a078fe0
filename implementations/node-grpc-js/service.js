// StreamService: the whole contract, the core and every directive.
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";

import { Metadata, status } from "@grpc/grpc-js";

const LIST_RESPONSES = 7;
const RECORD_NAME = "gRPC Stream Server: Record";
const ROUTE_NAME = "gRPC Stream Server: Route";
const INITIAL_KEY = "x-grpc-test-echo-initial";
const TRAILING_KEY = "x-grpc-test-echo-trailing-bin";

/** The tokens of the marked RPCs that ended because the client went away. */
const gone = new Set();

class StatusError extends Error {
  constructor(code, details) {
    super(details);
    this.code = code;
    this.details = details;
  }
}

/** One RPC as its method sees it: requests to read, responses to send, and a signal that fires when it is over. */
class Rpc {
  constructor(call) {
    this.call = call;
    this.initial = copied(call.metadata, INITIAL_KEY);
    this.trailing = copied(call.metadata, TRAILING_KEY);
    this.tokens = [];
    this.ended = false;
    const over = new AbortController();
    this.signal = over.signal;
    call.once("cancelled", () => {
      // grpc-js emits this after every RPC; it means that the client went away only before the method has ended.
      if (!this.ended) this.tokens.forEach((token) => gone.add(token));
      over.abort();
    });
    if (call.metadata.get(INITIAL_KEY).length > 0) this.sendHeaders();
  }

  /** The requests up to the half-close; the call stays open for responses after they were read. */
  requests() {
    return this.call.iterator({ destroyOnReturn: false });
  }

  sendHeaders() {
    this.call.sendMetadata(this.initial);
  }

  /** Sends a response, and waits while flow control blocks. */
  async send(name, value) {
    if (!this.call.write(response(name, value))) await once(this.call, "drain", { signal: this.signal });
  }

  sleep(milliseconds) {
    return sleep(milliseconds, undefined, { signal: this.signal });
  }

  /** Waits until the client goes away or the deadline passes. */
  async untilOver() {
    if (!this.signal.aborted) await once(this.signal, "abort");
    this.signal.throwIfAborted();
  }
}

/** Turns a method into a grpc-js handler that ends the call with OK or with the status that the method threw. */
function streaming(method) {
  return async (call) => {
    const rpc = new Rpc(call);
    try {
      await method(rpc, call.request);
      rpc.ended = true;
      call.end(rpc.trailing);
    } catch (error) {
      if (rpc.signal.aborted) return; // the client is gone
      rpc.ended = true;
      call.emit("error", Object.assign(error, { metadata: rpc.trailing }));
    }
  };
}

/** The same for a method that returns its one response. */
function answering(method) {
  return async (call, callback) => {
    const rpc = new Rpc(call);
    try {
      const answer = await method(rpc);
      rpc.ended = true;
      callback(null, answer, rpc.trailing);
    } catch (error) {
      if (rpc.signal.aborted) return;
      rpc.ended = true;
      callback(error, null, rpc.trailing);
    }
  };
}

async function list(rpc, request) {
  const { name, value } = pointOf(request);
  const [word, rest] = cut(name);
  let [first, count, end] = [value, LIST_RESPONSES, null];
  if (word === "!abort") [first, count, end] = [0, ...abort(rest, value)];
  else if (word === "!finish") count = 0;
  else if (word === "!repeat") count = number(rest);
  else if (word === "!sleep") await rpc.sleep(number(rest));
  else if (word === "!watch") {
    rpc.tokens.push(rest);
    rpc.sendHeaders();
    await rpc.untilOver();
  } else if (word === "!cancelled") [first, count] = [Number(gone.has(rest)), 1];
  for (let k = 0; k < count; k++) await rpc.send(name, first + k);
  if (end) throw end;
}

async function record(rpc) {
  const texts = [];
  let [received, echo] = [0, false];
  for await (const request of rpc.requests()) {
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

async function route(rpc) {
  let sent = 0;
  for await (const request of rpc.requests()) {
    const { name, value } = pointOf(request);
    const [word, rest] = cut(name);
    let [answer, first, count] = [ROUTE_NAME, sent, 1];
    if (word === "!abort") throw abort(rest, value)[1];
    else if (word === "!finish") return;
    else if (word === "!repeat") [answer, first, count] = [name, value, number(rest)];
    else if (word === "!echo") [answer, first] = [name, value];
    else if (word === "!sleep") await rpc.sleep(number(rest));
    else if (word === "!watch") rpc.tokens.push(rest);
    for (let k = 0; k < count; k++, sent++) await rpc.send(answer, first + k);
  }
}

/** A request's pt; throws INVALID_ARGUMENT if it has none. */
function pointOf(request) {
  if (!request.pt) throw new StatusError(status.INVALID_ARGUMENT, "a request must have a pt");
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
    throw new StatusError(status.INVALID_ARGUMENT, "a directive needs a number of at most 9 digits");
  }
  return Number(first);
}

/** What "!abort K TEXT" requests: K responses, then this status. */
function abort(rest, code) {
  const count = number(rest);
  if (code < 1 || code > 16) {
    throw new StatusError(status.INVALID_ARGUMENT, `!abort takes a status code from 1 to 16, not ${code}`);
  }
  return [count, new StatusError(code, cut(rest)[1])];
}

/** A response; the value wraps around at 2^31. */
function response(name, value) {
  return { pt: { name, value: value | 0 } };
}

function copied(metadata, key) {
  const copy = new Metadata();
  for (const value of metadata.get(key)) copy.add(key, value);
  return copy;
}

export const streamService = { List: streaming(list), Record: answering(record), Route: streaming(route) };
