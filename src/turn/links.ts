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
    "(?<mail>mailto):(?<opening>[(:]?)",
    String.raw`(?:(?<scheme>[a-z][a-z0-9+.-]{0,30}):|(?<![\w\\/])(?=[\\/]{2}[^\s\\/]*\.))(?<slashes>[\\/]{2})`,
    String.raw`(?<![\w./=&%~+-])(?=www\.[a-z0-9-]|(?:[a-z0-9-]+\.)+[a-z][a-z0-9-]*[a-z0-9](?:[\\/]|\?\w))`,
  ].join("|"),
  "gi",
);

/** What stands where an address has its host, with whatever an attacker put there. What Markdown's brackets hold ends with them. */
const authority = /[^\s\\/?#<>|[\]]*/y;

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
    const { target, definition, bracket, mail, opening, scheme, slashes = "" } = match.groups ?? {};
    const { index } = match;
    const next = index + match[0].length;
    plain += text.slice(end, index);
    end = next;
    if (target !== undefined) plain += isAllowed(text, next, hosts) ? target : "] (";
    else if (definition !== undefined) plain += "] :";
    else if (bracket !== undefined) plain += isAllowed(text, next, hosts) ? bracket : "< ";
    else if (mail !== undefined) plain += mail + asText(":", opening);
    else {
      authority.lastIndex = next;
      const host = authority.exec(text)?.[0] ?? "";
      end = next + host.length;
      if (isAllowed(text, index, hosts)) plain += match[0] + host;
      else
        plain += `${scheme === undefined ? "" : `${scheme}[:]`}${slashes}${host.replaceAll(/\.([(:]?)/g, (_, opening) => asText(".", opening))}`;
    }
  }
  return plain + text.slice(end);
}

/** A mark of an address as text, of which Markdown makes no link with the opening that follows. */
function asText(mark: string, opening = ""): string {
  return opening === "" ? `[${mark}]` : `[${mark}] ${opening}`;
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

/** Shows links as text in all that is said in a turn. A word is held back until it is whole. */
export class LinkGuard {
  readonly #hosts: readonly string[];
  #held = "";
  /** Whether a draft has begun that no message has replaced. */
  #isDraft = false;
  /** Addresses as text, for below the draft: as a message of its own, one would replace it. */
  #below: string[] = [];

  /** @param hosts those of {@link plainLinks} */
  constructor(hosts: readonly string[]) {
    this.#hosts = hosts;
  }

  /** What may be shown now that this was said. */
  shown(event: ReplyEvent): readonly ReplyEvent[] {
    const hosts = this.#hosts;
    if (event.type === "text") {
      this.#isDraft = true;
      return deltas(this.#shownOf(event.delta));
    }
    if (event.type === "suggestions") {
      return [{ ...event, items: event.items.map((item) => plainLinks(item, hosts)) }];
    }
    if (event.type === "file") return this.#shownFile(event);
    if (event.type !== "message" && event.type !== "status") return [event];
    const shown = { ...event, text: plainLinks(event.text, hosts) };
    return event.type === "message" ? [shown, ...this.#endDraft()] : [shown];
  }

  /** What is held back, as it is shown if no more is said. */
  get rest(): readonly ReplyEvent[] {
    return deltas([plainLinks(this.#held, this.#hosts), ...this.#below].join("\n\n"));
  }

  #shownFile(file: ReplyEvent & { readonly type: "file" }): readonly ReplyEvent[] {
    const url = plainLinks(file.url, this.#hosts);
    if (url === file.url) {
      return [file.name === undefined ? file : { ...file, name: plainLinks(file.name, this.#hosts) }];
    }
    // Platforms fetch what they show: of another host they get no address at all.
    if (!this.#isDraft) return [{ type: "message", text: url }];
    this.#below.push(url);
    return [];
  }

  /** A message replaces the draft. */
  #endDraft(): readonly ReplyEvent[] {
    const below = this.#below.map((text): ReplyEvent => ({ type: "message", text }));
    this.#held = "";
    this.#isDraft = false;
    this.#below = [];
    return below;
  }

  #shownOf(delta: string): string {
    // Nothing else ends a word: one that is very long is not looked at again for each piece of it.
    if (!/\s|\P{ASCII}/u.test(delta)) {
      this.#held += delta;
      return "";
    }
    const draft = this.#held + delta;
    const end = wholeWords(draft, this.#held.length);
    this.#held = draft.slice(end);
    return plainLinks(draft.slice(0, end), this.#hosts);
  }
}

function deltas(delta: string): readonly ReplyEvent[] {
  return delta === "" ? [] : [{ type: "text", delta }];
}

/**
 * Up to where a draft cannot be part of a link that is yet to come. Not all languages have spaces between words.
 * @param from up to where it was looked at before, and no word ends
 */
function wholeWords(draft: string, from: number): number {
  const space = /\s\S*$/.exec(draft.slice(from))?.index;
  const begin = space === undefined ? 0 : from + space + 1;
  const foreign = /^(?:[a-zA-Z0-9]|\P{ASCII})*\P{ASCII}/u.exec(draft.slice(begin))?.[0] ?? "";
  return begin + foreign.length;
}
