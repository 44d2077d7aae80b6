import { Window } from "happy-dom";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { markdown } from "../../../src/page/browser/markdown.ts";

beforeEach(() => {
  const { document, HTMLOListElement } = new Window();
  vi.stubGlobal("document", document);
  vi.stubGlobal("HTMLOListElement", HTMLOListElement);
  return () => vi.unstubAllGlobals();
});

function shown(source: string): string {
  const body = document.createElement("div");
  body.append(markdown(source));
  return body.innerHTML;
}

describe("What agents write", () => {
  it.each([
    ["a paragraph", "one\ntwo\n\nthree", "<p>one<br>two</p><p>three</p>"],
    ["blank lines", "\n \none\n\n", "<p>one</p>"],
    ["nothing", "", ""],
    [
      "headings, below those of the page",
      "# a\n## b\n### c\n###### d",
      "<h3>a</h3><h4>b</h4><h5>c</h5><h5>d</h5>",
    ],
    ["no heading without a blank, or of seven signs", "#a\n\n####### b", "<p>#a</p><p>####### b</p>"],
    ["a heading behind a paragraph", "a\n# b", "<p>a</p><h3>b</h3>"],
    ["a list", "- a\n* b\n  + c", "<ul><li>a</li><li>b</li><li>c</li></ul>"],
    ["a numbered list", "1. a\n2) b", "<ol><li>a</li><li>b</li></ol>"],
    ["a list that goes on", "3. a\n4. b", '<ol start="3"><li>a</li><li>b</li></ol>'],
    ["two lists", "- a\n1. b\n- c", "<ul><li>a</li></ul><ol><li>b</li></ol><ul><li>c</li></ul>"],
    ["a list's end", "- a\nb", "<ul><li>a</li></ul><p>b</p>"],
    ["a list behind a paragraph", "a\n- b", "<p>a</p><ul><li>b</li></ul>"],
    ["a number that is none of a list", "1234567890. a", "<p>1234567890. a</p>"],
    ["a quote", "> a\n>b\n> - c", "<blockquote><p>a<br>b</p><ul><li>c</li></ul></blockquote>"],
    [
      "a quote in a quote",
      "a\n> > b\nc",
      "<p>a</p><blockquote><blockquote><p>b</p></blockquote></blockquote><p>c</p>",
    ],
    [
      "code",
      "a\n```ts\n# b\n\n  c\n```\nd",
      '<p>a</p><pre tabindex="0"><code># b\n\n  c</code></pre><p>d</p>',
    ],
    ["code with tildes", "~~~\n```\n~~~", '<pre tabindex="0"><code>```</code></pre>'],
    ["code with more signs", "````\n```\n````\n", '<pre tabindex="0"><code>```</code></pre>'],
    ["code that is still being written", "```\na", '<pre tabindex="0"><code>a</code></pre>'],
    ["inline code", "a `**b**` and ``c`d``", "<p>a <code>**b**</code> and <code>c`d</code></p>"],
    ["emphasis", "*a* _b_ **c *d***", "<p><em>a</em> <em>b</em> <strong>c <em>d</em></strong></p>"],
    ["strong emphasis", "***a*** **b**", "<p><strong><em>a</em></strong> <strong>b</strong></p>"],
    ["signs that are no emphasis", "2*3*4 a_b_c * d * **", "<p>2*3*4 a_b_c * d * **</p>"],
    [
      "links to web pages",
      "[**a**](https://a.example/b) [c](http://d.example).",
      '<p><a href="https://a.example/b" target="_blank" rel="noopener noreferrer"><strong>a</strong></a> ' +
        '<a href="http://d.example/" target="_blank" rel="noopener noreferrer">c</a>.</p>',
    ],
    ["no other links", "[a](javascript:alert(1)) [b](data:c)", "<p>[a](javascript:alert(1)) [b](data:c)</p>"],
    [
      "HTML as what it is",
      "<img src=x onerror=a> `<b>`",
      "<p>&lt;img src=x onerror=a&gt; <code>&lt;b&gt;</code></p>",
    ],
  ])("shows %s", (_, source, html) => {
    expect(shown(source).replace('href="http://d.example"', 'href="http://d.example/"')).toBe(html);
  });
});
