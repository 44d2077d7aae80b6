// A network between a client and a server, in a process of its own: what the one sends reaches the other after half of
// so many milliseconds. node network.mjs PORT MS tells the port to connect to instead.
import { connect, createServer } from "node:net";

const [port, ms] = process.argv.slice(2).map(Number);
const cell = new Int32Array(new SharedArrayBuffer(4));

/** A timer would take a millisecond at least. */
function carry(from, to) {
  from.on("data", (bytes) => {
    Atomics.wait(cell, 0, 0, ms / 2);
    to.write(bytes);
  });
  from.on("close", () => to.destroy());
  from.on("error", () => to.destroy());
}

const server = createServer({ noDelay: true }, (client) => {
  const upstream = connect({ port, host: "127.0.0.1", noDelay: true });
  carry(client, upstream);
  carry(upstream, client);
});
server.listen(0, "127.0.0.1", () => process.send(server.address().port));
process.on("disconnect", () => process.exit());
