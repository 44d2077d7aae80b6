import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";

const [html, style, ...scripts] = ["page.html", "page.css", "compiled/markdown.js", "compiled/page.js"].map(
  (name) => readFileSync(new URL(`./browser/${name}`, import.meta.url), "utf8"),
) as [string, string, ...string[]];

const script = `"use strict";\n${scripts.join("")}`;

/** The playground's page: one document, nothing is loaded from elsewhere. */
export const page: string = html
  .replace("<style></style>", () => `<style>${style}</style>`)
  .replace("<script></script>", () => `<script>${script}</script>`);

/** Only this very style and script run; the page speaks to its own server alone, and no other page may frame it. */
export const pageHeaders: Readonly<Record<string, string>> = {
  "content-type": "text/html; charset=utf-8",
  "content-security-policy": [
    "default-src 'none'",
    `style-src '${hashOf(style)}'`,
    `script-src '${hashOf(script)}'`,
    "connect-src 'self'",
    "img-src data:",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join("; "),
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
};

function hashOf(content: string): string {
  return `sha256-${createHash("sha256").update(content).digest("base64")}`;
}
