// Serves StreamService on the loopback interface: node server.js --port 50051
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import { loadPackageDefinition, Server, ServerCredentials } from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";

import { streamService } from "./service.js";

const GRACE_MS = 1000; // how long open calls may take to finish after the server was asked to stop

const { values } = parseArgs({ options: { port: { type: "string", default: "50051" } } });

// The loader reads the definition when the server starts, so nothing is generated. With the defaults, an absent scalar
// field has its proto3 default, and an absent pt is null.
const path = fileURLToPath(new URL("../../proto/stream.proto", import.meta.url));
const { proto } = loadPackageDefinition(loadSync(path, { defaults: true }));

const server = new Server();
server.addService(proto.StreamService.service, streamService);
server.bindAsync(`127.0.0.1:${values.port}`, ServerCredentials.createInsecure(), (error, port) => {
  if (error) throw error;
  console.log(`listening on 127.0.0.1:${port}`);
});

for (const signal of ["SIGINT", "SIGTERM"]) {
  process.once(signal, () => {
    setTimeout(() => server.forceShutdown(), GRACE_MS).unref();
    server.tryShutdown(() => {});
  });
}
