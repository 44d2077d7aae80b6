// A process that opens the stores its parent names, writes into each and closes it again.
import { join } from "node:path";

const { openStore } = await import(join(process.argv[2], "src/store/open.js"));

process.on("message", async (url) => {
  try {
    const store = await openStore(url);
    await store.records.set(`of ${process.pid}`, true);
    await store.close();
    process.send("opened");
  } catch (error) {
    process.send(`${error.code}: ${error.cause}`);
  }
});
process.on("disconnect", () => process.exit());
process.send("ready");
