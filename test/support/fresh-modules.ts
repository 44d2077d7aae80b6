import { vi } from "vitest";

// A test file gets modules of its own, as in a process of its own; only packages, which are slow to load, are shared.
vi.resetModules();
