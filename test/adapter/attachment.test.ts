import { readAttachment } from "aparte/adapter";
import { describe, expect, it } from "vitest";

describe("An attachment", () => {
  it("is read whole up to the bound, and not beyond", async () => {
    expect(await readAttachment(new Response("four"), 4)).toEqual(Buffer.from("four"));
    await expect(readAttachment(new Response("fours"), 4)).rejects.toMatchObject({ code: "file-too-large" });
  });

  it.each([300, 404, 500, 503])("is none where the host answers with %i", async (status) => {
    const response = new Response("a page of words", { status });
    await expect(readAttachment(response, 100)).rejects.toMatchObject({
      code: "input-invalid",
      field: "files",
      message: `An attached file could not be loaded (HTTP ${status}). Send it again.`,
    });
    expect(response.bodyUsed).toBe(true);
  });
});
