// Serves StreamService on the loopback interface: node server.js --port 50051
import { createServer } from "node:http2";
import { parseArgs } from "node:util";

import { connectNodeAdapter } from "@connectrpc/connect-node";

import { StreamService } from "./gen/stream_pb.js";
import { streamService } from "./service.js";

const GRACE_MS = 1000; // how long open calls may take to finish after the server was asked to stop

const { values } = parseArgs({ options: { port: { type: "string", default: "50051" } } });

const routes = (router) => router.service(StreamService, streamService);
const server = createServer(connectNodeAdapter({ routes }));
const sessions = new Set();
server.on("session", (session) => {
  sessions.add(session);
  session.once("close", () => sessions.delete(session));
});
server.listen(Number(values.port), "127.0.0.1", () => console.log(`listening on 127.0.0.1:${server.address().port}`));

for (const signal of ["SIGINT", "SIGTERM"]) {
  process.once(signal, () => {
    server.close();
    sessions.forEach((session) => session.close());
    setTimeout(() => sessions.forEach((session) => session.destroy()), GRACE_MS).unref();
  });
}
