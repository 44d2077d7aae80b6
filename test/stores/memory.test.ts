import { describe, it } from "vitest";
import { memoryStore } from "../../src/stores/memory.ts";
import { storeContract } from "../../src/testing/store.ts";

storeContract(
  { describe, it },
  {
    name: "memory",
    shared: false,
    durable: false,
    canAdvance: true,
    open: async () => {
      let now = 1_000_000;
      const store = memoryStore(() => now);
      const advance = (ms: number) => {
        now += ms;
      };
      return { store, advance, close: () => store.close() };
    },
  },
);
