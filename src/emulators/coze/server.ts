import { breakOff } from "../http-server.ts";
import type { Service } from "../kit/server.ts";
import type { CozeFault } from "./faults.ts";
import { type CozeRequest, Refusal, type Route, TokenRefusal } from "./protocol.ts";
import type { CozeState } from "./state.ts";

/** Finds the route, and gives every answer the form and the headers of the service. */
export function serviceOf(
  routes: readonly Route[],
  state: CozeState,
  now: () => number,
): Service<CozeRequest, CozeFault> {
  const find = router(routes);
  /** The envelope, its log id in the headers as well. */
  const envelope = (members: object, status = 200): Response => {
    const logid = state.newId();
    return Response.json({ ...members, detail: { logid } }, { status, headers: { "x-tt-logid": logid } });
  };
  return {
    async answer(call) {
      const { request, url, fault } = call;
      const made = responseOf(fault, url.pathname);
      if (made !== undefined) return made;
      const match = find(request.method, url.pathname);
      if (match === undefined)
        throw new Refusal(4200, `no such resource: ${request.method} ${url.pathname}`, 404);
      const { route, params } = match;
      const cut = (): void => breakOff(request);
      const answer = await route.handle({ ...call, params, query: url.searchParams, cut });
      if (answer instanceof Response) return answer;
      return envelope({ code: 0, msg: "", ...answer });
    },
    refuse(error) {
      if (error instanceof TokenRefusal) {
        const { errorCode, message, status } = error;
        return Response.json({ error_code: errorCode, error_message: message, error: errorCode }, { status });
      }
      const { code, message, status } =
        error instanceof Refusal ? error : new Refusal(5000, "internal error of the emulator", 500);
      return envelope({ code, msg: message }, status);
    },
    sign({ headers }) {
      if (!headers.has("x-tt-logid")) headers.set("x-tt-logid", state.newId());
      headers.set("date", new Date(now()).toUTCString());
    },
  };
}

function responseOf(
  { status = 200, code, msg = "failed on request", headers = {} }: CozeFault,
  path: string,
): Response | undefined {
  if (status === 200 && code === undefined) return undefined;
  if (path.startsWith("/api/permission/oauth2/")) {
    const name = String(code ?? "internal_error");
    return Response.json({ error_code: name, error_message: msg, error: name }, { status, headers });
  }
  return Response.json({ code: code ?? 5000, msg }, { status, headers });
}

function router(routes: readonly Route[]) {
  const table = routes.map((route) => ({ route, parts: route.path.split("/") }));
  return (method: string, path: string): { route: Route; params: Record<string, string> } | undefined => {
    const given = path.split("/");
    for (const { route, parts } of table) {
      if (route.method !== method || parts.length !== given.length) continue;
      const params: Record<string, string> = {};
      const fits = parts.every((part, index) => {
        const value = given[index] ?? "";
        if (!part.startsWith(":")) return part === value;
        params[part.slice(1)] = value;
        return value !== "";
      });
      if (fits) return { route, params };
    }
    return undefined;
  };
}
