import type { ReplyEvent } from "./reply-event.ts";

/**
 * What a platform, or whoever renders Markdown, may make a link of, however its address is disguised: the beginning of
 * a link's target or definition, of one in angle brackets, an address, and a name with a path or query.
 */
const candidate = new RegExp(
  [
    String.raw`(?<target>\]\()`,
    String.raw`(?<definition>\]:)`,
    "(?<bracket><)(?=[a-z][a-z0-9+.-]{0,30}:)",
    "(?<mail>mailto):",
    String.raw`(?:(?<scheme>[a-z][a-z0-9+.-]{0,30}):|(?<![\w\\/])(?=[\\/]{2}[^\s\\/]*\.))(?<slashes>[\\/]{2})`,
    String.raw`(?<![\w./=&%~+-])(?=www\.[a-z0-9-]|(?:[a-z0-9-]+\.)+[a-z][a-z0-9-]*[a-z0-9](?:[\\/]|\?\w))`,
  ].join("|"),
  "gi",
);

/** What stands where an address has its host, with whatever an attacker put there. */
const authority = /[^\s\\/?#<>|]*/y;

/** An allowed link begins so: a plain host, and behind it nothing that another reader may take for a part of it. */
const plainStart =
  /(?:[hH][tT]{2}[pP][sS]?:\/\/)?([a-zA-Z0-9.-]+)(?::\d{1,5})?(?=(?:(?![@\\])[\p{P}\p{S}])*?(?:[\s/?#<>|[\]]|$))/uy;

/**
 * The text with every link to another host shown as text: its address is written as `https[:]//host[.]com/…`, of which
 * no platform makes a link. It does not look at code or words around: also what stands in code can be clicked somewhere.
 * @param hosts that are allowed, e.g. `docs.example.com`, or `*.example.com` for all below it
 */
export function plainLinks(text: string, hosts: readonly string[]): string {
  let plain = "";
  let end = 0;
  for (const match of text.matchAll(candidate)) {
    if (match.index < end) continue;
    const { target, definition, bracket, mail, scheme, slashes = "" } = match.groups ?? {};
    const { index } = match;
    const next = index + match[0].length;
    plain += text.slice(end, index);
    end = next;
    if (target !== undefined) plain += isAllowed(text, next, hosts) ? target : "] (";
    else if (definition !== undefined) plain += "] :";
    else if (bracket !== undefined) plain += isAllowed(text, next, hosts) ? bracket : "< ";
    else if (mail !== undefined) plain += `${mail}[:]`;
    else {
      authority.lastIndex = next;
      const host = authority.exec(text)?.[0] ?? "";
      end = next + host.length;
      if (isAllowed(text, index, hosts)) plain += match[0] + host;
      else plain += `${scheme === undefined ? "" : `${scheme}[:]`}${slashes}${host.replaceAll(".", "[.]")}`;
    }
  }
  return plain + text.slice(end);
}

/** Whether it can be one of the allowed hosts: a name, or `*.` and a name. */
export function isHost(host: unknown): boolean {
  return typeof host === "string" && /^(\*\.)?[a-z0-9-]+(\.[a-z0-9-]+)*$/i.test(host);
}

/** Whether the link that begins at `index` is written plainly and leads to an allowed host. */
function isAllowed(text: string, index: number, hosts: readonly string[]): boolean {
  plainStart.lastIndex = index;
  const host = plainStart.exec(text)?.[1]?.toLowerCase().replace(/\.$/, "");
  if (host === undefined) return false;
  return hosts.some((allowed) => {
    const name = allowed.toLowerCase();
    return name.startsWith("*.") ? host.endsWith(name.slice(1)) && host.length >= name.length : host === name;
  });
}

/** How much of a word is held back, in characters. */
const longestWord = 4_096;

/** The events of a reply with {@link plainLinks} in all that the agent says. A word is held back until it is whole. */
export async function* withPlainLinks(
  events: AsyncIterable<ReplyEvent>,
  hosts: readonly string[],
): AsyncGenerator<ReplyEvent> {
  let held = "";
  const rest = (): ReplyEvent[] => {
    const delta = plainLinks(held, hosts);
    held = "";
    return delta === "" ? [] : [{ type: "text", delta }];
  };
  try {
    for await (const event of events) {
      if (event.type === "text") {
        const draft = held + event.delta;
        const end = wholeWords(draft);
        held = draft.slice(end);
        // What is this long is no link that anybody needs: none of it passes for one.
        const delta =
          held.length > longestWord ? plainLinks(draft, []) : plainLinks(draft.slice(0, end), hosts);
        if (held.length > longestWord) held = "";
        if (delta !== "") yield { type: "text", delta };
      } else if (event.type === "message") {
        held = "";
        yield { ...event, text: plainLinks(event.text, hosts) };
      } else if (event.type === "status") yield { ...event, text: plainLinks(event.text, hosts) };
      else if (event.type === "suggestions") {
        yield { ...event, items: event.items.map((item) => plainLinks(item, hosts)) };
      } else if (event.type === "file" && plainLinks(event.url, hosts) !== event.url) {
        // Platforms fetch what they show: of another host they get no address at all.
        yield { type: "message", text: plainLinks(event.url, hosts) };
      } else yield event;
    }
  } catch (error) {
    yield* rest();
    throw error;
  }
  yield* rest();
}

/** Up to where a draft cannot be part of a link that is yet to come. Not all languages have spaces between words. */
function wholeWords(draft: string): number {
  const space = /\s\S*$/.exec(draft)?.index ?? -1;
  const word = draft.slice(space + 1);
  const foreign = /^(?:[a-zA-Z0-9]|\P{ASCII})*\P{ASCII}/u.exec(word)?.[0] ?? "";
  return space + 1 + foreign.length;
}
