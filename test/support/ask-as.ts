import { request } from "node:http";

/** The status of a `GET` that asks for another host than it reaches; `fetch` sends the address' own. */
export function statusAs(host: string, url: string, headers: Record<string, string> = {}): Promise<number> {
  return new Promise((resolve, reject) => {
    request(url, { headers: { ...headers, host } }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    })
      .once("error", reject)
      .end();
  });
}
