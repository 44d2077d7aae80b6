import type { Message } from "aparte";
import { systemClock } from "../../src/clock.ts";
import { leaseLost, type Place } from "../../src/lane/place.ts";
import { plainTexts } from "../../src/texts/texts.ts";
import { Closing } from "../../src/turn/closing.ts";
import { Deliverer, Delivery } from "../../src/turn/delivery.ts";
import { ReplyLog } from "../../src/turn/reply-log.ts";

export interface DeliveryInTest {
  readonly delivery: Delivery;
  /** What the turn says. */
  readonly log: ReplyLog;
  /** What the adapter said stands on the platform. */
  posted(): unknown;
  /** From now on another process holds the reply. */
  lose(): void;
}

/**
 * A delivery as an adapter gets it, of a turn that the test speaks for.
 * @param options.posts what stands on the platform already
 * @param options.isRepeated whether an earlier process died over the reply
 * @param options.isLost whether another process holds the reply
 * @param options.isTaken false: the reply says why the message was not taken
 */
export function deliveryOf(
  options: { posts?: unknown; isRepeated?: boolean; isLost?: boolean; isTaken?: boolean } = {},
): DeliveryInTest {
  const { posts, isRepeated = posts !== undefined, isLost = false, isTaken = true } = options;
  let isAnothers = isLost;
  const permission = new AbortController();
  const log = new ReplyLog();
  const deliverer = new Deliverer({
    adapter: { platform: "test", deliver: async () => {} },
    message: { platform: "test", user: "u", id: "1", text: "?" } satisfies Message,
    ...{ taken: Promise.resolve(isTaken), log, texts: plainTexts, closing: new Closing() },
    settings: {
      clock: systemClock,
      logger: { info() {}, warn() {}, error() {} },
      onError() {},
      turnTimeout: 60_000,
      undeliveredTime: 60_000,
    },
  });
  const place = {
    turn: { posts },
    attempt: isRepeated ? 2 : 1,
    permit: async () => {
      if (isAnothers) throw leaseLost();
    },
    permission: permission.signal,
    advance: async () => {},
  };
  deliverer.place = place as unknown as Place;
  return {
    log,
    delivery: new Delivery(deliverer, Promise.resolve(isTaken), true),
    posted: () => deliverer.posts,
    lose: () => {
      isAnothers = true;
      permission.abort();
    },
  };
}
