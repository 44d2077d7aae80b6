/** How the playground's page looks, by light and by dark, on a wide screen and on a phone. */
export const style: string = `
:root {
  --back: #f4f4f6; --card: #fff; --line: #dcdce3; --text: #1c1c22; --soft: #62626e;
  --own: #4f46e5; --own-text: #fff; --answer: #f0f0f4; --code: #e6e6ec; --bad: #b42318; --bad-back: #fdeceb;
  --focus: #4f46e5;
  color-scheme: light dark;
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif;
}
@media (prefers-color-scheme: dark) {
  :root {
    --back: #131318; --card: #1c1c23; --line: #33333e; --text: #ececf1; --soft: #a2a2b0;
    --own: #5850e6; --own-text: #fff; --answer: #292932; --code: #34343f; --bad: #ff9b91; --bad-back: #3b1f1e;
    --focus: #a5a0ff;
  }
}
* { box-sizing: border-box; }
[hidden] { display: none !important; }
.hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
body { margin: 0; height: 100vh; height: 100dvh; display: flex; flex-direction: column; background: var(--back); color: var(--text); }
:focus-visible { outline: 2px solid var(--focus); outline-offset: 2px; }
button, input, select, textarea { font: inherit; color: inherit; }
button { border: 1px solid var(--line); border-radius: 8px; background: var(--card); padding: .35rem .75rem; cursor: pointer; }
button:hover { border-color: var(--soft); }
button:disabled { opacity: .5; cursor: default; }
input, select, textarea { border: 1px solid var(--line); border-radius: 8px; background: var(--card); padding: .35rem .6rem; }

.top { display: flex; flex-wrap: wrap; align-items: baseline; gap: .25rem 1rem; padding: .75rem 1rem; }
.top h1 { margin: 0; font-size: 1.25rem; letter-spacing: -.01em; }
.top p { margin: 0; flex: 1 1 16rem; color: var(--soft); }
.top form { display: flex; gap: .5rem; }
.top input { width: 11rem; min-width: 0; }
.problem { margin: 0 1rem .5rem; padding: .5rem .75rem; border-radius: 8px; background: var(--bad-back); color: var(--bad); }

main { flex: 1; min-height: 0; display: grid; grid-auto-flow: column; grid-auto-columns: minmax(21rem, 1fr);
  gap: .75rem; padding: 0 1rem 1rem; overflow-x: auto; scroll-snap-type: x proximity; outline: none; }
.person { --hue: 245; display: flex; flex-direction: column; min-height: 0; min-width: 0; background: var(--card);
  border: 1px solid var(--line); border-top: 3px solid hsl(var(--hue) 60% 55%); border-radius: 12px; scroll-snap-align: center; }
.person > header { display: flex; flex-wrap: wrap; align-items: center; gap: .35rem; padding: .5rem .6rem; border-bottom: 1px solid var(--line); }
.name { flex: 1 1 6rem; min-width: 0; border-color: transparent; background: none; font-weight: 650; padding: .2rem .4rem; text-overflow: ellipsis; }
.name:hover, .name:focus { border-color: var(--line); }
.person > header select, .person > header button { font-size: .875rem; padding: .2rem .55rem; }
.session { flex-basis: 100%; margin: 0; padding: 0 .4rem; color: var(--soft); font: .75rem/1.3 ui-monospace, Consolas, monospace;
  overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }

.log { flex: 1; min-height: 0; overflow-y: auto; display: flex; flex-direction: column; gap: .5rem; padding: .75rem; overscroll-behavior: contain; }
.log > * { max-width: 92%; overflow-wrap: anywhere; }
.own { align-self: flex-end; background: var(--own); color: var(--own-text); border-radius: 14px 14px 4px 14px; padding: .45rem .75rem; white-space: pre-wrap; }
.answer { align-self: flex-start; display: flex; flex-direction: column; gap: .35rem; min-width: 0; }
.part { background: var(--answer); border-radius: 14px 14px 14px 4px; padding: .45rem .75rem; min-width: 0; }
.part > :first-child { margin-top: 0; }
.part > :last-child { margin-bottom: 0; }
.part p, .part ul, .part ol, .part pre, .part blockquote { margin: .5rem 0; }
.part h3, .part h4, .part h5 { margin: .75rem 0 .35rem; font-size: 1.05em; line-height: 1.3; }
.part ul, .part ol { padding-left: 1.4rem; }
.part blockquote { border-left: 3px solid var(--line); padding-left: .75rem; color: var(--soft); }
.part code { background: var(--code); border-radius: 4px; padding: .05em .3em; font: .9em ui-monospace, Consolas, monospace; }
.part pre { background: var(--code); border-radius: 8px; padding: .6rem .75rem; overflow-x: auto; }
.part pre code { background: none; padding: 0; }
.part a { color: inherit; }
.note { align-self: flex-start; margin: 0; color: var(--soft); font-size: .875rem; font-style: italic; }
.bad { color: var(--bad); font-style: normal; }
.forgotten { opacity: .55; }
.rule { align-self: stretch; max-width: 100%; text-align: center; }
.dots::after { content: "●●●"; letter-spacing: 2px; font-size: .6rem; color: var(--soft); animation: breathe 1.2s ease-in-out infinite; }
@keyframes breathe { 50% { opacity: .25; } }
@media (prefers-reduced-motion: reduce) { .dots::after { animation: none; } }
.choices { display: flex; flex-wrap: wrap; gap: .35rem; }
.choices button { border-radius: 999px; font-size: .875rem; padding: .25rem .7rem; text-align: left; }
.hello { margin: auto; text-align: center; color: var(--soft); }
.hello .choices { justify-content: center; }

.say { display: flex; align-items: flex-end; gap: .4rem; padding: .6rem; border-top: 1px solid var(--line); }
.say textarea { flex: 1; min-width: 0; resize: none; max-height: 9rem; field-sizing: content; }
.say .send { background: var(--own); border-color: var(--own); color: var(--own-text); }
.attach { position: relative; flex: none; border: 1px solid var(--line); border-radius: 8px; padding: .35rem .6rem; cursor: pointer; }
.attach:focus-within { outline: 2px solid var(--focus); outline-offset: 2px; }
.files { margin: 0; padding: .4rem .75rem 0; font-size: .875rem; color: var(--soft); overflow-wrap: anywhere; }

@media (max-width: 40rem) {
  .top { padding: .5rem .75rem; }
  .top p { order: 3; flex-basis: 100%; font-size: .875rem; }
  .top form { margin-left: auto; }
  .top input { width: 9rem; }
  main { grid-auto-columns: calc(100% - 1.5rem); padding: 0 .75rem .75rem; scroll-snap-type: x mandatory; }
  textarea, input, select { font-size: 16px; }
}
`;
