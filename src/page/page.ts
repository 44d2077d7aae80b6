import { createHash } from "node:crypto";
import { script } from "./page-script.ts";
import { style } from "./page-style.ts";

/** The playground's page: one document, nothing is loaded from elsewhere. */
export const page: string = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>aparte · playground</title>
<link rel="icon" href="data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Cpath fill='%234f46e5' d='M1 2h9v7H6l-3 3V9H1z'/%3E%3Cpath fill='%230d9488' d='M7 10h4V5h4v7h-1v3l-3-3H7z'/%3E%3C/svg%3E">
<style>${style}</style>
</head>
<body>
<header class="top">
  <h1>aparte</h1>
  <p>Everyone here talks to the same agent. Nobody hears the others.</p>
  <form id="add">
    <label class="hidden" for="new-name">Name of another person</label>
    <input id="new-name" maxlength="40" placeholder="Another person…" autocomplete="off" required>
    <button type="submit">Add</button>
  </form>
</header>
<p id="problem" class="problem" role="alert" hidden></p>
<main id="people" tabindex="-1"></main>
<noscript><p class="problem">This page needs JavaScript.</p></noscript>
<script>${script}</script>
</body>
</html>
`;

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
