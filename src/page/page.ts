import { readFileSync } from "node:fs";

/** The playground's page and what it loads, by path. */
const files: ReadonlyMap<string, { readonly type: string; readonly content: string }> = new Map(
  Object.entries({
    "/": ["page.html", "text/html"],
    "/page.css": ["page.css", "text/css"],
    "/page.js": ["compiled/page.js", "text/javascript"],
    "/markdown.js": ["compiled/markdown.js", "text/javascript"],
  } as const).map(([path, [name, type]]) => [
    path,
    { type, content: readFileSync(new URL(`./browser/${name}`, import.meta.url), "utf8") },
  ]),
);

/** Only the page's own files run; it speaks to its own server alone, and no other page may frame it. */
const headers = {
  "content-security-policy": [
    "default-src 'none'",
    "style-src 'self'",
    "script-src 'self'",
    "connect-src 'self'",
    "img-src data:",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join("; "),
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
};

/** Undefined where the page has no such file. */
export function pageFile({ method, url }: Request): Response | undefined {
  const file = files.get(new URL(url).pathname);
  if (file === undefined || (method !== "GET" && method !== "HEAD")) return undefined;
  return new Response(method === "HEAD" ? null : file.content, {
    headers: { "content-type": `${file.type}; charset=utf-8`, ...headers },
  });
}
