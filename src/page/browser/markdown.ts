/**
 * The part of Markdown that agents write, as DOM nodes: headings, lists, quotes, code, emphasis, links to web pages.
 * An unfinished draft shows as far as it has come.
 */
export function markdown(source: string): DocumentFragment {
  const result = document.createDocumentFragment();
  const lines = source.split("\n");
  for (let at = 0; at < lines.length; ) {
    const line = lines[at] ?? "";
    const fence = /^\s*(`{3,}|~{3,})/.exec(line);
    const heading = /^(#{1,6})\s+(.*)$/.exec(line);
    const item = /^\s*(?:([-*+])|\d{1,9}[.)])\s+/.exec(line);
    if (line.trim() === "") at += 1;
    else if (fence) {
      const from = at + 1;
      for (at = from; at < lines.length && !lines[at]?.trim().startsWith(fence[1] ?? ""); ) at += 1;
      const code = document.createElement("code");
      code.textContent = lines.slice(from, at).join("\n");
      const block = document.createElement("pre");
      block.tabIndex = 0;
      block.append(code);
      result.append(block);
      at += 1;
    } else if (heading) {
      const element = document.createElement(`h${Math.min((heading[1] ?? "").length + 2, 5)}`);
      element.append(inline(heading[2] ?? ""));
      result.append(element);
      at += 1;
    } else if (item) {
      const list = document.createElement(item[1] ? "ul" : "ol");
      const start = Number.parseInt(line.trim(), 10);
      if (list instanceof HTMLOListElement && start > 1) list.start = start;
      for (; at < lines.length; at += 1) {
        const next = /^\s*(?:([-*+])|\d{1,9}[.)])\s+(.*)$/.exec(lines[at] ?? "");
        if (!next || Boolean(next[1]) !== Boolean(item[1])) break;
        const entry = document.createElement("li");
        entry.append(inline(next[2] ?? ""));
        list.append(entry);
      }
      result.append(list);
    } else if (/^>/.test(line)) {
      const from = at;
      while (/^>/.test(lines[at] ?? "")) at += 1;
      const quote = document.createElement("blockquote");
      quote.append(
        markdown(
          lines
            .slice(from, at)
            .map((each) => each.replace(/^> ?/, ""))
            .join("\n"),
        ),
      );
      result.append(quote);
    } else {
      const from = at;
      do at += 1;
      while (
        at < lines.length &&
        !/^\s*$|^\s*(`{3}|~{3})|^#{1,6}\s|^\s*([-*+]|\d{1,9}[.)])\s|^>/.test(lines[at] ?? "")
      );
      const paragraph = document.createElement("p");
      lines.slice(from, at).forEach((each, index) => {
        if (index > 0) paragraph.append(document.createElement("br"));
        paragraph.append(inline(each));
      });
      result.append(paragraph);
    }
  }
  return result;
}

/** What stands within a line. */
function inline(source: string): DocumentFragment {
  const result = document.createDocumentFragment();
  const tokens =
    /(`+)(.+?)\1|\*\*(.+?)\*\*(?!\*)|(?<![\w*])[*_](?=\S)(.+?)(?<=\S)[*_](?![\w*])|\[([^\]]+)\]\((https?:\/\/[^\s)]+)\)/g;
  let from = 0;
  for (const match of source.matchAll(tokens)) {
    result.append(source.slice(from, match.index));
    from = match.index + match[0].length;
    const [, , code, strong, emphasis, label, href] = match;
    if (code !== undefined) {
      const element = document.createElement("code");
      element.textContent = code;
      result.append(element);
    } else if (label !== undefined) {
      const element = document.createElement("a");
      element.href = href ?? "";
      element.target = "_blank";
      element.rel = "noopener noreferrer";
      element.append(inline(label));
      result.append(element);
    } else {
      const element = document.createElement(strong === undefined ? "em" : "strong");
      element.append(inline(strong ?? emphasis ?? ""));
      result.append(element);
    }
  }
  result.append(source.slice(from));
  return result;
}
