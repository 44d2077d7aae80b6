import { vi } from "vitest";

// A test file gets modules and clocks of its own, as in a process of its own; only packages, which are slow to load, are shared.
vi.resetModules();
vi.useRealTimers();
vi.restoreAllMocks();
